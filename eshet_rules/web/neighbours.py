"""The graph around a rule or a path, small enough to be drawn."""

from collections.abc import Iterable, Mapping
from typing import Any, Final

from eshet_rules.graph.drawing import Drawing, Item, Kind
from eshet_rules.graph.paths import draw_paths

__all__ = ["MOST_ITEMS", "around", "limited", "plain"]

MOST_ITEMS: Final = 60
"""Maximum number of items in a graph."""

_STEPS: Final = 2


def around(name: str, rules: Iterable[Mapping[str, Any]]) -> tuple[Drawing, bool]:
    """Return what is at most two steps from a rule or path, and whether some of that is left out.

    Args:
        name: of the rule, or the path.
        rules: reports on all rules, as plain data.
    """
    drawing = draw_paths(rules)
    names = [item.name for item in drawing.items]
    if name not in names:
        kind = Kind.PATH if name.startswith("/") else Kind.RULE
        return Drawing((Item(name, kind),), ()), False
    next_to: dict[int, list[int]] = {number: [] for number in range(len(names))}
    for source, target, _ in drawing.arrows:
        next_to[source].append(target)
        next_to[target].append(source)
    found = {names.index(name): None}
    edge = list(found)
    for _ in range(_STEPS):
        edge = [each for number in edge for each in next_to[number] if each not in found]
        found |= dict.fromkeys(edge)
    return _part(drawing, list(found)[:MOST_ITEMS]), len(found) > MOST_ITEMS


def limited(drawing: Drawing) -> tuple[Drawing, bool]:
    """Return the first items of a graph, and whether some are left out."""
    count = len(drawing.items)
    return _part(drawing, range(min(count, MOST_ITEMS))), count > MOST_ITEMS


def plain(drawing: Drawing, truncated: bool) -> dict[str, Any]:
    """Return a graph as plain data."""
    return {
        "items": [{"name": item.name, "kind": str(item.kind)} for item in drawing.items],
        "arrows": [list(arrow) for arrow in drawing.arrows],
        "truncated": truncated,
    }


def _part(drawing: Drawing, kept: Iterable[int]) -> Drawing:
    numbers = {old: new for new, old in enumerate(kept)}
    return Drawing(
        tuple(drawing.items[old] for old in numbers),
        tuple(
            (numbers[source], numbers[target], later)
            for source, target, later in drawing.arrows
            if source in numbers and target in numbers
        ),
    )
