"""The graph of paths and rules, and that of the inside of a rule."""

import json

import pytest

from eshet import yarp
from eshet_rules import rule
from eshet_rules.exceptions import GraphTooLarge, NotInGraph, UnknownName
from eshet_rules.graph.drawing import FORMATS, Drawing, Item, Kind
from eshet_rules.graph.inside import draw_rule
from eshet_rules.graph.paths import draw_paths
from eshet_rules.runner.explaining import Explaining
from eshet_rules.testing.house import House

RULES = [
    {"rule": "hall.dark", "reads": ["/hall/lux"], "writes": ["/hall/dark"]},
    {"rule": "hall.light", "reads": ["/hall/dark", "/hall/motion"], "writes": ["/hall/lamp"]},
    {"rule": "bath.fan[a]", "reads": ["/bath/humidity"], "writes": []},
]


def edges(drawing):
    return {
        (drawing.items[source].name, drawing.items[target].name)
        for source, target, _ in drawing.arrows
    }


def test_rules_stand_between_the_paths_that_they_read_and_write():
    assert edges(draw_paths(RULES)) == {
        ("/hall/lux", "hall.dark"),
        ("hall.dark", "/hall/dark"),
        ("/hall/dark", "hall.light"),
        ("/hall/motion", "hall.light"),
        ("hall.light", "/hall/lamp"),
        ("/bath/humidity", "bath.fan[a]"),
    }


@pytest.mark.parametrize(
    ("name", "number"),
    [
        ("hall", 5),
        ("hall.dark", 2),
        ("/hall/dark", 2),
        ("/hall/*", 5),
        ("bath.fan[a]", 1),
        ("bath", 1),
    ],
)
def test_only_what_is_next_to_a_name_is_drawn(name, number):
    assert len(draw_paths(RULES, [name]).arrows) == number


def test_a_named_rule_without_paths_is_drawn_alone():
    drawing = draw_paths([*RULES, {"rule": "hall.idle", "reads": [], "writes": []}], ["hall.idle"])
    assert drawing == Drawing((Item("hall.idle", Kind.RULE),), ())


def test_a_name_of_nothing_is_refused_with_similar_ones():
    with pytest.raises(NotInGraph, match=r"no rule, module or path '/hall/lus'.*/hall/lux"):
        draw_paths(RULES, ["hall", "/hall/lus"])


def test_a_function_that_a_rule_calls_is_not_drawn_as_a_rule():
    drawing = draw_paths([{"rule": "hall.call", "reads": [], "writes": ["hall.announce"]}])
    assert drawing.items == (
        Item("hall.announce", Kind.OUTPUT),
        Item("hall.call", Kind.RULE),
    )


def test_all_formats_have_all_items_and_quote_their_names():
    drawing = Drawing(
        (Item('say "x\\"', Kind.VALUE), Item("/p", Kind.PATH), Item("go", Kind.EVENT)),
        ((0, 1, False), (2, 0, True)),
    )
    mermaid = "\n".join(FORMATS["mermaid"](drawing))
    assert 'n0["say #quot;x\\#quot;"]' in mermaid
    assert "n2 -.-> n0" in mermaid
    dot = "\n".join(FORMATS["dot"](drawing))
    assert 'label="say \\"x\\\\\\""' in dot
    assert "n2 -> n0 [style=dashed];" in dot
    [line] = FORMATS["json"](drawing)
    assert Drawing.restored(json.loads(line)) == drawing


@rule
async def light():
    motion = await yarp.event_listen("/motion")
    dark = await yarp.state_observe("/dark")
    shown = yarp.delay(yarp.hold(motion, 120) & dark, 1)
    await yarp.set_value("/lamp", shown)
    await yarp.state_register("/shown", shown)


@pytest.fixture
def home():
    with House() as home:
        yield home


def test_the_inside_of_a_rule_has_its_values_and_outputs(home):
    home.device("/dark", True)
    home.device("/lamp")
    home.run(home.rule(light))
    [instance] = home._functions.instances()
    drawing = draw_rule(instance.scopes()["test.light"])
    names = {item.name for item in drawing.items}
    assert "/dark = True" in names
    assert any(name.startswith("hold at test_graph.py:") for name in names)
    assert {"set_value of /lamp", "state_register of /shown"} <= names
    later = [arrow for arrow in drawing.arrows if arrow[2]]
    assert len(later) == 1  # the delay
    assert ("/motion", next(n for n in names if n.startswith("hold"))) in edges(drawing)


class Instances:
    """Stands in for a reloader with one module."""

    def __init__(self, instance):
        self.instances = {"test": instance}


def test_an_unknown_rule_and_a_graph_that_is_too_large_are_refused(home, monkeypatch):
    home.run(home.rule(light))
    [instance] = home._functions.instances()
    explaining = Explaining(Instances(instance), None)
    assert Drawing.restored(explaining.inside("test.light")).items
    with pytest.raises(UnknownName, match=r"did you mean test\.light\?"):
        explaining.inside("test.lihgt")
    monkeypatch.setattr("eshet_rules.runner.explaining._MOST_BYTES", 100)
    with pytest.raises(GraphTooLarge, match=r"the graph of test\.light has \d+ Values"):
        explaining.inside("test.light")
