"""The nodes that a node follows, and the values that its result came from."""

from collections import deque
from typing import Any, Final, TypeAlias

from eshet.reactive.core.graph import Node
from eshet.reactive.core.value import FixedNode

__all__ = ["InputValues", "Inputs", "upstream"]


def upstream(node: Node) -> list[Node]:
    """Return a node and all nodes that it follows, directly or indirectly, nearest first."""
    found = {node: None}
    following = deque([node])
    while following:
        each = following.popleft()
        for source in (*each.inputs, *each.sources()):
            if source not in found:
                found[source] = None
                following.append(source)
    return list(found)


InputValues: TypeAlias = dict[str, Any]
"""The values of a node's inputs at one moment, by the descriptions of the inputs.

They are those nodes upstream that follow no other node, but may change. The value of an Event is
its last emission, and `NoValue` before the first.
"""


class Inputs:
    """The inputs of one node, found once and again when the graph has another shape.

    Args:
        node: the node.
    """

    __slots__ = ("_node", "_nodes", "_shape")

    def __init__(self, node: Node) -> None:
        self._node: Final = node
        self._nodes: list[tuple[str, Node]] = []
        self._shape = -1

    def now(self) -> InputValues:
        """Return their present values."""
        shape = self._node.transactions.shape
        if shape != self._shape:
            self._shape = shape
            inputs = filter(_is_input, upstream(self._node))
            self._nodes = [(each.describe(), each) for each in inputs]
        values = {}
        for name, each in self._nodes:  # a comprehension is a call, before Python 3.12
            values[name] = each.value
        return values


def _is_input(node: Node) -> bool:
    return not (isinstance(node, FixedNode) or node.inputs or node.sources())
