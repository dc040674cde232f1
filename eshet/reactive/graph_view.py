"""A part of the graph as data, and as a diagram."""

from collections.abc import Callable, Iterable, Iterator
from dataclasses import dataclass

from eshet.reactive.containers import ensure_reactive
from eshet.reactive.core.graph import EventNode, Node
from eshet.reactive.core.handle import node_of
from eshet.reactive.core.subscription import Subscription
from eshet.reactive.core.transaction import Notified

__all__ = ["Edge", "GraphView", "NodeView", "graph", "view_of"]


@dataclass(frozen=True, slots=True)
class NodeView:
    """A node at the time of the view.

    Attributes:
        id: its number in this view, from 1.
        name: its description, with the place where it was made.
        kind: "value" or "event".
        scope: the name of the scope that owns it.
        value: the value of a Value.
        height: how many steps it is above its deepest source.
        callbacks: the number of callbacks on it.
    """

    id: int
    name: str
    kind: str
    scope: str | None
    value: object
    height: int
    callbacks: int

    @property
    def text(self) -> str:
        """The text in a diagram."""
        name = self.name if self.scope is None else f"{self.scope}: {self.name}"
        return name if self.kind == "event" else f"{name} = {self.value!r}"


@dataclass(frozen=True, slots=True)
class Edge:
    """A dependency between two nodes: in the same transaction, or later, as with a delay."""

    source: int
    target: int
    later: bool = False


@dataclass(frozen=True, slots=True)
class GraphView:
    """A node with all nodes that it follows or that follow it, inputs first."""

    nodes: tuple[NodeView, ...]
    edges: tuple[Edge, ...]

    def mermaid(self) -> str:
        """Return a Mermaid flowchart."""
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
        """Return a Graphviz directed graph."""
        lines = ["digraph {"]
        for node in self.nodes:
            text = node.text.replace("\\", "\\\\").replace('"', '\\"')
            shape = "ellipse" if node.kind == "event" else "box"
            lines.append(f'    n{node.id} [label="{text}", shape={shape}];')
        for edge in self.edges:
            style = " [style=dashed]" if edge.later else ""
            lines.append(f"    n{edge.source} -> n{edge.target}{style};")
        return "\n".join([*lines, "}"])


def graph(reactive: object) -> GraphView:
    """Return all nodes that a Value or Event follows, and all that follow it, as data.

    An edge with a timer in between, as with `delay`, is marked `later`.
    """
    handle = ensure_reactive(reactive)
    start = node_of(handle)
    return view_of(_reach(start, _before) | _reach(start, _after))


def view_of(nodes: Iterable[Node]) -> GraphView:
    """Return nodes, and the edges between them, as data."""
    numbers = {node: number for number, node in enumerate(sorted(nodes, key=_height), start=1)}
    return GraphView(
        tuple(_view_of(node, number) for node, number in numbers.items()),
        tuple(
            Edge(numbers[source], number, later)
            for node, number in numbers.items()
            for source, later in _before(node)
            if source in numbers
        ),
    )


def _reach(start: Node, steps: Callable[[Node], Iterable[tuple[Node, bool]]]) -> dict[Node, None]:
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
        if each.inputs:  # otherwise it has ended
            yield each, False
    for subscription in node.callbacks or ():
        listener = _listener(subscription)
        if listener is not None and subscription.callback is not None:
            yield listener, True


def _listener(subscription: Notified) -> Node | None:
    """Return the node that a callback changes, if it exists for one."""
    return subscription.listener if isinstance(subscription, Subscription) else None


def _height(node: Node) -> int:
    return node.height


def _view_of(node: Node, number: int) -> NodeView:
    return NodeView(
        id=number,
        name=node.describe(),
        kind="event" if isinstance(node, EventNode) else "value",
        scope=None if node.owner is None else node.owner.scope.name,
        value=node.value,
        height=node.height,
        callbacks=sum(
            each.callback is not None and _listener(each) is None for each in node.callbacks or ()
        ),
    )
