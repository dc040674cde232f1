"""Finds modules that must change together."""

from collections.abc import Iterable, Mapping

__all__ = ["connected_components"]


def connected_components(parts: Mapping[str, Iterable[str]]) -> list[list[str]]:
    """Return the groups of modules that have a part in common, directly or indirectly.

    Args:
        parts: the parts of each module, such as the names of the modules that it imports.

    Returns:
        The names of modules, in their given order, each in exactly one group.
    """
    parents: dict[str, str] = {}  # a union-find structure; a root is its own parent

    def root(part: str) -> str:
        path = [part]
        while (parent := parents.setdefault(path[-1], path[-1])) != path[-1]:
            path.append(parent)
        parents.update(dict.fromkeys(path, path[-1]))
        return path[-1]

    for name, its_parts in parts.items():
        for part in its_parts:
            parents[root(part)] = root(name)
    groups: dict[str, list[str]] = {}
    for name in parts:
        groups.setdefault(root(name), []).append(name)
    return list(groups.values())
