"""Which modules have to change together."""

from collections.abc import Iterable, Mapping

__all__ = ["connected_components"]


def connected_components(parts: Mapping[str, Iterable[str]]) -> list[list[str]]:
    """Return the groups of modules that have a part in common, directly or over others.

    Args:
        parts: what belongs to each module, such as the names of what it imports.

    Returns:
        The names of modules, in their given order, each in exactly one group.
    """
    leaders: dict[str, str] = {}  # of each part, one that it is connected to; its own at the top

    def top(part: str) -> str:
        way = [part]
        while (leader := leaders.setdefault(way[-1], way[-1])) != way[-1]:
            way.append(leader)
        leaders.update(dict.fromkeys(way, way[-1]))
        return way[-1]

    for name, of_it in parts.items():
        for part in of_it:
            leaders[top(part)] = top(name)
    groups: dict[str, list[str]] = {}
    for name in parts:
        groups.setdefault(top(name), []).append(name)
    return list(groups.values())
