"""A driver, a person, and the effects that an arbiter returns."""

import math
from dataclasses import dataclass
from typing import Any, Literal, TypeAlias

from eshet.reactive.core.markers import NoValue
from eshet.yarp.driving.sent_values import SentValue

__all__ = [
    "Contested",
    "Decided",
    "Driver",
    "Effect",
    "EndOfOverride",
    "OverrideBegan",
    "OverrideEnded",
    "Person",
    "Send",
    "WhySent",
]

EndOfOverride: TypeAlias = Literal[
    "time", "condition", "released", "command", "given back", "no driver"
]
"""Why an override has ended: its time was over; its condition is not true any more; an Event or a
command has ended it; the person has set the wanted value; the last driver has left."""

WhySent: TypeAlias = Literal["decision", "override", "correction", "owner", "reconnected"]
"""Why a value is sent: it, or who decides, has changed; it is that of a person, to which the path
returns; others have changed it; the owner of the path, or the connection, was away."""


@dataclass(eq=False, slots=True)
class Person:
    """A person, or anything other than our rules, that has changed a path.

    Args:
        value: to which the path was changed.
        since: when.
        cause: of the change; only passed on.
        is_interrupted: whether the last driver that stood by has left, and may come back.
    """

    value: object
    since: float
    cause: Any = None
    is_interrupted: bool = False


@dataclass(eq=False, slots=True)
class Driver:
    """One call of `yarp.drive`.

    Args:
        rule: the full name of its rule; empty without a runner.
        number: larger than those of earlier drivers of the same rule.
        priority: the highest priority decides.
        override: seconds for which it stands by after a change by a person; infinite if it does so
            as long as `may_stand_by` holds; None if it never stands by.
        verify: seconds within which the path has to show its value; None for no limit.
        tolerance: by which numbers may differ that count as equal.
        value: the value that it wants; `NoValue` if it has no opinion.
        may_stand_by: whether its override may begin, or last.
        is_released: whether its part in the present override has ended early.
        cause: of its value; only passed on.
        is_absent: whether it only stands by for the driver of an earlier process, until its rule
            has joined. It has no opinion and sends nothing.
    """

    rule: str = ""
    number: int = 0
    priority: float = 0
    override: float | None = None
    verify: float | None = None
    tolerance: float = 0.0
    value: Any = NoValue
    may_stand_by: bool = True
    is_released: bool = False
    cause: Any = None
    is_absent: bool = False

    @property
    def rank(self) -> tuple[float, str, int]:
        """Of two drivers, the one with the greater rank decides."""
        return self.priority, self.rule, self.number

    @property
    def key(self) -> tuple[str, float]:
        """Identifies the driver beyond a reload."""
        return self.rule, self.priority

    @property
    def has_opinion(self) -> bool:
        """Whether it wants a value."""
        return self.value is not NoValue

    def stands_by_until(self, person: Person | None) -> float:
        """Return until when it lets a person decide; -inf if it does not."""
        if person is None or self.override is None or self.is_released:
            return -math.inf
        return person.since + self.override


@dataclass(frozen=True, slots=True)
class Send:
    """The value must be sent.

    Args:
        driver: sends it with its client and its strategy.
        sent: the value.
        person: has set this value; None if it is that of the driver.
        why: see `WhySent`; `"override"` if there is a person.
        cause: of the change of the path that has led to it; None if there was none.
    """

    driver: Driver
    sent: SentValue
    person: Person | None
    why: WhySent
    cause: Any = None


@dataclass(frozen=True, slots=True)
class Decided:
    """Another driver or person decides.

    Args:
        by: a driver, a person, or None if no one does.
        value: the wanted value; `NoValue` if no one decides.
    """

    by: Driver | Person | None
    value: object


@dataclass(frozen=True, slots=True)
class OverrideBegan:
    """A person has changed the path, and drivers stand by.

    Args:
        person: the person.
        rules: the rules of the drivers that stand by.
        until: the end of the override, as a time of the clock; infinite if it is not known.
        is_restored: whether it has begun before a restart.
    """

    person: Person
    rules: list[str]
    until: float
    is_restored: bool = False


@dataclass(frozen=True, slots=True)
class OverrideEnded:
    """No driver stands by any more.

    Args:
        person: the person.
        why: see `EndOfOverride`.
    """

    person: Person
    why: EndOfOverride


@dataclass(frozen=True, slots=True)
class Contested:
    """Others change the path again and again: it is corrected at most once a minute from now on.

    Args:
        value: the value that should be so.
        shown: the value that the path shows.
        driver: the driver that decides.
    """

    value: object
    shown: object
    driver: Driver


Effect: TypeAlias = Send | Decided | OverrideBegan | OverrideEnded | Contested
