"""Which cause each timer-driven output is attributed to.

The causes are handed over with the state of a node. So an output that started in one version of a
rule, or before a restart, still names its cause when it comes after that.
"""

from collections import deque
from typing import Any, Final

from eshet.cause import Cause, current
from eshet.clock import ClockStep
from eshet.reactive.time.state import CauseRule, OperatorState, loop_time, moved

__all__ = ["PendingCauses"]

_MAX_CAUSES: Final = 256
"""How many causes are kept; with more pending inputs, the oldest have none."""


class PendingCauses:
    """The causes of the inputs of an operator state that still have outputs to come.

    Nothing is kept while causes are not tracked.

    Args:
        state: the operator state.
    """

    __slots__ = ("_causes", "_state")

    def __init__(self, state: OperatorState) -> None:
        self._state = state
        self._causes: deque[tuple[float, Cause | None]] | None = None  # (since when, cause)

    def on_input(self, now: float) -> None:
        """Record the current cause as that of an input."""
        if self._state.cause_rule in (CauseRule.IN_TURN, CauseRule.LAST):
            self._record(now)

    def on_timer_set(self, now: float) -> None:
        """Record the current cause as that of the timer."""
        if self._state.cause_rule in (CauseRule.TIMER, CauseRule.BEGINNING):
            self._record(now)

    def take(self, count: int, now: float) -> list[Cause | None]:
        """Return the causes of the outputs of a timer, and forget those that are done.

        Args:
            count: the number of outputs.
            now: the loop's time.
        """
        if self._causes is None:
            return [None] * count
        if self._state.cause_rule is not CauseRule.IN_TURN:
            return [self._causes[-1][1] if self._causes else None] * count
        due: list[Cause | None] = []
        while self._causes and self._causes[0][0] + self._state.seconds <= now:
            due.append(self._causes.popleft()[1])
        # Earlier inputs may have had their output already, when the seconds changed; inputs of
        # before causes were tracked have none.
        return [*[None] * (count - len(due)), *due[max(0, len(due) - count) :]]

    def snapshot(self, epoch: float) -> list[object]:
        """Return the causes as plain data; see `OperatorState.snapshot`.

        Repeated outputs start with a new cause in another version.
        """
        if self._state.cause_rule is CauseRule.BEGINNING:
            return []
        return [
            [since - epoch, None if cause is None else cause.snapshot()]
            for since, cause in self._causes or ()
        ]

    def check(self, data: list[Any]) -> None:
        """Raise an error if the data is not such a snapshot."""
        for since, cause in data:
            loop_time(since, 0.0)
            Cause.restored(cause)

    def restore(self, data: list[Any], epoch: float) -> None:
        """Replace the causes by those of a snapshot."""
        if self._state.cause_rule is CauseRule.BEGINNING:
            return
        self._causes = deque(
            ((since + epoch, Cause.restored(cause)) for since, cause in data), self._max_count
        )

    def move(self, step: ClockStep) -> None:
        """Adapt the times to a step of the wall clock, like the operator state."""
        if self._causes is not None:
            causes = ((moved(since, step), cause) for since, cause in self._causes)
            self._causes = deque(causes, self._max_count)

    @property
    def _max_count(self) -> int:
        return _MAX_CAUSES if self._state.cause_rule is CauseRule.IN_TURN else 1

    def _record(self, now: float) -> None:
        cause = current.get()
        if self._causes is None:
            if cause is None:
                return
            self._causes = deque(maxlen=self._max_count)
        self._causes.append((now, cause))
