"""Strategies beyond the contract's two, and how the configuration names all of them.

RunInTask               all at once
RunSerially             one after another; `only_latest`: what waits gives way to what is newer
RunLatest               a new one cancels the one that runs
RunSingle               a new one is dropped while one runs
RunConcurrently(limit)  so many at once, the others wait
"""

import dataclasses
import difflib
import pkgutil
import re
from collections.abc import Callable, Mapping
from dataclasses import dataclass
from typing import Any, Final

from eshet.tasks import Arrival, BuiltStrategy, RetryOptions, back_off_of
from eshet.utils import RunInTask, RunSerially, TaskStrategy
from eshet_rules.exceptions import StrategySettingsError

__all__ = ["RunConcurrently", "RunLatest", "RunSingle", "strategy_from"]


@dataclass(frozen=True, repr=False)
class RunLatest(RetryOptions, TaskStrategy):
    """Run only the newest task: it cancels the one that runs, and begins when that has ended.

    One that is cancelled in the midst of a call is told as interrupted: whether the call was heard
    is not known. Right for what is worth nothing once there is something newer, as a slow fade.

    Args:
        **options: see `eshet.tasks.RetryOptions`.
    """

    def build(self) -> BuiltStrategy:
        """Make what runs the tasks; see `TaskStrategy.build`."""
        return BuiltStrategy(
            self, at_once=1, arrival=Arrival.CANCELS_RUNNING, back_off=back_off_of(self)
        )


@dataclass(frozen=True, repr=False)
class RunSingle(RetryOptions, TaskStrategy):
    """Run one task at a time, and drop those that come while it runs.

    One that waits for its next attempt runs, too. Right for what must not be begun twice, as a
    round of the vacuum cleaner.

    Args:
        **options: see `eshet.tasks.RetryOptions`.
    """

    def build(self) -> BuiltStrategy:
        """Make what runs the tasks; see `TaskStrategy.build`."""
        return BuiltStrategy(self, at_once=1, arrival=Arrival.GIVES_WAY, back_off=back_off_of(self))


@dataclass(frozen=True, repr=False)
class RunConcurrently(RetryOptions, TaskStrategy):
    """Run so many tasks at once; the others wait, in the order in which they came.

    Args:
        limit: how many.
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
        """Make what runs the tasks; see `TaskStrategy.build`."""
        return BuiltStrategy(self, at_once=self.limit, back_off=back_off_of(self))


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
            `"concurrently"`; the others are its arguments. Errors are named as Python names its
            own, `["OSError"]`, or with their module, `["eshet.ErrorValue"]`.

    Raises:
        StrategySettingsError: there is no such strategy; it says which key is wrong, and what to
            write.
    """
    settings = dict(settings)
    run = settings.pop("run", None)
    if not isinstance(run, str) or run not in _STRATEGIES:
        known = ", ".join(f'"{name}"' for name in _STRATEGIES)
        raise StrategySettingsError("run", f"{run!r} is no strategy: write one of {known}")
    strategy = _STRATEGIES[run]
    checks = _checks(strategy)
    arguments = {key: _checked(run, key, value, checks) for key, value in settings.items()}
    if strategy is RunConcurrently and "limit" not in arguments:
        raise StrategySettingsError("limit", 'is missing: write how many, as "limit = 4"')
    try:
        return strategy(**arguments)
    except ValueError as error:
        raise StrategySettingsError(_key_in(str(error), arguments), str(error)) from None


def _checks(strategy: type[TaskStrategy]) -> dict[str, "Callable[[str, object], Any]"]:
    """Return what checks, and turns into what it means, the value of each key."""
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
        raise StrategySettingsError(key, f"{value!r} is no whole number")
    return value


def _checked_number(key: str, value: object) -> float:
    if not isinstance(value, int | float) or isinstance(value, bool):
        raise StrategySettingsError(key, f"{value!r} is no number")
    return float(value)


def _errors(key: str, value: object) -> tuple[type[Exception], ...]:
    if not isinstance(value, list) or not all(isinstance(name, str) for name in value):
        raise StrategySettingsError(key, f'{value!r} is no list of errors: write ["OSError"]')
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
    """Return the argument that an error of a strategy is about: the first that it names."""
    return next((word for word in re.findall(r"\w+", message) if word in arguments), "run")
