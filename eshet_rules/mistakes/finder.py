"""Finds the mistakes in the source of a file."""

import ast
import re
from collections.abc import Callable, Collection, Iterator, Mapping
from typing import Final

from eshet_rules.mistakes.awaiting import async_callbacks, blocking_sleeps, never_awaited
from eshet_rules.mistakes.lifted import hidden_inputs
from eshet_rules.mistakes.mistake import Code, Mistake
from eshet_rules.mistakes.unmarked import unmarked_rules
from eshet_rules.mistakes.values import (
    changes_in_place,
    dead_nodes,
    decisions_once,
    events_and_values,
    kept_twice,
    sets_of_unsettable,
    texts_of_values,
)
from eshet_rules.mistakes.walking import Part, parts_of

__all__ = ["find_mistakes", "ignored_codes", "parse"]

_FINDERS: Final[Mapping[Code, Callable[[Part], Iterator[Mistake]]]] = {
    Code.ASYNC_CALLBACK: async_callbacks,
    Code.BLOCKING_SLEEP: blocking_sleeps,
    Code.CHANGED_IN_PLACE: changes_in_place,
    Code.DEAD_NODE: dead_nodes,
    Code.DECIDED_ONCE: decisions_once,
    Code.EVENT_AND_VALUE: events_and_values,
    Code.HIDDEN_INPUT: hidden_inputs,
    Code.KEPT_TWICE: kept_twice,
    Code.NEVER_AWAITED: never_awaited,
    Code.TEXT_OF_VALUE: texts_of_values,
    Code.VALUE_NOT_SETTABLE: sets_of_unsettable,
}

_IGNORE: Final = re.compile(r"#\s*check:\s*ignore(\[(?P<codes>[\w\s,-]*)\])?")


def parse(source: bytes) -> ast.Module | None:
    """Return the syntax tree of a file; None if it has no valid syntax."""
    try:
        return ast.parse(source)
    except SystemError:  # before Python 3.11.8, if another is parsed meanwhile (gh-106905)
        return parse(source)
    except (SyntaxError, ValueError, RecursionError, MemoryError):
        return None


def find_mistakes(
    tree: ast.Module,
    used_elsewhere: Collection[str] | None = (),
    codes: Collection[Code] = tuple(Code),
) -> list[Mistake]:
    """Return the mistakes in a file, in the order of lines.

    Args:
        tree: the file; see `parse`.
        used_elsewhere: the names that other files use of it. None for a helper, in which functions
            without `@rule` are right.
        codes: the kinds of mistakes to find.
    """
    finders = [finder for code, finder in _FINDERS.items() if code in codes]
    found = {mistake for part in parts_of(tree) for find in finders for mistake in find(part)}
    if used_elsewhere is not None and Code.NO_RULE in codes:
        found.update(unmarked_rules(tree, used_elsewhere))
    return sorted(found)


def ignored_codes(line: str) -> Callable[[str], bool]:
    """Return whether a line of a file ignores a code: by `# check: ignore` or `ignore[code]`."""
    found = _IGNORE.search(line)
    if found is None:
        return lambda code: False
    codes = {code.strip() for code in (found["codes"] or "").split(",")} - {""}
    return lambda code: not codes or code in codes
