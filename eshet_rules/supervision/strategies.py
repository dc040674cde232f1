"""Strategies beyond the two of `eshet.utils`, and their names in the configuration.

RunInTask               all tasks at once
RunSerially             one after another; with `only_latest`, a newer task replaces a waiting one
RunLatest               a new task cancels the running one
RunSingle               a new task is dropped while one runs
RunConcurrently(limit)  at most `limit` tasks at once, the others wait
"""

import dataclasses
import difflib
import pkgutil
import re
from collections.abc import Callable, Mapping
from dataclasses import dataclass
from typing import Any, Final

from eshet.tasks import Arrival, BuiltStrategy, RetryOptions, backoff_of
from eshet.utils import RunInTask, RunSerially, TaskStrategy
from eshet_rules.exceptions import StrategySettingsError

__all__ = ["RunConcurrently", "RunLatest", "RunSingle", "strategy_from"]


@dataclass(frozen=True, repr=False)
class RunLatest(RetryOptions, TaskStrategy):
    """Run only the newest task: it cancels the running one, and begins when that has ended.

    A task that is cancelled during a call is recorded as `interrupted`: the call may or may not
    have taken effect. Suitable for tasks that are obsolete once there is a newer one, such as a
    slow fade.

    Args:
        **options: see `eshet.tasks.RetryOptions`.
    """

    def build(self) -> BuiltStrategy:
        """Build the object that runs the tasks; see `TaskStrategy.build`."""
        return BuiltStrategy(
            self, at_once=1, arrival=Arrival.CANCELS_RUNNING, backoff=backoff_of(self)
        )


@dataclass(frozen=True, repr=False)
class RunSingle(RetryOptions, TaskStrategy):
    """Run one task at a time, and drop new tasks while it runs.

    A task that waits for its next attempt counts as running. Suitable for work that must not be
    started twice, such as a round of the vacuum cleaner.

    Args:
        **options: see `eshet.tasks.RetryOptions`.
    """

    def build(self) -> BuiltStrategy:
        """Build the object that runs the tasks; see `TaskStrategy.build`."""
        return BuiltStrategy(self, at_once=1, arrival=Arrival.GIVES_WAY, backoff=backoff_of(self))


@dataclass(frozen=True, repr=False)
class RunConcurrently(RetryOptions, TaskStrategy):
    """Run at most `limit` tasks at once; the others wait, in order.

    Args:
        limit: maximum number of running tasks.
        **options: see `eshet.tasks.RetryOptions`.

    Raises:
        ValueError: the limit lets no task run.
    """

    limit: int

    def __post_init__(self) -> None:
        super().__post_init__()
        if not self.limit >= 1:
            raise ValueError(f"limit={self.limit} would let no task run: write 1 or more")

    def build(self) -> BuiltStrategy:
        """Build the object that runs the tasks; see `TaskStrategy.build`."""
        return BuiltStrategy(self, at_once=self.limit, backoff=backoff_of(self))


_STRATEGIES: Final[Mapping[str, type[TaskStrategy]]] = {
    "in task": RunInTask,
    "serially": RunSerially,
    "latest": RunLatest,
    "single": RunSingle,
    "concurrently": RunConcurrently,
}

_ERRORS: Final = ("retry_on", "give_up_on")
_NOT_FOR_FILES: Final = ("randomness",)


def strategy_from(settings: Mapping[str, object]) -> TaskStrategy:
    """Return the strategy that settings describe.

        {run = "serially", only_latest = true, retry = true, timeout = 5}

    Args:
        settings: `run` names the strategy: `"in task"`, `"serially"`, `"latest"`, `"single"` or
            `"concurrently"`; the others are its arguments. Errors are given by the names of
            built-in exceptions, `["OSError"]`, or with their module, `["eshet.ErrorValue"]`.

    Raises:
        StrategySettingsError: a setting is not valid; the error says which one, and what to write.
    """
    settings = dict(settings)
    run = settings.pop("run", None)
    if not isinstance(run, str) or run not in _STRATEGIES:
        known = ", ".join(f'"{name}"' for name in _STRATEGIES)
        raise StrategySettingsError("run", f"{run!r} is not a strategy: write one of {known}")
    strategy = _STRATEGIES[run]
    checks = _checks(strategy)
    arguments = {key: _checked(run, key, value, checks) for key, value in settings.items()}
    if strategy is RunConcurrently and "limit" not in arguments:
        raise StrategySettingsError("limit", 'is missing: write a number, such as "limit = 4"')
    try:
        return strategy(**arguments)
    except ValueError as error:
        raise StrategySettingsError(_key_in(str(error), arguments), str(error)) from None


def _checks(strategy: type[TaskStrategy]) -> dict[str, "Callable[[str, object], Any]"]:
    """Return a function for each key that checks and converts its value."""
    kinds: dict[Any, Callable[[str, object], Any]] = {
        bool: _checked_flag,
        int: _checked_count,
        int | None: _checked_count,
        float: _checked_number,
        float | None: _checked_number,
    }
    return {
        each.name: _errors if each.name in _ERRORS else kinds[each.type]
        for each in dataclasses.fields(strategy)  # type: ignore[arg-type]
        if each.name not in _NOT_FOR_FILES
    }


def _checked(
    run: str, key: str, value: object, checks: Mapping[str, "Callable[[str, object], Any]"]
) -> Any:
    if key not in checks:
        near = difflib.get_close_matches(key, checks, n=1)
        hint = f"did you mean {near[0]}?" if near else f"it has {', '.join(sorted(checks))}"
        raise StrategySettingsError(key, f'run = "{run}" has no such option: {hint}')
    return checks[key](key, value)


def _checked_flag(key: str, value: object) -> bool:
    if not isinstance(value, bool):
        raise StrategySettingsError(key, f"{value!r} is neither true nor false")
    return value


def _checked_count(key: str, value: object) -> int:
    if not isinstance(value, int) or isinstance(value, bool):
        raise StrategySettingsError(key, f"{value!r} is not a whole number")
    return value


def _checked_number(key: str, value: object) -> float:
    if not isinstance(value, int | float) or isinstance(value, bool):
        raise StrategySettingsError(key, f"{value!r} is not a number")
    return float(value)


def _errors(key: str, value: object) -> tuple[type[Exception], ...]:
    if not isinstance(value, list) or not all(isinstance(name, str) for name in value):
        raise StrategySettingsError(key, f'{value!r} is not a list of errors: write ["OSError"]')
    return tuple(_error(key, name) for name in value)


def _error(key: str, name: str) -> type[Exception]:
    try:
        found = pkgutil.resolve_name(name if "." in name else f"builtins:{name}")
    except (ImportError, AttributeError, ValueError):
        found = None
    if not (isinstance(found, type) and issubclass(found, Exception)):
        raise StrategySettingsError(
            key, f'there is no error {name!r}: write "OSError", or "eshet.ErrorValue"'
        )
    return found


def _key_in(message: str, arguments: Mapping[str, object]) -> str:
    """Return the argument that the text of an error names first."""
    return next((word for word in re.findall(r"\w+", message) if word in arguments), "run")
