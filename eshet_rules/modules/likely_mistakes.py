"""Warns about code in rule files that is valid Python, but probably a mistake.

These are: a function that looks like a rule in a file without `@rule`; a change in place of a list
in a Value, which the Value can't notice; and some other mistakes that nothing notices when the rule
runs. `eshet_rules.mistakes` finds them in the source.
"""

import inspect
import re
from collections.abc import Mapping
from types import CodeType
from typing import Any, Final

from structlog.typing import FilteringBoundLogger

from eshet_rules.audit.records.rules import LikelyMistake, UnmarkedRule, ValueChangedInPlace
from eshet_rules.audit.records.schema import Record, emit
from eshet_rules.mistakes.finder import find_mistakes, ignored_codes, parse
from eshet_rules.mistakes.mistake import Code, Mistake
from eshet_rules.mistakes.values import MAY_CHANGE
from eshet_rules.modules.importer import ModuleVersion
from eshet_rules.rule import ARGUMENTS

__all__ = ["LikelyMistakes"]

_USED_BY_RULES: Final = frozenset(("yarp", "client"))

_SUSPICIOUS: Final = re.compile(
    rb"\bkeep\s*\("
    rb"|\b(if|match)\b[^\n]*\.value\b"
    rb"|\b(add_done_callback|add_signal_handler|call_at|call_later|call_soon|call_soon_threadsafe"
    rb"|run_in_executor|to_thread|Thread|Timer)\s*\("
    rb"|\bfn(\([^)\n]*\))?\s*\n\s*async\s"
)
"""Matches each file that may have a mistake of `_REPORTED`; only those are parsed."""

_REPORTED: Final = (
    Code.ASYNC_CALLBACK,
    Code.CHANGED_IN_PLACE,
    Code.DECIDED_ONCE,
    Code.KEPT_TWICE,
)
"""The mistakes that are logged here. Others are found when the rule runs, or by `check` only."""


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
                self._warn_of_mistakes(version)
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

    def _warn_of_mistakes(self, version: ModuleVersion) -> None:
        source = version.source
        for mistake in _mistakes(source.data):
            if mistake.code is Code.CHANGED_IN_PLACE:
                event: Record = ValueChangedInPlace(
                    module=version.name,
                    file=str(source.path),
                    line=mistake.line,
                    advice=mistake.remedy,
                )
            else:
                event = LikelyMistake(
                    module=version.name,
                    file=str(source.path),
                    line=mistake.line,
                    code=mistake.code.value,
                    problem=mistake.problem,
                    advice=mistake.remedy,
                )
            emit(self._log, event)


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


def _mistakes(text: bytes) -> list[Mistake]:
    """Return the mistakes in a file, except for those that a comment at their line ignores."""
    if not (MAY_CHANGE.search(text) or _SUSPICIOUS.search(text)):
        return []
    tree = parse(text)
    if tree is None:
        return []
    lines = text.decode(errors="replace").splitlines()
    return [
        mistake
        for mistake in find_mistakes(tree, None, _REPORTED)
        if not ignored_codes(lines[mistake.line - 1])(mistake.code)
    ]
