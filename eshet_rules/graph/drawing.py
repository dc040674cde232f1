"""A graph as a diagram."""

import json
from collections.abc import Iterator
from dataclasses import dataclass
from enum import StrEnum
from typing import Any, Final

__all__ = ["FORMATS", "Drawing", "Item", "Kind"]


class Kind(StrEnum):
    """The kinds of items."""

    PATH = "path"
    RULE = "rule"
    VALUE = "value"
    EVENT = "event"
    OUTPUT = "output"


@dataclass(frozen=True)
class Item:
    """A thing in a graph.

    Args:
        name: the text in a diagram.
        kind: its kind.
    """

    name: str
    kind: Kind


@dataclass(frozen=True)
class Drawing:
    """A graph.

    Args:
        items: in the order in which they are drawn.
        arrows: from one item to another, by their positions, and whether there is a timer between
            them.
    """

    items: tuple[Item, ...]
    arrows: tuple[tuple[int, int, bool], ...]

    def mermaid(self) -> Iterator[str]:
        """Iterate over the lines of a Mermaid flowchart."""
        yield "flowchart LR"
        for number, item in enumerate(self.items):
            text = item.name.replace('"', "#quot;")
            opening, closing = _MERMAID[item.kind]
            yield f'    n{number}{opening}"{text}"{closing}'
        for source, target, is_later in self.arrows:
            yield f"    n{source} {'-.->' if is_later else '-->'} n{target}"

    def dot(self) -> Iterator[str]:
        """Iterate over the lines of a directed graph for Graphviz."""
        yield "digraph {"
        yield "    rankdir=LR;"
        for number, item in enumerate(self.items):
            text = item.name.replace("\\", "\\\\").replace('"', '\\"')
            yield f'    n{number} [label="{text}", shape={_DOT[item.kind]}];'
        for source, target, is_later in self.arrows:
            yield f"    n{source} -> n{target}{' [style=dashed]' if is_later else ''};"
        yield "}"

    def json(self) -> Iterator[str]:
        """Yield one line of JSON."""
        yield json.dumps(self.plain())

    def plain(self) -> dict[str, Any]:
        """Return the graph as plain data."""
        return {
            "items": [[item.name, str(item.kind)] for item in self.items],
            "arrows": [list(arrow) for arrow in self.arrows],
        }

    @classmethod
    def restored(cls, data: Any) -> "Drawing":
        """Return a graph from plain data."""
        return cls(
            tuple(Item(name, Kind(kind)) for name, kind in data["items"]),
            tuple((source, target, is_later) for source, target, is_later in data["arrows"]),
        )


_MERMAID: Final = {
    Kind.PATH: ("([", "])"),
    Kind.RULE: ("[", "]"),
    Kind.VALUE: ("[", "]"),
    Kind.EVENT: ("([", "])"),
    Kind.OUTPUT: ("[/", "/]"),
}
_DOT: Final = {
    Kind.PATH: "ellipse",
    Kind.RULE: "box",
    Kind.VALUE: "box",
    Kind.EVENT: "ellipse",
    Kind.OUTPUT: "parallelogram",
}

FORMATS: Final = {"mermaid": Drawing.mermaid, "dot": Drawing.dot, "json": Drawing.json}
"""The functions that write a graph, by the names of their formats."""
