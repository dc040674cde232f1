"""Finds modules that have nothing to do with rules, as in a wrong folder. None is imported."""

import ast
from collections.abc import Iterator, Mapping
from typing import Final

from eshet_rules.modules.discovery import Source

__all__ = ["find_strangers"]

_OURS: Final = frozenset({"eshet", "eshet_rules"})


def find_strangers(sources: Mapping[str, Source]) -> list[str]:
    """Return the names of the modules that have no rules, and that none with rules imports.

    A module that imports `eshet` or `eshet_rules`, or has a function `async def main`, counts as
    one with rules. A helper is never loaded on its own, and so is not a stranger.

    Args:
        sources: all modules of a folder, by name.
    """
    trees = {name: _parsed(source) for name, source in sources.items()}
    imported = {name: set(_imported(sources[name], tree)) for name, tree in trees.items()}
    known = {
        name
        for name, tree in trees.items()
        if not _OURS.isdisjoint(imported[name]) or any(map(_is_main, tree.body))
    }
    following = list(known)
    while following:
        new = {name for name in imported[following.pop()] if name in sources} - known
        known |= new
        following += new
    return [name for name, source in sources.items() if name not in known and not source.is_helper]


def _parsed(source: Source) -> ast.Module:
    try:
        return ast.parse(source.data)
    except (SyntaxError, ValueError, RecursionError, MemoryError):
        return ast.Module([], [])


def _is_main(statement: ast.stmt) -> bool:
    return isinstance(statement, ast.AsyncFunctionDef) and statement.name == "main"


def _imported(source: Source, tree: ast.Module) -> Iterator[str]:
    """Iterate over the names of modules that are imported, with those of their packages."""
    for node in ast.walk(tree):
        match node:
            case ast.Import():
                names = [alias.name for alias in node.names]
            case ast.ImportFrom():
                base = _base(source.package, node)
                names = [base, *(f"{base}.{alias.name}".lstrip(".") for alias in node.names)]
            case _:
                continue
        for name in names:
            parts = name.split(".")
            yield from (".".join(parts[:end]) for end in range(1, len(parts) + 1))


def _base(package: str, node: ast.ImportFrom) -> str:
    """Return the module from which names are imported; empty for the rules folder itself."""
    if not node.level:
        return node.module or ""
    parts = package.split(".") if package else []
    above = parts[: len(parts) - (node.level - 1)]
    return ".".join([*above, *([node.module] if node.module else [])])
