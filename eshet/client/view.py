"""Several clients on one connection, one of which replaces another.

Each version of a rule module has a `ClientView` of its own on the module's connection. While a
version is being prepared its view is *held back*: it receives and answers nothing, and its outputs
(values to publish, sets, emissions) wait. Paths that the previous version has registered are
registered without a message. When the new version takes over, all of that changes at once:

    new = ClientView(connection, held_back=True)
    ...                              # set up with `new`, while `old` is running
    new.take_over(old)

The server only sees values that differ and paths that are new. Requests that the old version has
sent and that are not yet answered are not sent again by the new one; see `resume`.
"""

import asyncio
import functools
from collections import defaultdict
from collections.abc import Awaitable, Callable, Mapping
from contextvars import Context, copy_context
from types import MappingProxyType
from typing import Any, Final, NamedTuple

from eshet import codec
from eshet.client.callbacks import Answer, Callback, Tasks
from eshet.client.client import Client
from eshet.client.connection_manager import ConnectionManager
from eshet.client.event_iteration import EventIteration
from eshet.client.pending_request import PendingRequest
from eshet.client.registrar import Registrar
from eshet.client.registrations import Registration, RegistrationTable
from eshet.client.session import describe
from eshet.exceptions import ErrorValue, EshetError, PathTaken
from eshet.messages import ActionCall, EventEmit, Set, StateChanged, StateUnknown
from eshet.scope import Scope, current, current_scope, report_error
from eshet.unknown import Unknown

__all__ = ["ClientView", "has_published", "resume"]

_RESUMING_TIME: Final = 1.0
"""Seconds after a hand-over in which the new version may reuse requests of the old one."""

_RESUMED: Final = (ActionCall.code, EventEmit.code, Set.code)
_NOT_THERE_YET: Final = NotImplementedError("not_implemented")

_HELD_WITHIN: Final = 1.0
"""Seconds for which a request to a callback may wait until that is released."""

_MAX_UNANSWERED: Final = 100
"""Number of requests to a callback that may wait until it is released."""


# Code, path and value.
_Sent = tuple[int, bytes, bytes]
_Send = Callable[[int, bytes, bytes], Awaitable[None]]


class _HeldBack(NamedTuple):
    """The value of an output to a path, and the context of that output."""

    value: bytes
    context: Context


class ClientView(Client):
    """A client on the connection of another one.

    Closing it closes the connection.

    Args:
        connection: the client that owns the connection; only views use it.
        held_back: whether it waits to take over.
        is_releasing: returns whether another client is about to give up a path that it owns: then
            the path is registered when that has happened.
    """

    _registrar: "_Registrar"

    def __init__(
        self,
        connection: Client,
        *,
        held_back: bool = False,
        is_releasing: Callable[[str], bool] = lambda path: False,
    ) -> None:
        self._use(connection._connection)
        self._registrar = _Registrar(
            self._manager,
            self._registrations,
            self._tasks,
            held_back=held_back,
            is_releasing=is_releasing,
        )
        self._held_back = held_back
        self._last_sent: dict[tuple[int, bytes], bytes] = {}  # the last value sent to each path
        self._held_outputs: dict[tuple[int, bytes], list[_HeldBack]] = {}
        self._values: dict[bytes, _HeldBack] = {}  # of states; an empty value is unknown
        self._callbacks: list[_HeldCallback] = []
        # Pending replies to requests of the old view: all, and those that this view reuses.
        self._in_flight: defaultdict[_Sent, list[asyncio.Future[Any]]] = defaultdict(list)
        self._resumed: defaultdict[_Sent, list[asyncio.Future[Any]]] = defaultdict(list)

    def take_over(
        self,
        old: "ClientView | None" = None,
        when_free: Awaitable[object] | None = None,
        rules: Mapping[Scope, str] = MappingProxyType({}),
    ) -> None:
        """Start to receive, answer and send; all at once, replacing the old view if given.

        Paths that only the old view has registered are for the old one to withdraw. If the last
        value sent to a path is the same, it is not sent again.

        Args:
            old: the view to replace.
            when_free: done when the paths that others were about to give up are free.
            rules: the names of the rules of both views, by their scopes. Events that wait for an
                iteration move to the iteration of the same rule.
        """
        self._held_back = False
        self._registrar.take_over(when_free)
        values, self._values = self._values, {}
        for path, output in values.items():
            owned = self._registrations.owned.get(path)
            if owned is None or (owned.value or b"") != output.value:
                code = StateChanged.code if output.value else StateUnknown.code
                self._in_background(self._change, output, code, path)
            else:
                self._skip_unchanged(output, StateChanged.code, path)
        if old is not None:
            self._take_over_iterations(old, rules)
            self._last_sent = old._last_sent
            for request in self._manager.in_flight:
                if request.code in _RESUMED and not request.future.done():
                    sent = request.code, request.path, request.value
                    self._in_flight[sent].append(request.outlive_caller())
            asyncio.get_running_loop().call_later(_RESUMING_TIME, self._forget_in_flight)
        held, self._held_outputs = self._held_outputs, {}
        for (code, path), outputs in held.items():
            if self._last_sent.get((code, path)) != outputs[-1].value:
                for output in outputs:
                    self._in_background(self._send, output, code, path)
            else:
                self._skip_unchanged(outputs[-1], code, path)
        callbacks, self._callbacks = self._callbacks, []
        for callback in callbacks:
            callback.release()

    def _take_over_iterations(self, old: "ClientView", rules: Mapping[Scope, str]) -> None:
        """Move the events that wait for iterations of the old view to those of this one.

        They move to the same rule's iterations of the path, in their order. If one iteration of the
        path is left in each view, its rule was renamed.
        """
        theirs: defaultdict[tuple[str, str], list[EventIteration]] = defaultdict(list)
        unmatched: defaultdict[str, list[EventIteration]] = defaultdict(list)
        for each in self._iterations:
            if each.client is old:
                theirs[_rule_of(each.scope, rules), each.path].append(each)
        for each in self._iterations:
            if each.client is self:
                if same := theirs[_rule_of(each.scope, rules), each.path]:
                    each.take_over(same.pop(0))
                else:
                    unmatched[each.path].append(each)
        for path, ours in unmatched.items():
            left = [each for (_, of), all_ in theirs.items() if of == path for each in all_]
            if len(ours) == len(left) == 1:
                ours[0].take_over(left[0])

    def begin_end(self) -> None:
        """Prepare the end of the connection, which must be soon: ignore all further inputs.

        The end of the connection withdraws all registrations, so they are not withdrawn one by one.
        """
        self._registrar.is_ending = True
        self._manager.receiver.ignore_inputs()

    def owns(self, path: str) -> bool:
        """Whether this connection has registered the path, and has not given it up."""
        owned = self._registrations.owned.get(path.encode())
        return owned is not None and not owned.withdrawn

    async def wait_released(self) -> None:
        """Wait until the server has dropped all withdrawn paths.

        If the server can't drop single paths, the connection is made again.
        """
        await self.wait_leaving()
        if any(each.withdrawn and each.on_server for each in self._registrations.owned.values()):
            await self._manager.reconnect("to give up paths on a server without /meta/unregister")

    async def wait_leaving(self, longest: float | None = None) -> None:
        """Wait until the server has answered the requests to drop withdrawn paths.

        Args:
            longest: maximum time to wait, in seconds.
        """
        owned = self._registrations.owned.values()
        leaving = [each.leaving for each in owned if each.leaving]
        if leaving:
            await asyncio.wait(leaving, timeout=longest)

    async def _send(self, code: int, path: bytes, value: bytes) -> None:
        if self._held_back:
            self._held_outputs.setdefault((code, path), []).append(_HeldBack(value, copy_context()))
        else:
            self._last_sent[code, path] = value
            await super()._send(code, path, value)

    def _ask_now(self, code: int, path: bytes, value: bytes) -> PendingRequest | None:
        if self._held_back or self._resumed:
            return None
        if code != ActionCall.code:
            self._last_sent[code, path] = value
        return super()._ask_now(code, path, value)

    def _change_now(self, code: int, path: bytes, value: bytes) -> PendingRequest | None:
        if self._held_back or self._registrar.is_late(path):
            return None
        return super()._change_now(code, path, value)

    async def _ask(self, code: int, path: bytes, value: bytes = b"") -> object:
        if self._resumed and (replies := self._resumed.get((code, path, value))):
            return await replies.pop(0)
        return await super()._ask(code, path, value)

    def _resume(self, sent: _Sent) -> None:
        if replies := self._in_flight.get(sent):
            self._resumed[sent].append(replies.pop(0))

    def _forget_in_flight(self) -> None:
        self._in_flight.clear()
        self._resumed.clear()

    async def _change(self, code: int, path: bytes, value: bytes = b"") -> None:
        if not self._held_back:
            await self._registrar.registered(path)
            await super()._change(code, path, value)
        elif self._registrar.has(path):
            self._values[path] = _HeldBack(value, copy_context())
        else:
            raise ErrorValue("not_owner", describe(code, path))

    def _in_background(self, send: "_Send", output: _HeldBack, code: int, path: bytes) -> None:
        sending = functools.partial(send, code, path, output.value)
        scope = current_scope(output.context)
        output.context.run(current.set, None)  # the task belongs to the client, not to the scope
        reporting = _reporting(sending, scope, describe(code, path))
        _ = output.context.run(self._tasks.start, reporting)

    def _skip_unchanged(self, output: _HeldBack, code: int, path: bytes) -> None:
        value = codec.unpack(output.value) if output.value else Unknown
        output.context.run(self.notify_skipped, code, path.decode(), value, "unchanged")

    def _callback(self, function: Callable[..., object], role: str, path: bytes) -> Callback:
        if not self._held_back:
            return super()._callback(function, role, path)
        observer = self._registrations.observer
        callback = _HeldCallback(function, role, path.decode(), self._tasks, observer)
        self._callbacks.append(callback)
        return callback


def _rule_of(scope: Scope | None, rules: Mapping[Scope, str]) -> str:
    while scope is not None and scope not in rules:
        scope = scope.parent
    return "" if scope is None else rules[scope]


class _HeldCallback(Callback):
    """A callback that is not called until it is released.

    An observer is then called with the last value that it missed; requests wait for a moment.

    Args:
        *args: see `Callback`.
    """

    __slots__ = ("_held", "_missed", "_unanswered")

    def __init__(self, *args: Any) -> None:
        super().__init__(*args)
        self._held = True
        self._missed: tuple[object, ...] | None = None
        self._unanswered: list[tuple[list[Any], Answer]] = []

    def release(self) -> None:
        """Start calling the function."""
        self._held = False
        self._reset_seen()
        if self._missed is not None:
            self(*self._missed)
        unanswered, self._unanswered = self._unanswered, []
        for args, answer in unanswered:
            self.answer(args, answer)

    def __call__(self, *args: object) -> None:
        """See `Callback`."""
        if not self._held:
            super().__call__(*args)
        elif self._role == "observer":
            self._missed = args

    def answer(self, args: list[Any], answer: Answer) -> None:
        """See `Callback`."""
        if not self._held:
            super().answer(args, answer)
        elif len(self._unanswered) >= _MAX_UNANSWERED:
            answer.fail(_NOT_THERE_YET)
        else:
            if not self._unanswered:
                # The caller may have to end before the release.
                asyncio.get_running_loop().call_later(_HELD_WITHIN, self._fail_unanswered)
            self._unanswered.append((args, answer))

    def _fail_unanswered(self) -> None:
        unanswered, self._unanswered = self._unanswered, []
        for _, answer in unanswered:
            answer.fail(_NOT_THERE_YET)


class _Registrar(Registrar):
    """A registrar that, while held back, prepares to replace the nodes of another view."""

    def __init__(
        self,
        manager: ConnectionManager,
        registrations: RegistrationTable,
        tasks: Tasks,
        *,
        held_back: bool,
        is_releasing: Callable[[str], bool],
    ) -> None:
        super().__init__(manager, registrations, tasks)
        self._held_back = held_back
        self._is_releasing = is_releasing
        self._new: set[bytes] = set()  # paths that only this one has registered while held back
        self._prepared: dict[bytes, tuple[Registration, Scope | None]] = {}
        self._late: dict[bytes, asyncio.Task[None]] = {}

    def has(self, path: bytes) -> bool:
        """Whether a node was registered here while this is held back."""
        return path in self._prepared or path in self._new

    async def register(self, owned: Registration) -> None:
        """Register a node; see `Registrar`."""
        if not self._held_back:
            await super().register(owned)
        elif self.has(owned.path):
            raise PathTaken(describe(owned.code, owned.path), owned.path.decode())
        elif self._belongs_to_other(owned.path):
            self._prepare(owned)
        else:
            await self._register_new(owned)

    def is_late(self, path: bytes) -> bool:
        """Whether a node waits for its path to be free."""
        return path in self._late

    async def registered(self, path: bytes) -> None:
        """Wait until a node is registered that waited for its path to be free."""
        if path in self._late:
            await asyncio.wait([self._late[path]])

    def take_over(self, when_free: Awaitable[object] | None) -> None:
        """Replace registered nodes by prepared ones, at once or when their paths are free."""
        self._held_back = False
        self._new.clear()
        prepared, self._prepared = self._prepared, {}
        for path, (owned, scope) in prepared.items():
            other = self._registrations.owned.get(path)
            if other is not None and other.code == owned.code and not other.withdrawn:
                owned.value, owned.on_server, owned.taken = (
                    other.value,
                    other.on_server,
                    other.taken,
                )
                self._registrations.owned[path] = owned
            else:
                registering = functools.partial(self._register_late, owned, when_free)
                self._late[path] = self._tasks.start(
                    _reporting(registering, scope, describe(owned.code, path))
                )

    def withdraw(self, owned: Registration) -> None:
        """Give up a node; see `Registrar`."""
        late = self._late.get(owned.path)
        is_registered = self._registrations.owned.get(owned.path) is owned
        if self._prepared.get(owned.path, (None,))[0] is owned:
            del self._prepared[owned.path]
        elif late is not None and not late.done() and not is_registered:
            late.cancel()
        else:
            self._new.discard(owned.path)
            super().withdraw(owned)

    def _belongs_to_other(self, path: bytes) -> bool:
        other = self._registrations.owned.get(path)
        return other is not None and not other.withdrawn

    def _prepare(self, owned: Registration) -> None:
        scope = current_scope()
        self._prepared[owned.path] = owned, scope
        if scope is not None:
            scope.own(lambda: self.withdraw(owned))

    async def _register_new(self, owned: Registration) -> None:
        try:
            await super().register(owned)
        except ErrorValue:
            if not self._is_releasing(owned.path.decode()):
                raise
            self._prepare(owned)
        else:
            self._new.add(owned.path)

    async def _register_late(
        self, owned: Registration, when_free: Awaitable[object] | None
    ) -> None:
        try:
            if when_free is not None:
                await when_free
            await self.unregister(owned.path)  # the old one may be of another kind
            await self._register_on_server(owned)
        except PathTaken:  # reported by the caller
            owned.on_server, owned.taken = False, True
            self._registrations.owned[owned.path] = owned
            self._manager.retry_taken()
            raise
        finally:
            del self._late[owned.path]


def resume(client: Client, code: int, path: str, value: object) -> None:
    """Let the next equal request of a client use the reply to one that is pending already.

    At the moment of a hand-over, a request that the old version would repeat may be pending. The
    new version, which makes the same request, waits for its reply instead of sending it again.

    Args:
        client: the client that has taken over.
        code: of the message.
        path: of the node.
        value: of the message.
    """
    if isinstance(client, ClientView) and client._in_flight:
        client._resume((code, path.encode(), codec.pack(value)))


def has_published(client: Client, path: str, value: object) -> bool:
    """Whether a state that a client has registered already has this value."""
    owned = client._registrations.owned.get(path.encode())
    if owned is None:
        return False
    return owned.value == (None if value is Unknown else codec.pack(value))


async def _reporting(work: Callable[[], Awaitable[None]], scope: Scope | None, doing: str) -> None:
    """Do background work, and report a failure to the scope that it was started for."""
    try:
        await work()
    except EshetError as error:
        if scope is None:
            report_error(error, doing)
        else:
            scope.report(error, doing)
