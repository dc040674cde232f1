"""`yarp.drive`: one driver, which follows a Value."""

import math
from collections.abc import Awaitable
from contextvars import copy_context
from typing import Any, Final, Literal

from eshet.callables import check_awaited
from eshet.cause import current
from eshet.client import Client
from eshet.exceptions import ErrorValue
from eshet.messages import Set
from eshet.reactive import Event, Value, ensure_reactive
from eshet.reactive.conversions import feed
from eshet.reactive.core.handle import ReadableEvent, ReadableValue, node_of
from eshet.reactive.core.markers import NoValue, PlainValue, is_nan
from eshet.reactive.upstream import Inputs, InputValues
from eshet.scope import Scope, current_scope, is_contained
from eshet.tasks import BuiltStrategy
from eshet.text import safe_repr
from eshet.unknown import Unknown
from eshet.utils import TaskStrategy
from eshet.yarp.default_client import DefaultClient
from eshet.yarp.default_strategy import DEFAULT_STRATEGY, choose_strategy
from eshet.yarp.driving.driven_path import DrivenPath
from eshet.yarp.driving.driver import Driver, EndOfOverride
from eshet.yarp.driving.drives import Drives, RuleName, find_drives
from eshet.yarp.driving.duration import seconds_of
from eshet.yarp.driving.sent_values import SentValue, as_delivered
from eshet.yarp.outputs import HeldOutput, current_inputs, is_unknown, own_output
from eshet.yarp.resending import Resending
from eshet.yarp.sources import ready_client

__all__ = ["drive"]


async def drive(
    path: str,
    value: object,
    client: Client | None = None,
    strategy: TaskStrategy = DEFAULT_STRATEGY,
    *,
    priority: float = 0,
    override: float | str | ReadableValue[object] | None = None,
    release: ReadableEvent[object] | None = None,
    verify: float | str | None = None,
    tolerance: float = 0.0,
    unknown: Literal["withdraw", "keep"] = "withdraw",
) -> None:
    """Say which value a path should have, together with other rules and a person.

    Of all drivers of a path, the one with the highest priority that has an opinion decides; of
    several with this priority, the one of the rule with the alphabetically last full name, and in a
    rule the last call. `NoValue` means no opinion. If the driver that decides withdraws, the value
    of the next one is sent. A value that the path shows already is not sent.

    Args:
        path: of a state.
        value: a Value that the path should have, or a constant.
        client: the client to use instead of the default one.
        strategy: how set requests are run. Their errors are reported, and not raised here.
        priority: the higher one decides.
        override: how long this driver stands by after a change that no rule has made: seconds, a
            text such as `"2h"`, or a Value: as long as that is true. None: it does not.
        release: an Event that ends the override of this driver.
        verify: seconds, or such a text, within which the path must show a value that was sent; else
            the attempt has failed. Also, a value that others have changed is sent again.
        tolerance: numbers that differ by no more count as equal, for devices that round.
        unknown: whether the driver has no opinion while the value is or contains `Unknown`, or
            keeps its last one.

    Raises:
        EshetError: see `Client`. An `ErrorValue` if the path is not a state.
        TypeError: `value` is an Event, or `override` or `release` is not of these kinds.
        ValueError: the priority, a length of time or the tolerance is not valid, or a length is
            longer than a year.
    """
    for each in (value, override, release):
        check_awaited(each, TypeError)
    source = ensure_reactive(value)
    if isinstance(source, Event):
        raise TypeError(
            f"drive says what should be so, and {value!r} is an Event, which is over at once: use "
            "event_to_value, hold or latest"
        )
    if release is not None and not isinstance(release, Event):
        raise TypeError(f"release={release!r} is not an Event: use value_to_event for a Value")
    if unknown not in ("withdraw", "keep"):
        raise ValueError(f"unknown={unknown!r}: write 'withdraw' or 'keep'")
    _check_priority(priority)
    _check_tolerance(tolerance)
    while_true = override if isinstance(override, PlainValue) else None
    driver = Driver(
        priority=priority,
        override=_seconds_of_override(override),
        verify=None if verify is None else seconds_of(verify, "verify"),
        tolerance=tolerance,
    )
    run = choose_strategy(strategy).build()
    client = await ready_client(client)
    sink = _Driving(source, client, client.resolve(path), driver, run, keeps=unknown == "keep")
    await sink.observe()
    if while_true is not None:
        feed(while_true, sink.set_may_stand_by)
    if release is not None:
        release.on_event(sink.end_stand_by)
    feed(source, own_output(sink))


def _check_priority(priority: object) -> None:
    if not isinstance(priority, int | float) or isinstance(priority, bool) or is_nan(priority):
        raise ValueError(f"priority={safe_repr(priority, 100)} is not a number")


def _check_tolerance(tolerance: object) -> None:
    is_number = isinstance(tolerance, int | float) and not isinstance(tolerance, bool)
    if not is_number or not 0 <= tolerance < math.inf:  # type: ignore[operator]  # it is a number
        raise ValueError(
            f"tolerance={safe_repr(tolerance, 100)} is not a difference of numbers: write 0.5, for "
            "example"
        )


def _seconds_of_override(override: object) -> float | None:
    if override is None:
        return None
    if isinstance(override, Event):
        raise TypeError(
            f"override={override!r} is an Event, which is over at once: write a length such as "
            "'2h', and pass the Event that ends the override as `release`"
        )
    if isinstance(override, PlainValue):
        return math.inf
    return seconds_of(override, "override")  # type: ignore[arg-type]  # it checks that


class _Driving(HeldOutput):
    """The sink of one driver. It takes part as long as it is not held back.

    Args:
        source: the Value that the path should have.
        client: the client that sends and observes.
        path: the path.
        driver: the driver.
        run: the strategy, built.
        keeps: whether an unknown value leaves the last opinion.
    """

    __slots__ = (
        "_client",
        "_driven",
        "_has_joined",
        "_is_own_server",
        "_keeps",
        "_made_in",
        "_opinion",
        "_run",
        "_scope",
        "_send_value",
        "driver",
        "inputs",
        "shown",
    )

    def __init__(
        self,
        source: Value[Any],
        client: Client,
        path: str,
        driver: Driver,
        run: BuiltStrategy,
        *,
        keeps: bool,
    ) -> None:
        super().__init__("drive", path, self._change, follows=True, skip=self._skip)
        self.driver: Final = driver
        self.inputs: Final = Inputs(node_of(source))
        self.shown: object = Unknown
        self._client = client
        self._made_in = copy_context()
        self._run: Any = run  # a user's own strategy may return any callable
        self._keeps = keeps
        self._opinion: object = NoValue
        self._has_joined = False
        self._scope = current_scope()
        drives = find_drives()
        server = _server_of(client, self._scope)
        self._is_own_server = server is None
        self._driven: DrivenPath = drives.path(server, path)
        _name(driver, drives, self._scope)
        self._send_value = Resending(self._attempt, client, self._is_retried)

    @property
    def scope(self) -> Scope | None:
        """See `DrivingSink`."""
        return self._scope

    @property
    def tracks_causes(self) -> bool:
        """See `DrivingSink`."""
        return self._client.observer is not None

    # --- wanted value -------------------------------------------------------------------------

    def __call__(self, value: object) -> None:
        """Follow the Value, or keep its value while this is held back."""
        if self.held is not None:
            self.held = [value]
        else:
            self._change(value)

    def _change(self, value: object) -> None:
        if value is NoValue or not (self._keeps and is_unknown(value)):
            self._opinion = NoValue if is_unknown(value) else as_delivered(value)
        if self._has_joined:
            self._driven.change(self.driver, self._opinion)
        else:
            self._join(None, 0.0)

    def _join(self, state: Any, epoch: float) -> None:
        if self._scope is not None:
            if self._scope.disposed:
                return
            self._scope.own(lambda: self._driven.leave(self))
        self._has_joined = True
        self.driver.value = self._opinion
        self._driven.join(self, state, epoch)

    def set_may_stand_by(self, condition: object) -> None:
        """Follow the Value of `override`."""
        self.driver.may_stand_by = not is_unknown(condition) and bool(condition)
        if not self.driver.may_stand_by:
            self._end_stand_by("condition")

    def end_stand_by(self, _: object = None) -> None:
        """Let the driver decide again, as its `release` has emitted."""
        self._end_stand_by("released")

    def _end_stand_by(self, why: EndOfOverride) -> None:
        if self._has_joined:
            self._driven.end_stand_by(self.driver, why)

    # --- the path -----------------------------------------------------------------------------

    async def observe(self) -> None:
        """Observe the path.

        Raises:
            ErrorValue: it is not a state.
        """
        try:
            self.shown = await self._client.state_observe(self.path, self._on_shown)
        except ErrorValue as error:
            error.add_note(f"drive needs a state; if {self.path} is a property, use set_value")
            raise

    def _on_shown(self, value: object) -> None:
        self.shown = value
        self._driven.show(self, value, by_owner=self._client.connected)

    # --- sending ------------------------------------------------------------------------------

    def submit(self, sent: SentValue, *, is_own: bool) -> None:
        """See `DrivingSink`."""
        # Without a cause the inputs are not needed.
        has_inputs = is_own and current.get() is not None
        try:
            self._run(_DriveTask(self, sent, self.inputs.now() if has_inputs else None))
        except BaseException as error:  # raised by a user's strategy
            sent.is_pending = False
            if not is_contained(error, self._scope):
                raise
            if self._scope is not None:
                self._scope.report(error, self.label)

    def deliver(self, sent: SentValue) -> Awaitable[object]:
        """Send a value, and again after a reconnection."""
        return self._send_value(sent)

    async def _attempt(self, value: Any) -> None:
        sent: SentValue = value
        if not self._driven.is_wanted(sent):
            self.skip_sending(sent, "superseded")
            return
        with self._driven.attempting(sent):
            await self._client.set(self.path, sent.value)
        if self.driver.verify is not None:
            await self._driven.wait_shown(sent, self.driver.verify)
        sent.is_done = True

    def skip_sending(self, sent: SentValue, why: str) -> None:
        """Note that a value is not sent, or not sent again."""
        sent.is_pending = False
        self.skip(sent.value, why)

    def _is_retried(self) -> bool:
        return isinstance(self._run, BuiltStrategy) and bool(self._run.unfinished())

    def note_shown(self, value: object) -> None:
        """See `DrivingSink`."""
        self.skip(value, "shown")

    def _skip(self, value: object, why: str) -> None:
        context = self._made_in.copy()
        context.run(current.set, current.get())
        context.run(self._client.notify_skipped, Set.code, self.path, value, why)

    # --- hand-over ----------------------------------------------------------------------------

    def snapshot(self, epoch: float = 0.0) -> object:
        """See `HeldOutput`."""
        return {
            "function": self.function,
            "path": self.path,
            "last": [],
            "unfinished": [],
            "opinion": [] if self._opinion is NoValue else [self._opinion],
            "drive": self._driven.snapshot(self.driver, epoch),
            "is_own_server": self._is_own_server,
        }

    def release(self, state: Any = None, *, was_down: bool = False, epoch: float = 0.0) -> None:
        """Take part, continuing from the old version's driver; see `HeldOutput`."""
        held, self.held = self.held or [NoValue], None
        match state:
            case {"opinion": [opinion]} if self._keeps and held[0] is not NoValue:
                self._opinion = opinion
        if not is_unknown(held[0]):
            self._opinion = as_delivered(held[0])
        self._join(None if state is None else state.get("drive"), epoch)


class _DriveTask:
    """The task of sending one value, for the current cause.

    Args:
        sink: sends it.
        sent: the value.
        inputs: from which it came; None if it came from none, or they are not known.
    """

    __slots__ = ("_inputs", "_sent", "_sink")

    def __init__(self, sink: _Driving, sent: SentValue, inputs: InputValues | None) -> None:
        self._sink = sink
        self._sent = sent
        self._inputs = inputs

    def __repr__(self) -> str:
        """Return the name of the task for messages."""
        return self._sink.label

    def __call__(self) -> Awaitable[object]:
        """Send the value in an asyncio task."""
        current_inputs.set(self._inputs)  # this context belongs to the task
        return self._sink.deliver(self._sent)

    def skipped(self, why: str) -> None:
        """See `eshet.tasks.BuiltStrategy`."""
        self._sink.skip_sending(self._sent, why)


def _server_of(client: Client, scope: Scope | None) -> object:
    """Return an object that identifies the server of a client; None for that of all rules."""
    default = None if scope is None else scope.find(DefaultClient)
    own = None if default is None else default.client
    is_own = own is not None and (client is own or client.server == own.server)
    return None if is_own else client.server


def _name(driver: Driver, drives: Drives, scope: Scope | None) -> None:
    """Give a driver the name of its rule, and its number among the drivers of the rule."""
    rule = None if scope is None else scope.find(RuleName)
    driver.rule = "" if rule is None else rule.name
    driver.number = drives.next_number()
