"""The graph of paths and rules."""

import difflib
from collections.abc import Collection, Iterable, Iterator, Mapping, Sequence
from fnmatch import fnmatchcase
from typing import Any

from eshet_rules.config import is_meant
from eshet_rules.exceptions import NotInGraph
from eshet_rules.graph.drawing import Drawing, Item, Kind

__all__ = ["draw_paths"]


def draw_paths(rules: Iterable[Mapping[str, Any]], names: Sequence[str] = ()) -> Drawing:
    """Return the graph of rules, the paths that they read, and the paths that they write.

    The functions that rules call with `yarp.act` are drawn beside the paths that they write.

    Args:
        rules: reports on rules, as plain data: `rule`, `reads` and `writes`.
        names: those of rules, modules or paths, or globs of them: only these and their neighbours
            are drawn; by default everything.

    Raises:
        NotInGraph: nothing has one of the names.
    """
    rules = list(rules)
    kinds = {rule["rule"]: Kind.RULE for rule in rules}
    arrows = [
        arrow
        for rule in rules
        for arrow in (
            *((path, rule["rule"]) for path in rule["reads"]),
            *((rule["rule"], path) for path in rule["writes"]),
        )
    ]
    ends = {end for arrow in arrows for end in arrow}
    if names:
        named = set(_named(names, {*kinds, *ends}))
        arrows = [arrow for arrow in arrows if not named.isdisjoint(arrow)]
        ends = named.union(*arrows)
    numbers = {end: number for number, end in enumerate(sorted(ends))}
    return Drawing(
        tuple(Item(end, kinds.get(end) or _kind(end)) for end in numbers),
        tuple((numbers[source], numbers[target], False) for source, target in arrows),
    )


def _named(names: Sequence[str], ends: Collection[str]) -> Iterator[str]:
    for name in names:
        found = [end for end in ends if _is_named(end, name)]
        if not found:
            raise NotInGraph(name, difflib.get_close_matches(name, ends, 3))
        yield from found


def _kind(end: str) -> Kind:
    return Kind.PATH if _is_path(end) else Kind.OUTPUT


def _is_path(end: str) -> bool:
    return end.startswith("/")


def _is_named(end: str, name: str) -> bool:
    if _is_path(end):
        return end == name or fnmatchcase(end, name)
    return is_meant(end, name)
