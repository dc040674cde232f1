"""Records who decides over driven paths, and the overrides by persons."""

import contextvars
from collections.abc import Callable
from datetime import UTC, datetime
from typing import Any

from structlog.typing import FilteringBoundLogger

from eshet.cause import Cause, current, current_cause
from eshet.clock import wall_time
from eshet.interpreter import running_loop
from eshet.reactive.core.markers import is_absent
from eshet.yarp.driving.driver import (
    Contested,
    Decided,
    Driver,
    Effect,
    OverrideBegan,
    OverrideEnded,
)
from eshet_rules.audit.records.paths import (
    DeciderChanged,
    PathContested,
    PathOverridden,
    PathReleased,
)
from eshet_rules.audit.records.schema import emit

__all__ = ["recording"]


def recording(log: FilteringBoundLogger) -> Callable[[str, Effect], None]:
    """Return a function that records an effect on a path.

    Args:
        log: receives the records, with the rule that decides and the present cause.
    """

    def record(path: str, effect: Effect) -> None:
        # In a context without the rule that has changed the value.
        contextvars.Context().run(_record, log, path, effect, current_cause())

    return record


def _record(log: FilteringBoundLogger, path: str, effect: Effect, cause: Cause | None) -> None:
    current.set(cause)
    match effect:
        case Decided(by=Driver() as driver, value=value):
            decided = DeciderChanged(path=path, by="rule", value=value, priority=driver.priority)
            emit(_of(log, driver), decided)
        case Decided(by=None):
            emit(log, DeciderChanged(path=path, by="nobody"))
        case Decided(value=value):
            emit(log, DeciderChanged(path=path, by="person", value=value))
        case OverrideBegan(person=person, rules=rules, until=until, is_restored=is_restored):
            began = PathOverridden(
                path=path,
                value=person.value,
                rules=_names(rules),
                until=_stamp(until),
                since=_stamp(person.since) if is_restored else None,
            )
            emit(log, began)
        case OverrideEnded(person=person, why=why):
            emit(log, PathReleased(path=path, value=person.value, why=why))
        case Contested(value=value, shown=shown, driver=driver):
            contested = PathContested(
                path=path,
                value=value,
                shown=_known(shown),
                advice="find out who changes it: people may not know of this rule, and of several "
                "programs, only one should decide over the path",
            )
            emit(_of(log, driver), contested)


def _of(log: FilteringBoundLogger, driver: Driver) -> FilteringBoundLogger:
    """Return the log bound to the rule of a driver."""
    module = driver.rule.partition("[")[0].rpartition(".")[0]  # the name of one of `each` has dots
    return log.bind(rule=driver.rule, module=module) if driver.rule else log


def _names(rules: list[str]) -> list[str]:
    return list(dict.fromkeys(filter(None, rules)))


def _known(value: Any) -> Any:
    return None if is_absent(value) else value


def _stamp(time: float) -> str | None:
    """Return a time of the loop as text in UTC; None if it is infinite, or after the year 9999."""
    loop = running_loop()
    if loop is None:
        return None
    try:
        moment = datetime.fromtimestamp(wall_time() - loop.time() + time, UTC)
    except (OverflowError, ValueError):  # also of a damaged file
        return None
    return moment.isoformat(timespec="seconds").replace("+00:00", "Z")
