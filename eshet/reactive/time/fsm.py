"""State machines with one timeout, and with Values and Events as inputs."""

import asyncio
import dataclasses
import math
import operator
from collections.abc import Callable, Iterable, Sequence
from typing import Any, Final, Generic, NamedTuple, TypeVar

from eshet.cause import Cause, current, following, use_cause
from eshet.clock import ClockStep
from eshet.reactive.containers import ensure_reactive
from eshet.reactive.core.event import Event, event_of
from eshet.reactive.core.graph import (
    ArmedTimer,
    EventNode,
    RestoreContext,
    StateData,
    ValueNode,
)
from eshet.reactive.core.handle import node_of
from eshet.reactive.core.markers import is_same
from eshet.reactive.core.transaction import ENDED, Transactions
from eshet.reactive.core.value import AnyValue, Value, value_of
from eshet.reactive.filters import no_repeat
from eshet.reactive.fn import fn
from eshet.reactive.handover.handover import named
from eshet.reactive.time.state import loop_time, moved
from eshet.reactive.time.timer import NodeTimer

__all__ = ["FSM"]

S = TypeVar("S")
NextState = Callable[..., tuple[S, float | None]]


class _Start:
    def __repr__(self) -> str:
        return "FSM.START"


START: Final = _Start()


class _Step(NamedTuple):
    """The position of a machine: its state, the length of its timeout, and when it runs out."""

    state: object
    timeout_length: float | None
    timeout_time: float | None


_BEGINNING: Final = _Step(START, None, None)


@dataclasses.dataclass(slots=True)
class _Machine:
    """The state of a machine, and its steps: independent of loop and graph."""

    get_next_state: NextState[Any]
    at: _Step = _BEGINNING

    def go_on(self, inputs: Sequence[object], now: float) -> _Step:
        """Take one step, with the inputs at `now`."""
        time_left = self._time_left(now)
        if time_left == 0:
            self.at = _Step(self.at.state, None, None)  # kept if get_next_state raises
        state, timeout = self.get_next_state(self.at.state, time_left, *inputs)
        if timeout == time_left:
            self.at = _Step(state, self.at.timeout_length, self.at.timeout_time)
        elif timeout is None:
            self.at = _Step(state, None, None)
        else:
            self.at = _Step(state, timeout, now + timeout)
        return self.at

    def _time_left(self, now: float) -> float | None:
        if self.at.timeout_time is None:
            return None
        return max(0.0, self.at.timeout_time - now)


class MachineNode(ValueNode):
    """Takes a step when an input changes or the timeout runs out; its value is a `_Step`."""

    __slots__ = (
        "__weakref__",
        "_cause",
        "_inputs",
        "_loop",
        "_machine",
        "_timeout_event",
        "_timer",
    )

    def __init__(
        self,
        machine: _Machine,
        inputs: list[ValueNode | EventNode],
        timeout_event: EventNode,
        loop: asyncio.AbstractEventLoop,
    ) -> None:
        self._machine = machine
        self._inputs = inputs
        self._timeout_event = timeout_event
        self._loop = loop
        self._timer = NodeTimer(loop)
        self._cause: Cause | None = None  # the cause of the timer
        super().__init__(self._go_on(loop.time()), (*inputs, timeout_event))
        self._set_timer()

    @property
    def timeout_time(self) -> float | None:
        """The loop time at which the timeout runs out; None if none is set."""
        return self._machine.at.timeout_time

    @property
    def at_state(self) -> object:
        """The state of the machine."""
        return self._machine.at.state

    @property
    def machine_inputs(self) -> Sequence[ValueNode | EventNode]:
        """The inputs, without the Event of the timeout."""
        return self._inputs

    def settle(self, transactions: Transactions) -> bool:
        now = self._loop.time()
        if self._timeout_event.emissions:  # the loop may call early, by its clock's resolution
            now = max(now, self._timeout_event.emissions[0])
        try:
            self.value: Any = self._go_on(now)
        finally:
            self._set_timer()
        return True

    def label(self) -> str:
        return f"FSM of {getattr(self._machine.get_next_state, '__name__', 'a function')}"

    def snapshot(self, epoch: float) -> object:
        state, length, time = self._machine.at
        present = [node.value for node in self._inputs]
        cause = None if time is None or self._cause is None else self._cause.snapshot()
        return [state, length, None if time is None else time - epoch, present, cause]

    def restore(self, data: StateData, context: RestoreContext) -> Sequence[object]:
        state, length, time, inputs, cause = data
        restored_cause = Cause.restored(cause)
        epoch = context.epoch
        watcher = self._timer.follow_clock(self)  # the timeout may be of an earlier process
        if context.down_until > -math.inf:
            epoch += watcher.moved
        deadline = None if time is None else loop_time(time, epoch)
        self._machine.at = _Step(state, length, deadline)
        self._set_timer()
        self._timer.is_continued = True
        self._cause = restored_cause
        if is_same(inputs, [node.value for node in self._inputs]):
            self.change_to(self._machine.at)
        else:
            self.change_to(self._go_on(context.now))
        self._set_timer()
        return ()

    def timer(self) -> ArmedTimer:
        return self._timer

    def clock_stepped(self, step: ClockStep) -> None:
        """See `eshet.clock.StepListener`."""
        state, length, deadline = self._machine.at
        if deadline is None or length is None or not step.moved or self.state == ENDED:
            return
        self._machine.at = _Step(state, length, moved(deadline - length, step) + length)
        with use_cause(self._cause):
            self._set_timer()
            self.change_to(self._machine.at)

    def stop(self) -> None:
        self._timer.stop()

    def _go_on(self, now: float) -> _Step:
        return self._machine.go_on([_input_of(node) for node in self._inputs], now)

    def _set_timer(self) -> None:
        deadline = self._machine.at.timeout_time
        if self._timer.when == deadline:
            return  # unchanged, with the same cause
        if deadline is None or self.state == ENDED:
            self._timer.cancel()
        else:
            self._cause = current.get()
            self._timer.arm(deadline, self._time_out, self.scope)

    def _time_out(self, deadline: float) -> None:
        self._timer.end()
        with use_cause(following("timer", self.describe(), self._cause)):
            self._timeout_event.change(deadline)


def _input_of(node: ValueNode | EventNode) -> object:
    return list(node.emissions) if isinstance(node, EventNode) else node.value


class FSM(Generic[S]):
    """A state machine with a timeout.

    Args:
        get_next_state: called first, whenever an input changed, and when the timeout ran out, as
            `get_next_state(state, timeout, *inputs)`; returns the next state and timeout. The first
            `state` is `FSM.START`. `timeout` is None while none is set, 0.0 when it just ran out,
            and otherwise the seconds that are left. Each input is its value or, for an Event, the
            list of its emissions in this change: mostly empty. Returning the `timeout` argument
            leaves the timeout unchanged; another number starts it again, from now, and None cancels
            it.
        inputs: Values and Events.
        name: identifies it across reloads, unique in its module.

    Attributes:
        state: a Value of the state, which changes only when the state differs.
        timeout_length: a Value of the length of the current timeout in seconds, or None.
        timeout_time: a Value of the time of the loop at which it runs out, or None.
        timeout_event: an Event that emits when it runs out, with that time.

    Raises:
        RuntimeError: no loop is running.
    """

    START = START

    state: Value[S]
    timeout_length: Value[float | None]
    timeout_time: Value[float | None]
    timeout_event: Event[float]

    def __init__(
        self, get_next_state: NextState[S], inputs: Iterable[object], *, name: str | None = None
    ) -> None:
        loop = asyncio.get_running_loop()
        reactives = [ensure_reactive(each) for each in inputs]
        nodes = [node_of(each) for each in reactives]
        timeout_event = EventNode()
        machine = MachineNode(_Machine(get_next_state), nodes, timeout_event, loop)
        steps = named(value_of(machine), name)
        self.timeout_event = event_of(timeout_event)
        self.state = _part_of(steps, "state")
        self.timeout_length = _part_of(steps, "timeout_length")
        self.timeout_time = _part_of(steps, "timeout_time")

    def __repr__(self) -> str:
        return f"FSM(state={self.state.value!r})"


def _part_of(steps: Value[_Step], name: str) -> AnyValue:
    part: AnyValue = fn(operator.attrgetter(name))(steps)
    return no_repeat(part)
