"""What led to what comes out when time is up: the causes of what was heard before.

They are handed over with what a node remembers, so that what begins in one version of a rule, or
before a restart, and ends after that, still names what it began with.
"""

from collections import deque
from typing import Any, Final

from eshet.cause import Cause, current
from eshet.clock import ClockStep
from eshet.reactive.time.state import CauseRule, OperatorState, loop_time, moved

__all__ = ["PendingCauses"]

_MOST: Final = 256
"""How many causes are remembered: what waits for longer than so many others names none."""


class PendingCauses:
    """The causes of what a memory has heard, as far as something is still to come out for them.

    Nothing is remembered while nobody keeps track of causes.

    Args:
        memory: which hears, and is woken.
    """

    __slots__ = ("_causes", "_memory")

    def __init__(self, memory: OperatorState) -> None:
        self._memory = memory
        self._causes: deque[tuple[float, Cause | None]] | None = None  # since when, and which

    def on_input(self, now: float) -> None:
        """Take note that the memory hears of something, of the present cause."""
        if self._memory.led in (CauseRule.IN_TURN, CauseRule.LAST):
            self._note(now)

    def sets_timer(self, now: float) -> None:
        """Take note that it is known, by the present cause, when time is up."""
        if self._memory.led in (CauseRule.TIMER, CauseRule.BEGINNING):
            self._note(now)

    def to(self, count: int, now: float) -> list[Cause | None]:
        """Return which causes led to so many things that come out as time is up.

        Args:
            count: how many.
            now: the loop's time.
        """
        if self._causes is None:
            return [None] * count
        if self._memory.led is not CauseRule.IN_TURN:
            return [self._causes[-1][1] if self._causes else None] * count
        due: list[Cause | None] = []
        while self._causes and self._causes[0][0] + self._memory.seconds <= now:
            due.append(self._causes.popleft()[1])
        # What has come out in another way, as when the seconds changed, was heard first; what was
        # heard before anybody kept track has no cause.
        return [*[None] * (count - len(due)), *due[max(0, len(due) - count) :]]

    def snapshot(self, epoch: float) -> list[Any]:
        """Return all that is remembered, as plain data; see `OperatorState.snapshot`.

        What comes out again and again begins anew with another version.
        """
        if self._memory.led is CauseRule.BEGINNING:
            return []
        return [
            [since - epoch, None if cause is None else cause.snapshot()]
            for since, cause in self._causes or ()
        ]

    def check(self, data: list[Any]) -> None:
        """Raise an error if this is not what another gave."""
        for since, cause in data:
            loop_time(since, 0.0)
            Cause.restored(cause)

    def restore(self, data: list[Any], epoch: float) -> None:
        """Remember what another gave, instead of what this one did."""
        if self._memory.led is CauseRule.BEGINNING:
            return
        self._causes = deque(
            ((since + epoch, Cause.restored(cause)) for since, cause in data), self._most
        )

    def move(self, step: ClockStep) -> None:
        """Adapt the times to a step of the wall clock, as the memory does."""
        if self._causes is not None:
            causes = ((moved(since, step), cause) for since, cause in self._causes)
            self._causes = deque(causes, self._most)

    @property
    def _most(self) -> int:
        return _MOST if self._memory.led is CauseRule.IN_TURN else 1

    def _note(self, now: float) -> None:
        cause = current.get()
        if self._causes is None:
            if cause is None:
                return
            self._causes = deque(maxlen=self._most)
        self._causes.append((now, cause))
