"""The graph of paths and rules."""

from collections.abc import Iterable, Mapping, Sequence
from fnmatch import fnmatchcase
from typing import Any

from eshet_rules.config import is_meant
from eshet_rules.graph.drawing import Drawing, Item, Kind

__all__ = ["draw_paths"]


def draw_paths(rules: Iterable[Mapping[str, Any]], names: Sequence[str] = ()) -> Drawing:
    """Return the graph of rules, the paths that they read, and the paths that they write.

    Args:
        rules: reports on rules, as plain data: `rule`, `reads` and `writes`.
        names: those of rules, modules or paths, or globs of them: only what is next to one of them
            is drawn; by default everything.
    """
    arrows = [
        arrow
        for rule in rules
        for arrow in (
            *((path, rule["rule"]) for path in rule["reads"]),
            *((rule["rule"], path) for path in rule["writes"]),
        )
        if not names or any(_is_named(end, name) for end in arrow for name in names)
    ]
    ends = sorted({end for arrow in arrows for end in arrow})
    numbers = {end: number for number, end in enumerate(ends)}
    return Drawing(
        tuple(Item(end, Kind.PATH if _is_path(end) else Kind.RULE) for end in ends),
        tuple((numbers[source], numbers[target], False) for source, target in arrows),
    )


def _is_path(end: str) -> bool:
    return end.startswith("/")


def _is_named(end: str, name: str) -> bool:
    if _is_path(end):
        return end == name or fnmatchcase(end, name)
    return is_meant(end, name)
