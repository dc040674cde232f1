"""A part of the graph as data and as a drawing."""

from eshet import reactive as yarp
from eshet.reactive.graph_view import graph
from eshet.scope import Scope


def test_a_picture_has_what_a_node_follows_and_what_follows_it():
    lux, moved = yarp.Value(30, name="lux"), yarp.Value(False, name="moved")
    dark = lux < 40
    light = dark & moved
    light.on_value_changed(print)
    other = lux + 1
    picture = graph(dark)
    assert [(n.name, n.kind, n.value, n.height) for n in picture.nodes] == [
        ("lux", "value", 30, 0),
        ("lt", "value", True, 1),
        ("and_", "value", False, 2),
    ]
    assert [(e.source, e.target, e.later) for e in picture.edges] == [(1, 2, False), (2, 3, False)]
    assert picture.nodes[2].callbacks == 1
    assert len(graph(lux).nodes) == 4
    assert len(graph(light).nodes) == 4
    assert other.value == 31


async def test_what_a_timer_is_between_is_a_later_edge():
    bell = yarp.Event(name="bell")
    late = yarp.delay(bell, 5)
    for reactive in (bell, late):
        picture = graph(reactive)
        names = {node.id: node.name for node in picture.nodes}
        edges = [(names[edge.source], names[edge.target], edge.later) for edge in picture.edges]
        assert ("bell", "delay", True) in edges
        assert "n2 -.-> n" in picture.mermaid() or "n1 -.-> n" in picture.mermaid()
        assert "[style=dashed]" in picture.dot()


def test_a_picture_is_drawn_by_mermaid_and_dot():
    scope = Scope("hall")
    with scope.active():
        bell = yarp.Event(name='a "bell"')
        yarp.event_to_value(bell, 0).on_value_changed(print)
    picture = graph(bell)
    line = test_a_picture_is_drawn_by_mermaid_and_dot.__code__.co_firstlineno + 4
    made = f"latest of a #quot;bell#quot; at test_graph_view.py:{line}"
    assert picture.mermaid().splitlines() == [
        "flowchart TD",
        '    n1(["hall: a #quot;bell#quot;"])',
        f'    n2["hall: {made} = 0"]',
        "    n1 --> n2",
    ]
    assert picture.dot().splitlines() == [
        "digraph {",
        r'    n1 [label="hall: a \"bell\"", shape=ellipse];',
        f'    n2 [label="hall: {made} = 0", shape=box];'.replace("#quot;", r"\""),
        "    n1 -> n2;",
        "}",
    ]


def test_what_has_ended_is_not_in_the_picture():
    lux = yarp.Value(1)
    kept, dropped = lux + 1, lux + 2
    del dropped
    assert len(graph(lux).nodes) == 2
    assert kept.value == 2
