"""Warns about code in rule files that is valid Python, but probably a mistake.

These are: a function that looks like a rule in a file without `@rule`, and a change in place of a
list in a Value, which the Value can't notice.
"""

import ast
import inspect
import re
from collections.abc import Iterator, Mapping
from types import CodeType
from typing import Any, Final

from structlog.typing import FilteringBoundLogger

from eshet_rules.audit.records import UnmarkedRule, ValueChangedInPlace, emit
from eshet_rules.modules.importer import ModuleVersion
from eshet_rules.rule import ARGUMENTS

__all__ = ["LikelyMistakes"]

_USED_BY_RULES: Final = frozenset(("yarp", "client"))

_CHANGE: Final = (
    *("add", "append", "clear", "discard", "extend", "insert", "pop", "popitem", "remove"),
    *("reverse", "setdefault", "sort", "update"),
)
"""Methods that change the list, dict or set that they belong to."""

_MAY_CHANGE: Final = re.compile(rb"\.value\s*(\[|\.\s*(%s)\s*\()" % "|".join(_CHANGE).encode())
"""Matches each file that may change the content of a Value in place; only those are parsed."""


class LikelyMistakes:
    """Warns about likely mistakes, once for each version of a module.

    Args:
        log: receives the warnings.
    """

    def __init__(self, log: FilteringBoundLogger) -> None:
        self._log = log

    def warn(self, versions: Mapping[str, ModuleVersion]) -> None:
        """Check the current versions of all modules."""
        imported = {name for version in versions.values() for name in version.imports}
        for name, version in versions.items():
            if version.is_checked:
                continue
            if version.rules:
                self._warn_of_changes_in_place(version)
            elif version.source.is_helper or name in imported:
                continue  # check it again later: its importers may change
            else:
                self._warn_of_unmarked(version)
            version.is_checked = True

    def _warn_of_unmarked(self, version: ModuleVersion) -> None:
        for code in _unmarked(version):
            emit(
                self._log,
                UnmarkedRule(
                    module=version.name,
                    function=code.co_name,
                    file=code.co_filename,
                    line=code.co_firstlineno,
                    advice="write `@rule` above it; or, if other files import this one, begin its "
                    "name with _",
                ),
            )

    def _warn_of_changes_in_place(self, version: ModuleVersion) -> None:
        for line, value in _changes_in_place(version.source.data):
            emit(
                self._log,
                ValueChangedInPlace(
                    module=version.name,
                    file=str(version.source.path),
                    line=line,
                    advice=f"assign a new one, as in `{value} = [*{value}, item]` or "
                    f"`{value} = {{**{value}, key: item}}`",
                ),
            )


def _unmarked(version: ModuleVersion) -> list[CodeType]:
    """Return the code of `async def` functions of a module that look like rules."""
    module = version.module
    return [
        each.__code__
        for each in vars(module).values()
        if inspect.isfunction(each)
        and inspect.iscoroutinefunction(each)
        and each.__module__ == module.__name__
        and _looks_like_a_rule(each)
    ]


def _looks_like_a_rule(function: Any) -> bool:
    """Whether a function uses `yarp` or `client`, and needs only the arguments that rules get."""
    needed = [
        each.name
        for each in inspect.signature(function).parameters.values()
        if each.default is each.empty and each.kind not in (each.VAR_POSITIONAL, each.VAR_KEYWORD)
    ]
    code = function.__code__
    uses = _USED_BY_RULES.intersection((*code.co_names, *code.co_varnames))
    return bool(uses) and all(name in ARGUMENTS for name in needed)


def _changes_in_place(text: bytes) -> list[tuple[int, str]]:
    """Return the lines that change a `value` in place, with its expression, such as `seen.value`.

    Expressions that the file also assigns to, as in `seen.value = seen.value`, are left out.
    """
    if not _MAY_CHANGE.search(text):
        return []
    try:
        tree = ast.parse(text)
    except (SyntaxError, ValueError, RecursionError, MemoryError):  # even if it was compiled
        return []
    assigned = set(_assigned(tree))
    return sorted({(line, value) for line, value in _changed(tree) if value not in assigned})


def _assigned(tree: ast.AST) -> Iterator[str]:
    for node in ast.walk(tree):
        match node:
            case ast.Attribute(ctx=ast.Store()) if _is_value(node):
                yield ast.unparse(node)


def _changed(tree: ast.AST) -> Iterator[tuple[int, str]]:
    for node in ast.walk(tree):
        match node:
            case ast.Call(func=ast.Attribute(value=held, attr=method)) if method in _CHANGE:
                pass
            case ast.Subscript(value=held, ctx=ast.Store() | ast.Del()):
                pass
            case _:
                continue
        if _is_value(held):
            yield node.lineno, ast.unparse(held)


def _is_value(node: object) -> bool:
    """Whether an expression is `name.value`, except for `self.value` and `cls.value`."""
    match node:
        case ast.Attribute(value=ast.Name(id=name), attr="value") if name not in ("self", "cls"):
            return True
        case _:
            return False
