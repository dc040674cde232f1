"""Several clients over one connection, one of which takes the place of another.

Each version of a rule module has a `ClientView` of its own over the module's connection. While a
version is prepared its view is *held back*: it hears nothing, answers nothing, and what it would
publish, set or emit waits. What the version before it has registered, it registers without a
message. When it takes over, all of that changes hands at once:

    new = ClientView(connection, held_back=True)
    ...                              # set up with `new`, while `old` works on
    new.take_over(old)

To the server nothing has happened, but for values that differ and paths that are new. What the old
version has sent and is not answered yet, the new one does not send again; see `resume`.
"""

import asyncio
import functools
from collections import defaultdict
from collections.abc import Awaitable, Callable
from contextvars import Context, copy_context
from typing import Any, Final, NamedTuple

from eshet import codec
from eshet.client.callbacks import Answer, Callback, Tasks
from eshet.client.client import Client
from eshet.client.connection_manager import ConnectionManager
from eshet.client.event_iteration import EventIteration
from eshet.client.registrar import Registrar
from eshet.client.registrations import Registration, RegistrationTable
from eshet.client.session import describe
from eshet.exceptions import ErrorValue, EshetError, PathTaken
from eshet.messages import ActionCall, EventEmit, Set, StateChanged, StateUnknown
from eshet.scope import Scope, current, current_scope, report_error
from eshet.unknown import Unknown

__all__ = ["ClientView", "has_published", "resume"]

_RESUMING_TIME: Final = 1.0
"""Seconds after a hand-over in which the new version may ask for what the old one has sent."""

_RESUMED: Final = (ActionCall.code, EventEmit.code, Set.code)
_NOT_THERE_YET: Final = NotImplementedError("not_implemented")


# Code, path and value.
_Sent = tuple[int, bytes, bytes]
_Say = Callable[[int, bytes, bytes], Awaitable[None]]


class _HeldBack(NamedTuple):
    """What is to be said of a path, and in which context it was."""

    value: bytes
    context: Context


class ClientView(Client):
    """A client over the connection of another.

    Closing it closes the connection.

    Args:
        connection: the client whose connection it is, which is used by views only.
        held_back: whether it waits to take over.
        leaves: tells of a path whether another client that owns it is about to give it up: then it
            is registered when that has happened.
    """

    _registrar: "_Registrar"

    def __init__(
        self,
        connection: Client,
        *,
        held_back: bool = False,
        leaves: Callable[[str], bool] = lambda path: False,
    ) -> None:
        self.__dict__.update(connection.__dict__)
        self._registrar = _Registrar(
            self._keeper, self._registrations, self._tasks, held_back=held_back, leaves=leaves
        )
        self._held_back = held_back
        self._said: dict[tuple[int, bytes], bytes] = {}  # the last of each path
        self._to_say: dict[tuple[int, bytes], list[_HeldBack]] = {}
        self._values: dict[bytes, _HeldBack] = {}  # of states; empty for unknown
        self._callbacks: list[_HeldCallback] = []
        # The answers to what the old one has sent: all of them, and those that this waits for.
        self._in_flight: defaultdict[_Sent, list[asyncio.Future[Any]]] = defaultdict(list)
        self._resumed: defaultdict[_Sent, list[asyncio.Future[Any]]] = defaultdict(list)

    def take_over(
        self, old: "ClientView | None" = None, when_free: Awaitable[object] | None = None
    ) -> None:
        """Hear, answer and say from now on; all at once, in the place of the old one if given.

        What only that one has registered is its own to take back. The last thing that it has said
        of a path is not said again.

        Args:
            old: whose place it takes.
            when_free: when the paths that others were about to give up are free.
        """
        self._held_back = False
        self._registrar.take_over(when_free)
        values, self._values = self._values, {}
        for path, said in values.items():
            owned = self._registrations.owned.get(path)
            if owned is None or (owned.value or b"") != said.value:
                code = StateChanged.code if said.value else StateUnknown.code
                self._in_background(self._change, said, code, path)
            else:
                self._skip_unchanged(said, StateChanged.code, path)
        if old is not None:
            self._take_over_iterations(old)
            self._said = old._said
            for request in self._keeper.in_flight:
                if request.code in _RESUMED and not request.future.done():
                    sent = request.code, request.path, request.value
                    self._in_flight[sent].append(request.outlive_asker())
            asyncio.get_running_loop().call_later(_RESUMING_TIME, self._forget_in_flight)
        held, self._to_say = self._to_say, {}
        for (code, path), sayings in held.items():
            if self._said.get((code, path)) != sayings[-1].value:
                for said in sayings:
                    self._in_background(self._say, said, code, path)
            else:
                self._skip_unchanged(sayings[-1], code, path)
        callbacks, self._callbacks = self._callbacks, []
        for callback in callbacks:
            callback.release()

    def _take_over_iterations(self, old: "ClientView") -> None:
        """Continue with the events that wait for an `async for` of the old one, path by path."""
        waiting: defaultdict[str, list[EventIteration]] = defaultdict(list)
        for each in self._iterations:
            if each.client is old:
                waiting[each.path].append(each)
        for each in self._iterations:
            if each.client is self and waiting[each.path]:
                each.take_over(waiting[each.path].pop(0))

    def owns(self, path: str) -> bool:
        """Whether this connection has registered the path, and has not given it up."""
        owned = self._registrations.owned.get(path.encode())
        return owned is not None and not owned.withdrawn

    async def left(self) -> None:
        """Wait until the server knows of all paths that were given up.

        One that can't be told to forget them is left, for a moment, by the whole connection.
        """
        owned = list(self._registrations.owned.values())
        leaving = [each.leaving for each in owned if each.leaving]
        if leaving:
            await asyncio.wait(leaving)
        if any(each.withdrawn and each.on_server for each in self._registrations.owned.values()):
            await self._keeper.reconnect("to give up paths on a server without /meta/unregister")

    async def _say(self, code: int, path: bytes, value: bytes) -> None:
        if self._held_back:
            self._to_say.setdefault((code, path), []).append(_HeldBack(value, copy_context()))
        else:
            self._said[code, path] = value
            await super()._say(code, path, value)

    async def _ask(self, code: int, path: bytes, value: bytes = b"") -> Any:
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

    def _in_background(self, say: "_Say", said: _HeldBack, code: int, path: bytes) -> None:
        saying = functools.partial(say, code, path, said.value)
        scope = current_scope(said.context)
        said.context.run(current.set, None)  # the task is the client's, and does not end with it
        reporting = _reporting(saying, scope, describe(code, path))
        _ = said.context.run(self._tasks.start, reporting)

    def _skip_unchanged(self, said: _HeldBack, code: int, path: bytes) -> None:
        value = codec.unpack(said.value) if said.value else Unknown
        said.context.run(self.notify_skipped, code, path.decode(), value, "unchanged")

    def _callback(self, function: Callable[..., Any], role: str, path: bytes) -> Callback:
        if not self._held_back:
            return super()._callback(function, role, path)
        observer = self._registrations.observer
        callback = _HeldCallback(function, role, path.decode(), self._tasks, observer)
        self._callbacks.append(callback)
        return callback


class _HeldCallback(Callback):
    """A callback that hears nothing until it is released.

    An observer is told the last of what it missed then.

    Args:
        *args: see `Callback`.
    """

    __slots__ = ("_held", "_missed")

    def __init__(self, *args: Any) -> None:
        super().__init__(*args)
        self._held = True
        self._missed: tuple[Any, ...] | None = None

    def release(self) -> None:
        """Hear from now on."""
        self._held = False
        self._see_from_now()
        if self._missed is not None:
            self(*self._missed)

    def __call__(self, *args: Any) -> None:
        """See `Callback`."""
        if not self._held:
            super().__call__(*args)
        elif self._role == "observer":
            self._missed = args

    def answer(self, args: list[Any], answer: Answer) -> None:
        """See `Callback`."""
        if self._held:
            answer.fail(_NOT_THERE_YET)
        else:
            super().answer(args, answer)


class _Registrar(Registrar):
    """A registrar that, while it is held back, registers beside another what that one has."""

    def __init__(
        self,
        keeper: ConnectionManager,
        registrations: RegistrationTable,
        tasks: Tasks,
        *,
        held_back: bool,
        leaves: Callable[[str], bool],
    ) -> None:
        super().__init__(keeper, registrations, tasks)
        self._held_back = held_back
        self._leaves = leaves
        self._new: set[bytes] = set()  # what this alone has registered while it is held back
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
        elif self._is_others(owned.path):
            self._prepare(owned)
        else:
            await self._register_new(owned)

    async def registered(self, path: bytes) -> None:
        """Wait until a node is registered that had to wait for its path."""
        if path in self._late:
            await asyncio.wait([self._late[path]])

    def take_over(self, when_free: Awaitable[object] | None) -> None:
        """Let what was prepared take the place of what is there, at once or when it is free."""
        self._held_back = False
        self._new.clear()
        prepared, self._prepared = self._prepared, {}
        for path, (owned, scope) in prepared.items():
            other = self._registrations.owned.get(path)
            if other is not None and other.code == owned.code and not other.withdrawn:
                owned.value, owned.on_server = other.value, other.on_server
                self._registrations.owned[path] = owned
            else:
                registering = functools.partial(self._register_late, owned, when_free)
                self._late[path] = self._tasks.start(
                    _reporting(registering, scope, describe(owned.code, path))
                )

    def withdraw(self, owned: Registration) -> None:
        """Give up a node; see `Registrar`."""
        if self._prepared.get(owned.path, (None,))[0] is owned:
            del self._prepared[owned.path]
        elif owned.path in self._late and not self._late[owned.path].done():
            self._late[owned.path].cancel()
        else:
            self._new.discard(owned.path)
            super().withdraw(owned)

    def _is_others(self, path: bytes) -> bool:
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
            if not self._leaves(owned.path.decode()):
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
            await self.unregister(owned.path)  # it may be of another kind
            await self._ask_for(owned)
        finally:
            del self._late[owned.path]


def resume(client: Client, code: int, path: str, value: Any) -> None:
    """Tell a client that its next request may be one that is on its way already.

    What an old version would attempt again may be on its way at the moment of the hand-over. The
    new version, which asks for the same, waits for the answer to that instead of asking twice.

    Args:
        client: which has taken over.
        code: of the message.
        path: of the node.
        value: of the message.
    """
    if isinstance(client, ClientView) and client._in_flight:
        client._resume((code, path.encode(), codec.pack(value)))


def has_published(client: Client, path: str, value: Any) -> bool:
    """Whether a state that a client has registered has this value already."""
    owned = client._registrations.owned.get(path.encode())
    if owned is None:
        return False
    return owned.value == (None if value is Unknown else codec.pack(value))


async def _reporting(work: Callable[[], Awaitable[None]], scope: Scope | None, doing: str) -> None:
    """Do what nobody waits for, and report its failure to whom it was done for."""
    try:
        await work()
    except EshetError as error:
        if scope is None:
            report_error(error, doing)
        else:
            scope.report(error, doing)
