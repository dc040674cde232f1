"""The graph of the Values and Events of one rule, with its outputs."""

from typing import Final

from eshet.reactive.core.graph import ScopeNodes
from eshet.reactive.core.value import FixedNode
from eshet.reactive.graph_view import NodeView, view_of
from eshet.reactive.upstream import upstream
from eshet.scope import Scope
from eshet.text import safe_repr
from eshet.yarp.outputs import sinks_of
from eshet_rules.graph.drawing import Drawing, Item, Kind

__all__ = ["draw_rule"]

_LONGEST: Final = 40
"""Maximum length of a value in a graph, in characters."""


def draw_rule(scope: Scope) -> Drawing:
    """Return the graph of the inside of a rule, with the present values.

    Args:
        scope: of the present attempt to run the rule.
    """
    own = list(scope.get(ScopeNodes))
    nodes = {each: None for node in own for each in upstream(node)}
    shown = sorted(
        (node for node in nodes if not isinstance(node, FixedNode)), key=lambda node: node.height
    )
    view = view_of(shown)
    items = [Item(_text(each), Kind(each.kind)) for each in view.nodes]
    arrows = [(edge.source - 1, edge.target - 1, edge.later) for edge in view.edges]
    for number, node in enumerate(shown):
        for sink in sinks_of(node):
            arrows.append((number, len(items), False))
            items.append(Item(sink.label, Kind.OUTPUT))
    return Drawing(tuple(items), tuple(arrows))


def _text(node: NodeView) -> str:
    if node.kind == Kind.EVENT:
        return node.name
    return f"{node.name} = {safe_repr(node.value, _LONGEST)}"
