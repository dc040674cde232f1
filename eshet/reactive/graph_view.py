"""A part of the graph as data, and as a drawing."""

from collections.abc import Iterator
from dataclasses import dataclass
from typing import Any

from eshet.reactive.containers import ensure_reactive
from eshet.reactive.core.graph import EventNode, Node
from eshet.reactive.core.handle import node_of

__all__ = ["Edge", "GraphView", "NodeView", "graph"]


@dataclass(frozen=True, slots=True)
class NodeView:
    """A node as it was when the picture was made.

    Attributes:
        id: its number in this picture, from 1.
        name: what it is, and where it was made.
        kind: "value" or "event".
        scope: the name of the scope that owns it.
        value: what a Value held.
        height: how many steps it is above its deepest source.
        callbacks: how many functions hear of it.
    """

    id: int
    name: str
    kind: str
    scope: str | None
    value: Any
    height: int
    callbacks: int

    @property
    def text(self) -> str:
        """What a drawing shows."""
        name = self.name if self.scope is None else f"{self.scope}: {self.name}"
        return name if self.kind == "event" else f"{name} = {self.value!r}"


@dataclass(frozen=True, slots=True)
class Edge:
    """That one node follows another: in the same transaction, or later, as a delay does."""

    source: int
    target: int
    later: bool = False


@dataclass(frozen=True, slots=True)
class GraphView:
    """What a node follows, and what follows it, each input before what follows that."""

    nodes: tuple[NodeView, ...]
    edges: tuple[Edge, ...]

    def mermaid(self) -> str:
        """Return it as a flowchart of Mermaid."""
        lines = ["flowchart TD"]
        for node in self.nodes:
            text = node.text.replace('"', "#quot;")
            shape = f'(["{text}"])' if node.kind == "event" else f'["{text}"]'
            lines.append(f"    n{node.id}{shape}")
        for edge in self.edges:
            arrow = "-.->" if edge.later else "-->"
            lines.append(f"    n{edge.source} {arrow} n{edge.target}")
        return "\n".join(lines)

    def dot(self) -> str:
        """Return it as a directed graph of Graphviz."""
        lines = ["digraph {"]
        for node in self.nodes:
            text = node.text.replace("\\", "\\\\").replace('"', '\\"')
            shape = "ellipse" if node.kind == "event" else "box"
            lines.append(f'    n{node.id} [label="{text}", shape={shape}];')
        for edge in self.edges:
            style = " [style=dashed]" if edge.later else ""
            lines.append(f"    n{edge.source} -> n{edge.target}{style};")
        return "\n".join([*lines, "}"])


def graph(reactive: Any) -> GraphView:
    """Return what a Value or Event follows, and what follows it, in all steps, as data.

    What a timer is between, as in `delay`, is an edge that is `later`.
    """
    handle = ensure_reactive(reactive)
    start = node_of(handle)
    found = _reach(start, _before) | _reach(start, _after)
    numbers = {node: number for number, node in enumerate(sorted(found, key=_height), start=1)}
    return GraphView(
        tuple(_pictured(node, number) for node, number in numbers.items()),
        tuple(
            Edge(numbers[source], number, later)
            for node, number in numbers.items()
            for source, later in _before(node)
            if source in numbers
        ),
    )


def _reach(start: Node, steps: Any) -> dict[Node, None]:
    found = {start: None}
    following = [start]
    while following:
        for node, _ in steps(following.pop()):
            if node not in found:
                found[node] = None
                following.append(node)
    return found


def _before(node: Node) -> Iterator[tuple[Node, bool]]:
    for each in node.sources():
        yield each, each not in node.inputs


def _after(node: Node) -> Iterator[tuple[Node, bool]]:
    for each in node.dependents or ():
        if each.inputs:  # else it has ended
            yield each, False
    for subscription in node.callbacks or ():
        if subscription.listener is not None and subscription.callback is not None:
            yield subscription.listener, True


def _height(node: Node) -> int:
    return node.height


def _pictured(node: Node, number: int) -> NodeView:
    return NodeView(
        id=number,
        name=node.describe(),
        kind="event" if isinstance(node, EventNode) else "value",
        scope=None if node.owner is None else node.owner.scope.name,
        value=node.value,
        height=node.height,
        callbacks=sum(
            each.callback is not None and each.listener is None for each in node.callbacks or ()
        ),
    )
