"""The graph of the Values and Events of one rule, with its outputs."""

from collections.abc import Callable, Iterable
from typing import Final

from eshet.reactive.core.graph import Node, ScopeNodes
from eshet.reactive.core.value import FixedNode
from eshet.reactive.graph_view import NodeView, view_of
from eshet.reactive.upstream import upstream
from eshet.scope import Scope
from eshet.text import safe_repr
from eshet.yarp.outputs import sinks_of
from eshet_rules.audit.redaction import REDACTED
from eshet_rules.graph.drawing import Drawing, Item, Kind

__all__ = ["draw_rule"]

_LONGEST: Final = 40
"""Maximum length of a value in a graph, in characters."""


def draw_rule(scope: Scope, is_secret: Callable[[str], bool] = lambda path: False) -> Drawing:
    """Return the graph of the inside of a rule, with the present values.

    Args:
        scope: of the present attempt to run the rule.
        is_secret: returns whether the values of a path are left out, and all that follow them.
    """
    own = list(scope.get(ScopeNodes))
    nodes = {each: None for node in own for each in upstream(node)}
    shown = sorted(
        (node for node in nodes if not isinstance(node, FixedNode)), key=lambda node: node.height
    )
    view = view_of(shown)
    secret = _with_followers((each for each in shown if is_secret(each.describe())), shown)
    items = [
        Item(_text(each, is_secret=node in secret), Kind(each.kind))
        for node, each in zip(shown, view.nodes, strict=True)
    ]
    arrows = [(edge.source - 1, edge.target - 1, edge.later) for edge in view.edges]
    for number, node in enumerate(shown):
        for sink in sinks_of(node):
            arrows.append((number, len(items), False))
            items.append(Item(sink.label, Kind.OUTPUT))
    return Drawing(tuple(items), tuple(arrows))


def _with_followers(nodes: Iterable[Node], all_nodes: Iterable[Node]) -> set[Node]:
    """Return nodes, and those of all nodes that follow one of them.

    Args:
        nodes: the nodes.
        all_nodes: in an order in which a node comes after those that it follows.
    """
    found = set(nodes)
    for each in all_nodes:
        if not found.isdisjoint((*each.inputs, *each.sources())):
            found.add(each)
    return found


def _text(node: NodeView, *, is_secret: bool) -> str:
    if node.kind == Kind.EVENT:
        return node.name
    if is_secret:
        return f"{node.name} = {REDACTED}"
    return f"{node.name} = {safe_repr(node.value, _LONGEST)}"
