"""Outputs to a path when a value changes or an event emits."""

import asyncio
import functools
from collections.abc import Awaitable, Callable, Collection
from contextvars import copy_context
from typing import Any, Final

from eshet.callables import check_awaited
from eshet.cause import Cause, current, use_cause
from eshet.client import Client, StateWrapper
from eshet.client.pending_request import PendingRequest
from eshet.client.view import has_published, resume
from eshet.exceptions import EshetError
from eshet.messages import ActionCall, EventEmit, Set, StateChanged
from eshet.reactive import Event, Value, ensure_reactive, fn
from eshet.reactive.conversions import feed
from eshet.reactive.core.handle import ReadableEvent, node_of
from eshet.reactive.core.markers import NoValue, PlainValue, is_same
from eshet.reactive.core.value import is_settable
from eshet.reactive.handover.handover import Snapshot
from eshet.reactive.upstream import Inputs
from eshet.scope import use_scope
from eshet.tasks import BuiltStrategy, SendingTask
from eshet.tasks.starting import name_of, start_task
from eshet.text import safe_repr
from eshet.unknown import Unknown
from eshet.utils import RunInTask, TaskStrategy
from eshet.yarp.accepted import checking
from eshet.yarp.default_strategy import DEFAULT_STRATEGY, choose_strategy
from eshet.yarp.outputs import HeldOutput, current_inputs, is_unknown, left_in, own_output
from eshet.yarp.resending import Resending
from eshet.yarp.sources import ready_client

__all__ = [
    "action_call",
    "event_register",
    "set_value",
    "skip_left",
    "state_register",
    "state_register_set_event",
]


async def action_call(
    path: str,
    *args: object,
    client: Client | None = None,
    strategy: TaskStrategy = DEFAULT_STRATEGY,
) -> None:
    """Call an action whenever args does not contain NoValue or Unknown.

    Each argument can be a Value, an Event, or a regular value; they are combined as in `fn`. If
    any is an Event, the action is called on every emission, otherwise with the initial and the
    subsequent values.

    Args:
        path: of the action.
        *args: its arguments.
        client: the client to use instead of the default one.
        strategy: how calls are run. Their errors are reported, and not raised here.

    Raises:
        EshetError: see `Client`.
    """
    for each in args:
        check_awaited(each, TypeError)
    client = await ready_client(client)
    path = client.resolve(path)

    async def call(arguments: tuple[object, ...]) -> None:
        await client.action_call(path, *arguments)

    _Sink(fn(_arguments)(*args), client, "action_call", path, call, strategy)


async def set_value(
    path: str,
    value: object,
    client: Client | None = None,
    strategy: TaskStrategy = DEFAULT_STRATEGY,
) -> None:
    """Set a state or property whenever value does not contain NoValue or Unknown.

    Args:
        path: of the state or property.
        value: a Value, to set its initial and subsequent values, or an Event, to set its emissions.
        client: the client to use instead of the default one.
        strategy: how set requests are run. Their errors are reported, and not raised here.

    Raises:
        EshetError: see `Client`.
    """
    check_awaited(value, TypeError)
    client = await ready_client(client)
    path = client.resolve(path)

    async def set_to(new: object) -> None:
        await client.set(path, new)

    _Sink(ensure_reactive(value), client, "set_value", path, set_to, strategy)


async def event_register(
    path: str, event: ReadableEvent[object], *, client: Client | None = None
) -> None:
    """Register an event that emits the payloads of `event`, except NoValue and Unknown.

    Args:
        path: of the event.
        event: the Event to publish.
        client: the client to use instead of the default one.

    Raises:
        EshetError: see `Client`.
        TypeError: `event` is not an Event.
    """
    check_awaited(event, TypeError)
    if not isinstance(event, Event):
        raise TypeError(
            f"event_register publishes an Event, not {event!r}: use state_register for a Value, "
            "or value_to_event"
        )
    client = await ready_client(client)
    emit = await client.event_register(path)
    path = client.resolve(path)
    _Sink(event, client, "event_register", path, emit, RunInTask())


async def state_register(
    path: str,
    value: Value[Any],
    client: Client | None = None,
    settable: bool = False,
    set_callback: Callable[[Any], object] | None = None,
    *,
    minimum: float | None = None,
    maximum: float | None = None,
    options: Collection[object] | None = None,
) -> None:
    """Register a state with the value of `value`, which is published when this returns.

    Unknown and NoValue, also within a list, tuple or dict, are both published as unknown.

    Args:
        path: of the state.
        value: published now and whenever it changes.
        client: the client to use instead of the default one.
        settable: whether setting the state sets `value`.
        set_callback: called with the new value when the state is set, instead of `settable`.
        minimum: the least number to which the state can be set.
        maximum: the greatest number to which the state can be set.
        options: the only values to which the state can be set. A client that sets another value
            receives an error that says which are accepted; see `eshet.exceptions.NotAccepted`.

    Raises:
        EshetError: see `Client`.
        TypeError: `value` is not a Value, or can't be set although `settable` is true.
        ValueError: both `settable` and `set_callback` are given, or neither is, but values to which
            the state can be set; or no value can be.
    """
    check_awaited(value, TypeError)
    _check_value(path, value)
    if settable and set_callback is not None:
        raise ValueError(
            f"state_register of {path}: settable=True sets the value, set_callback is called "
            "instead; pass only one of them"
        )

    if settable and not is_settable(value):
        raise TypeError(
            f"state_register of {path}: settable=True sets the Value, but this one follows others: "
            "pass a Value of its own, or use set_callback or state_register_set_event"
        )

    def set_source(new: object) -> None:
        value.value = new

    setter = set_source if settable else set_callback
    if setter is not None:
        setter = checking(setter, minimum, maximum, options)
    elif any(each is not None for each in (minimum, maximum, options)):
        raise ValueError(
            f"state_register of {path}: minimum, maximum and options are for a state that can be "
            "set: write settable=True as well"
        )

    client = await ready_client(client)
    state = await client.state_register(path, setter)

    async def publish(new: object) -> None:
        await state.changed(Unknown if is_unknown(new) else new)

    publish.__qualname__ = f"state_register of {state.path}"
    first = value.value
    inputs = Inputs(node_of(value))
    output = own_output(_StateOutput(state, publish, inputs))
    feed(value, output, current=False)
    if output.held is not None:
        output(first)
    elif not is_unknown(first):
        token = current_inputs.set(inputs.now())
        try:
            await publish(first)
        finally:
            current_inputs.reset(token)


async def state_register_set_event(
    path: str, value: Value[Any], client: Client | None = None
) -> Event[Any]:
    """Register a state like `state_register`, and return an Event that emits when it is set.

    Nothing else happens when the state is set: change `value` where you handle the Event.

    Args:
        path: of the state.
        value: published now and whenever it changes.
        client: the client to use instead of the default one.

    Raises:
        EshetError: see `Client`.
        TypeError: `value` is not a Value.
    """
    was_set: Event[Any] = Event()
    await state_register(path, value, client, set_callback=was_set.emit)
    return was_set


class _Sink(HeldOutput):
    """Sends each value of a Value or Event that contains nothing unknown, under a strategy.

    It starts when it is made, and belongs to the current scope and its outputs.

    Args:
        source: the Value or Event.
        client: the client that sends.
        name: the name of the wrapper that makes it.
        path: of the output.
        function: sends a value.
        strategy: see `action_call`.
    """

    __slots__ = ("_code", "_made_in", "_run", "_send_value", "client", "inputs")

    def __init__(
        self,
        source: Value[Any] | Event[Any],
        client: Client,
        name: str,
        path: str,
        function: Callable[[Any], Awaitable[object]],
        strategy: TaskStrategy,
    ) -> None:
        code = _CODES[name]
        super().__init__(
            name,
            path,
            self._send,
            follows=not isinstance(source, Event),
            skip=_skip_notifier(client, code, path),
        )
        self.inputs: Final = Inputs(node_of(source))
        self.client: Final = client
        self._code = code
        self._made_in = copy_context()
        # A user's own strategy may return any callable.
        self._run: Any = choose_strategy(strategy).build()
        if self.follows and code == Set.code:
            function = Resending(function, client, lambda: bool(self.unfinished()))
        function.__qualname__ = self.label
        self._send_value = function
        feed(source, own_output(self))

    def _send(self, value: object) -> None:
        self._run(_SendTask(self, self._send_value, value))

    def send_now(self, value: Any) -> PendingRequest | None:
        """Send a value in this step, if that is possible; see `Client.send_now`."""
        message = list(value) if self._code == ActionCall.code else value
        return self.client.send_now(self._code, self.path, message)

    def unfinished(self) -> list[tuple[object, Cause | None]]:
        """See `HeldOutput`."""
        run = self._run
        tasks: list[Any] = run.unfinished() if isinstance(run, BuiltStrategy) else []
        return [(task.value, task.cause) for task in tasks]

    @property
    def next_attempt(self) -> float | None:
        """See `HeldOutput`."""
        run = self._run
        return run.next_attempt if isinstance(run, BuiltStrategy) else None

    def resume(self, value: Any) -> None:
        """See `HeldOutput`."""
        message = list(value) if self._code == ActionCall.code else value
        resume(self.client, self._code, self.path, message)

    @property
    def has_failed(self) -> bool:
        """See `HeldOutput`."""
        return isinstance(self._send_value, Resending) and self._send_value.has_failed

    def check(self, value: object) -> None:
        """Set the value again if its path has another; see `HeldOutput`."""
        if isinstance(self._send_value, Resending):
            self._start_check(value, after_return=False)
        else:
            super().check(value)

    def note_owner(self) -> None:
        """Set the last value again if the path has another; see `HeldOutput`."""
        is_setting = isinstance(self._send_value, Resending) and self.held is None
        if is_setting and self.last and not self.unfinished():  # else it is tried again anyway
            self._start_check(self.last[0], after_return=True)

    def _start_check(self, value: object, *, after_return: bool) -> None:
        context = self._made_in.copy()
        context.run(current.set, current.get())
        checking_value = functools.partial(self._check, value, after_return=after_return)
        _ = start_task(checking_value, self._send_value, context)

    async def _check(self, value: object, *, after_return: bool) -> None:
        try:
            with use_scope(None):  # the rule itself does not read the path
                shown = await self.client.get(self.path)
        except EshetError:
            shown = NoValue
        if not is_same(self.last, [value]):
            return  # another value has been set meanwhile
        if is_same(shown, value):
            if not after_return:
                self.skip(value, "unchanged")
            return
        if after_return and self.client.observer is not None:
            current.set(Cause("owner", self.path))  # this context belongs to the task
        self(value)


class _SendTask(SendingTask):
    """The task of sending one value, for the current cause.

    Args:
        sink: sends it.
        function: sends it as well, but awaits the reply.
        value: the value to send.
    """

    __slots__ = ("_count", "_function", "_inputs", "_sent", "_sink", "cause", "value")

    _count: int
    _sent: PendingRequest

    def __init__(
        self,
        sink: "_Sink | _StateOutput",
        function: Callable[[Any], Awaitable[object]],
        value: object,
    ) -> None:
        self.cause: Final = current.get()
        self.value: Final[Any] = value
        self._sink = sink
        self._function = function
        self._inputs = None
        if self.cause is not None and (observer := sink.client.observer) is not None:
            self._inputs = sink.inputs.now() if observer.wants_inputs else None

    def __repr__(self) -> str:
        """Return the name of the task for messages."""
        return name_of(self._function)

    def __call__(self) -> Awaitable[object]:
        """Send the value in an asyncio task."""
        current_inputs.set(self._inputs)  # this context belongs to the task
        return self._function(self.value)

    def send(self) -> asyncio.Future[Any] | None:
        """See `SendingTask`."""
        resending = self._function
        if isinstance(resending, Resending):
            self._count = resending.begin()
        try:
            sent = self._sink.send_now(self.value)
        except EshetError as error:
            if isinstance(resending, Resending):
                resending.fail(self.value, self._count, error)
            raise
        if sent is None:
            return None
        if sent.span is not None:
            sent.span.inputs = self._inputs
        self._sent = sent
        return sent.reply

    def receive(self, reply: asyncio.Future[Any]) -> None:
        """See `SendingTask`."""
        resending = self._function
        if not isinstance(resending, Resending):
            self._sent.receive()
            return
        try:
            self._sent.receive()
        except EshetError as error:
            resending.fail(self.value, self._count, error)
            raise
        resending.succeed(self._count)

    def skipped(self, why: str) -> None:
        """See `eshet.tasks.BuiltStrategy`."""
        self._sink.skip(self.value, why)


class _StateOutput(HeldOutput):
    """Publishes a state. The client knows the last published value, also after a reload.

    Args:
        state: the state.
        publish: publishes a value.
        inputs: those of the Value.
    """

    def __init__(
        self, state: StateWrapper, publish: Callable[[Any], Awaitable[object]], inputs: Inputs
    ) -> None:
        skip = _skip_notifier(state.client, StateChanged.code, state.path)
        run = RunInTask().build()

        def send(value: object) -> None:
            run(_SendTask(self, publish, value))

        super().__init__("state_register", state.path, send, follows=True, skip=skip)
        self.client: Final = state.client
        self.inputs: Final = inputs

    def send_now(self, value: object) -> PendingRequest | None:
        """Publish a value in this step, if that is possible; see `Client.send_now`."""
        value = Unknown if is_unknown(value) else value
        return self.client.send_now(StateChanged.code, self.path, value)

    def __call__(self, value: object) -> None:
        """Publish a value, or hold it back; an unknown value is published as well."""
        if self.held is None:
            self.send(value)
        else:
            self.held = [value]

    def release(self, state: object = None, *, was_down: bool = False, epoch: float = 0.0) -> None:
        """Publish the held-back value, if the state has another one; see `HeldOutput`."""
        held, self.held = self.held, None
        if held:
            value = Unknown if is_unknown(held[0]) else held[0]
            if not has_published(self.client, self.path, value):
                self(value)
            else:
                self.skip(value, "unchanged")


_CODES: Final = {
    "action_call": ActionCall.code,
    "drive": Set.code,
    "event_register": EventEmit.code,
    "set_value": Set.code,
    "state_register": StateChanged.code,
}


def skip_left(client: Client, snapshot: Snapshot, why: str) -> None:
    """Notify the client's observer of outputs that a sink left unfinished and that are dropped.

    Args:
        client: the client of the sink.
        snapshot: the state of the sink; see `HeldOutput.snapshot`.
        why: see `eshet.client.observer.ClientObserver.on_skipped`.
    """
    function, path = snapshot.data["function"], snapshot.data["path"]
    for value, cause in left_in(snapshot.data):
        with use_cause(cause):
            if function != "act":
                client.notify_skipped(_CODES[function], path, value, why)
            elif client.observer is not None:
                client.observer.on_act_skipped(path, list(value), why)


def _skip_notifier(client: Client, code: int, path: str) -> Callable[[Any, str], None]:
    """Return a function that notifies the observer of skipped values, in the current context."""
    made_in = copy_context()

    def skip(value: object, why: str) -> None:
        context = made_in.copy()
        context.run(current.set, current.get())
        context.run(client.notify_skipped, code, path, value, why)

    return skip


def _check_value(path: str, value: object) -> None:
    if isinstance(value, Event):
        raise TypeError(
            f"state_register publishes a Value, not {value!r}: use event_register for an Event, "
            "or event_to_value"
        )
    if not isinstance(value, PlainValue):
        text = safe_repr(value, 100)
        raise TypeError(
            f"state_register of {path} publishes a Value, not {text}: write `yarp.Value({text})`"
        )


def _arguments(*args: object) -> tuple[object, ...]:
    return args
