# ruff: noqa: D102 - an override does what its base class documents
"""State of the operators that wait until something has lasted, or has been quiet, for a time."""

from collections.abc import Callable, Iterator, Mapping
from typing import Any

from eshet.clock import ClockStep
from eshet.reactive.core.graph import RestoreContext, StateData
from eshet.reactive.core.markers import NoChange, is_absent
from eshet.reactive.time.state import OperatorState, loop_time, moved

__all__ = ["Debounce", "Fold", "ForDuration", "Hold", "Stale", "Throttle"]


class Throttle(OperatorState):
    """The start of the current interval. Inputs within it are dropped."""

    __slots__ = ("_blocked_since",)

    label = "throttle"

    def __init__(self, seconds: float) -> None:
        super().__init__(seconds)
        self._blocked_since: float | None = None

    @property
    def wake_at(self) -> float | None:
        return None

    def on_input(self, value: object, now: float) -> list[object]:
        if self._blocked_since is not None and now < self._blocked_since + self.seconds:
            return []
        self._blocked_since = now
        return [value]

    def snapshot(self, epoch: float) -> object:
        return [_to_data(self._blocked_since, epoch)]

    def restore(self, data: StateData, context: RestoreContext) -> list[object]:
        self._blocked_since = _from_data(data[0], context.epoch)
        return []

    def move(self, step: ClockStep) -> None:
        self._blocked_since = _moved(self._blocked_since, step)


class Debounce(OperatorState):
    """The last input, which passes if no other follows for a while. Absent values pass at once."""

    __slots__ = ("_held", "_since")

    label = "debounce"

    def __init__(self, seconds: float) -> None:
        super().__init__(seconds)
        self._since: float | None = None
        self._held: object = None

    @property
    def wake_at(self) -> float | None:
        return None if self._since is None else self._since + self.seconds

    def on_input(self, value: object, now: float) -> list[object]:
        if is_absent(value):
            self._since = self._held = None
            return [value]
        self._since, self._held = now, value
        return []

    def wake(self, now: float) -> list[object]:
        held, self._since, self._held = self._held, None, None
        return [held]

    def coming(self, now: float) -> Iterator[tuple[float, object]]:
        wake_at = self.wake_at
        return iter([] if wake_at is None else [(wake_at, self._held)])

    def snapshot(self, epoch: float) -> object:
        return [_to_data(self._since, epoch), self._held]

    def restore(self, data: StateData, context: RestoreContext) -> list[object]:
        since, held = data
        self._since = _from_data(since, context.epoch)
        self._held = held
        wake_at = self.wake_at
        missed = wake_at is not None and wake_at < context.down_until
        return self.wake(context.down_until) if missed else []

    def move(self, step: ClockStep) -> None:
        self._since = _moved(self._since, step)


_ROUNDING = 1e-3
"""Seconds: more than the rounding error of a time saved as wall-clock time and read again."""


class _Elapsed(OperatorState):
    """Since when something is so, and whether that is long enough.

    Args:
        seconds: how long is long enough.
        since: since when it is so; None if it is not.
        otherwise: the output while it is not so.
    """

    __slots__ = ("_otherwise", "_since", "on")

    def __init__(self, seconds: float, since: float | None, *, otherwise: bool) -> None:
        super().__init__(seconds)
        self._since = since
        self._otherwise = otherwise
        self.on: bool = since is None and otherwise

    @property
    def wake_at(self) -> float | None:
        return None if self._since is None or self.on else self._since + self.seconds

    def wake(self, now: float) -> list[object]:
        return self._update(now)

    def adjust(self, seconds: float, now: float) -> list[object]:
        self.seconds = seconds
        return self._update(now)

    def coming(self, now: float) -> Iterator[tuple[float, object]]:
        wake_at = self.wake_at
        return iter([] if wake_at is None else [(wake_at, True)])

    def snapshot(self, epoch: float) -> object:
        return [_to_data(self._since, epoch), self.on]

    def restore(self, data: StateData, context: RestoreContext) -> list[object]:
        since, on = data
        self._since = _from_data(since, context.epoch)
        self.on = bool(on)
        # If it was long enough before, it still is, unless the length has changed.
        return self._update(context.now + _ROUNDING if self.on else context.down_until)

    def move(self, step: ClockStep) -> None:
        self._since = _moved(self._since, step)

    def _update(self, now: float) -> list[object]:
        before = self.on
        since = self._since
        self.on = self._otherwise if since is None else now >= since + self.seconds
        return [] if self.on == before else [self.on]


class ForDuration(_Elapsed):
    """Since when the input is true, and whether that is long enough."""

    __slots__ = ()

    label = "for_duration"

    def __init__(self, seconds: float) -> None:
        super().__init__(seconds, None, otherwise=False)

    def on_input(self, value: object, now: float) -> list[object]:
        if is_absent(value) or not value:
            self._since = None
        elif self._since is None:
            self._since = now
        return self._update(now)


class Stale(_Elapsed):
    """When the last known input was received, and whether that is too long ago.

    Args:
        seconds: how long an input stays fresh.
        received: when the last known input was received; None if there is none, which is stale.
    """

    __slots__ = ()

    label = "stale"

    def __init__(self, seconds: float, received: float | None) -> None:
        super().__init__(seconds, received, otherwise=True)

    def on_input(self, value: object, now: float) -> list[object]:
        self._since = None if is_absent(value) else now
        return self._update(now)


class Hold(OperatorState):
    """Since when the input is true, and whether the output still is.

    Args:
        seconds: how long the output stays true at least.
        at_most: how long it stays true at most; None for as long as the input.
        pulses: whether the inputs are events, which do not last.
    """

    __slots__ = ("_input_on", "_rose", "at_most", "on", "pulses")

    label = "hold"

    def __init__(self, seconds: float, at_most: float | None, *, pulses: bool) -> None:
        super().__init__(seconds)
        self.at_most: float | None = at_most
        self.pulses: bool = pulses
        self._rose = 0.0
        self._input_on = False  # whether the input is true
        self.on: bool = False

    @property
    def wake_at(self) -> float | None:
        if not self.on:
            return None
        if not self._input_on:
            at_least = self.seconds
            return self._rose + (at_least if self.at_most is None else min(at_least, self.at_most))
        return None if self.at_most is None else self._rose + self.at_most

    def on_input(self, value: object, now: float) -> list[object]:
        true = not is_absent(value) and bool(value or self.pulses)
        before = self.on
        if true and not self._input_on:
            self._rose, self.on = now, True
        self._input_on = true and not self.pulses
        self._update(now)
        return [] if self.on == before else [self.on]

    def wake(self, now: float) -> list[object]:
        return [self.on] if self._update(now) else []

    def adjust(self, seconds: float, now: float) -> list[object]:
        self.seconds = seconds
        return self.wake(now)

    def coming(self, now: float) -> Iterator[tuple[float, object]]:
        wake_at = self.wake_at
        return iter([] if wake_at is None else [(wake_at, False)])

    def snapshot(self, epoch: float) -> object:
        return [self._rose - epoch, self._input_on, self.on]

    def restore(self, data: StateData, context: RestoreContext) -> list[object]:
        rose, still, on = data
        self._rose = loop_time(rose, context.epoch)
        self._input_on, self.on = bool(still), bool(on)
        return self.wake(context.down_until)

    def move(self, step: ClockStep) -> None:
        self._rose = moved(self._rose, step)

    def _update(self, now: float) -> bool:
        """End the hold if its time is up; return whether it was."""
        if self.wake_at is None or now < self.wake_at:
            return False
        self.on = False
        return True


class Fold(OperatorState):
    """The state of a machine, and the start of its timeout.

    Args:
        step: called with the state and the input; returns the next state, or `NoChange`.
        state: the first state.
        timeouts: for a state, the number of seconds after which another state follows, and which.
        now: the start time.
    """

    __slots__ = ("_since", "_step", "_timeouts", "state")

    label = "fold_state"

    def __init__(
        self,
        step: Callable[[Any, Any], object],
        state: object,
        timeouts: Mapping[Any, tuple[float, object]],
        now: float,
    ) -> None:
        super().__init__()
        self._step = step
        self._timeouts = timeouts
        self.state: object = state
        self._since = now

    @property
    def wake_at(self) -> float | None:
        timeout = self._timeouts.get(self.state)
        return None if timeout is None else self._since + timeout[0]

    def on_input(self, value: object, now: float) -> list[object]:
        if is_absent(value):
            return []
        state = self._step(self.state, value)
        return [] if state is NoChange else self._enter(state, now)

    def wake(self, now: float) -> list[object]:
        return self._enter(self._timeouts[self.state][1], now)

    def coming(self, now: float) -> Iterator[tuple[float, object]]:
        state, since = self.state, self._since
        while (timeout := self._timeouts.get(state)) is not None:
            since, state = since + timeout[0], timeout[1]
            yield since, state

    def snapshot(self, epoch: float) -> object:
        return [self.state, self._since - epoch]

    def restore(self, data: StateData, context: RestoreContext) -> list[object]:
        state, since = data
        since = loop_time(since, context.epoch)
        self._timeouts.get(state)  # raises for an unhashable state, before anything changes
        self.state, self._since = state, since
        results = [state]
        # Each timeout that ran out meanwhile starts the next one at the time when it ran out.
        entered: dict[Any, float] = {}
        while (wake_at := self.wake_at) is not None and wake_at < context.down_until:
            entered[self.state] = self._since
            results += self.wake(wake_at)
            if self.state in entered:
                period = self._since - entered[self.state]
                if period <= 0:
                    break  # a cycle of zero timeouts
                # The states repeat; skip whole rounds, since there may be millions until now.
                self._since += (context.down_until - self._since) // period * period
                entered.clear()
        return results

    def move(self, step: ClockStep) -> None:
        self._since = moved(self._since, step)

    def _enter(self, state: object, now: float) -> list[object]:
        before, self.state, self._since = self.state, state, now
        return [] if state == before else [state]


def _to_data(since: float | None, epoch: float) -> float | None:
    return None if since is None else since - epoch


def _from_data(since: float | None, epoch: float) -> float | None:
    return None if since is None else loop_time(since, epoch)


def _moved(since: float | None, step: ClockStep) -> float | None:
    return None if since is None else moved(since, step)
