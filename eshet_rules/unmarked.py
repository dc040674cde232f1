"""Finds functions that look like rules in files that have none: somebody forgot `@rule`."""

import inspect
from collections.abc import Mapping
from types import CodeType
from typing import Any, Final
from weakref import WeakSet

from structlog.typing import FilteringBoundLogger

from eshet_rules.importer import ModuleVersion
from eshet_rules.rule import GIVEN

__all__ = ["UnmarkedRules"]

_USED_BY_RULES: Final = frozenset(("yarp", "client"))


class UnmarkedRules:
    """Warns of what looks like a rule but is not run, once for each version of a module.

    Args:
        log: where.
    """

    def __init__(self, log: FilteringBoundLogger) -> None:
        self._log = log
        self._seen: WeakSet[ModuleVersion] = WeakSet()

    def warn(self, versions: Mapping[str, ModuleVersion]) -> None:
        """Look at the current versions of all modules; those that others import are helpers."""
        imported = {name for version in versions.values() for name in version.imports}
        for name, version in versions.items():
            is_helper = version.source.is_helper or name in imported
            if version.rules or is_helper or version in self._seen:
                continue
            self._seen.add(version)
            for code in _unmarked(version):
                self._log.warning(
                    "this looks like a rule, but nothing runs it",
                    module=name,
                    function=code.co_name,
                    file=code.co_filename,
                    line=code.co_firstlineno,
                    advice="write `@rule` above it; or, if the file is there for others to "
                    "import, begin its name with _",
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
    """Whether it uses what rules use, and needs nothing but what a rule is given."""
    needed = [
        each.name
        for each in inspect.signature(function).parameters.values()
        if each.default is each.empty and each.kind not in (each.VAR_POSITIONAL, each.VAR_KEYWORD)
    ]
    code = function.__code__
    uses = _USED_BY_RULES.intersection((*code.co_names, *code.co_varnames))
    return bool(uses) and all(name in GIVEN for name in needed)
