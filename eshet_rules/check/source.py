"""Findings from the source of the files alone."""

import ast
from collections.abc import Iterator, Mapping
from typing import Final

from eshet_rules.check.finding import Finding, Severity
from eshet_rules.mistakes.finder import find_mistakes, parse
from eshet_rules.mistakes.mistake import Code
from eshet_rules.mistakes.unmarked import names_used_by
from eshet_rules.modules.discovery import Source

__all__ = ["find_in_source"]

_CERTAIN: Final = frozenset({Code.NEVER_AWAITED, Code.VALUE_NOT_SETTABLE})
"""Mistakes that are errors: the code can't work as written."""


def find_in_source(sources: Mapping[str, Source]) -> Iterator[Finding]:
    """Find the mistakes in the source of modules; a file with invalid syntax has none here.

    Args:
        sources: the modules of a rules folder, by name.
    """
    trees: dict[str, ast.Module] = {}
    for name, source in sources.items():
        if not source.problem and (tree := parse(source.data)) is not None:
            trees[name] = tree
    used = {name: names_used_by(tree) for name, tree in trees.items()}
    for name, tree in trees.items():
        source = sources[name]
        elsewhere: set[str] = set()
        elsewhere.update(*(names for other, names in used.items() if other != name))
        for mistake in find_mistakes(tree, None if source.is_helper else elsewhere):
            severity = Severity.ERROR if mistake.code in _CERTAIN else Severity.WARNING
            yield Finding(
                severity,
                mistake.code,
                source.path,
                mistake.line,
                mistake.problem,
                mistake.remedy,
            )
