"""A node that is shown on the other side: requests go to its owner, values come from there."""

import asyncio
import logging
from abc import ABC, abstractmethod
from collections import deque
from collections.abc import Awaitable, Callable
from typing import Any, ClassVar, Final

from eshet import codec
from eshet.bridges.nats.sending import Sending
from eshet.bridges.nats.side import Side
from eshet.exceptions import (
    Disconnected,
    ErrorAnswer,
    ErrorValue,
    EshetError,
    MessageTooLong,
    UnsupportedValue,
)
from eshet.scope import Scope, current_scope
from eshet.unknown import Unknown

__all__ = ["COPIES", "Copy"]

_HEAD: Final = 3
"""The length of the code and id of a message."""

_ECHO_WITHIN: Final = 10.0
"""Seconds from the answer to an emission until it is received, if no connection is lost."""

_log: Final = logging.getLogger("eshet.bridges")


class Copy(ABC):
    """A copy of a node, from `open` to `close`.

    Args:
        path: of the node, on both sides.
        origin: the side of its owner.
        other: the side on which it is shown.
        on_unknown: called when its owner may be gone.
    """

    kind: ClassVar[str]
    """The kind of the node; see `Node`."""

    def __init__(
        self, path: str, origin: Side, other: Side, on_unknown: Callable[[], object]
    ) -> None:
        self.path: Final = path
        self._origin = origin
        self._other = other
        self._on_unknown = on_unknown
        self._scope = Scope(path, parent=current_scope())
        self._is_told = False

    async def open(self) -> None:
        """Register the copy.

        Raises:
            EshetError: that is not possible; nothing is left of it.
        """
        try:
            with self._scope.active():
                await self._register()
        except EshetError:
            await self.close()
            raise

    async def close(self) -> None:
        """Unregister the copy; returns when the servers have confirmed it."""
        await self._other.client.unregister(self.path)
        self._scope.dispose()

    @abstractmethod
    async def _register(self) -> None:
        """Register the copy, and follow the node."""

    async def _ask(self, request: Callable[..., Awaitable[Any]], *arguments: Any) -> Any:
        """Return the owner's answer to a request that the copy has received.

        Raises:
            ErrorAnswer: the error for the client that made the request.
        """
        if not self._origin.client.connected:
            raise ErrorAnswer("no_owner")
        try:
            answer = await request(self.path, *arguments)
        except ErrorValue as error:
            raise ErrorAnswer(error.value) from None
        except Disconnected:
            raise ErrorAnswer("client_exited") from None
        except MessageTooLong:
            self._tell(f"a value for it is too long for {self._origin}, and was refused")
            raise ErrorAnswer("value_too_long") from None
        except EshetError as error:
            raise ErrorAnswer(str(error)) from None
        if len(codec.pack(answer)) + _HEAD > self._other.client.max_payload:
            self._tell(f"an answer of it is too long for {self._other}, and was refused")
            raise ErrorAnswer("reply_too_long")
        return answer

    def _tell(self, problem: str) -> None:
        """Log that a value can't be passed on, once for this copy."""
        if not self._is_told:
            self._is_told = True
            _log.warning("%s: %s; further ones are not logged", self.path, problem)


class ActionCopy(Copy):
    """A copy of an action."""

    kind = "action"

    async def _register(self) -> None:
        await self._other.client.action_register(self.path, self._call)

    async def _call(self, *arguments: Any) -> Any:
        return await self._ask(self._origin.client.action_call, *arguments)


class PropertyCopy(Copy):
    """A copy of a property."""

    kind = "prop"

    async def _register(self) -> None:
        await self._other.client.prop_register(self.path, self._get, self._set)

    async def _get(self) -> Any:
        return await self._ask(self._origin.client.get)

    async def _set(self, value: Any) -> None:
        await self._ask(self._origin.client.set, value)


class StateCopy(Copy):
    """A copy of a state, which shows its value."""

    kind = "state"

    def __init__(self, *arguments: Any) -> None:
        super().__init__(*arguments)
        self._sending = Sending(self._publish, _ignore)
        self._has_changed = False

    async def _register(self) -> None:
        await self._other.client.state_register(self.path, self._set)
        value = await self._origin.client.state_observe(self.path, self._show)
        if not self._has_changed:  # else that was later
            self._show(value)

    async def close(self) -> None:
        """See `Copy`."""
        await self._origin.client.unobserve(self.path)
        self._sending.cancel()
        await super().close()

    async def _set(self, value: Any) -> None:
        await self._ask(self._origin.client.set, value)

    def _show(self, value: Any) -> None:
        if value is Unknown and self._has_changed:
            self._on_unknown()
        if value is not Unknown or self._has_changed:  # it is unknown before
            self._sending.put(value)
        self._has_changed = True

    async def _publish(self, value: Any) -> None:
        try:
            await self._other.client.state_changed(self.path, value)
        except (MessageTooLong, UnsupportedValue) as error:
            self._tell(f"its value does not fit on {self._other}, and is unknown there: {error}")
            await self._publish(Unknown)
        except EshetError:
            pass  # another client has the path now, which will be noticed


class EventCopy(Copy):
    """A copy of an event. Any client may emit it, on either side, and all listeners receive it."""

    kind = "event"

    def __init__(self, *arguments: Any) -> None:
        super().__init__(*arguments)
        self._here = _Emitter(self._origin, self.path, self._tell)
        self._there = _Emitter(self._other, self.path, self._tell)

    async def _register(self) -> None:
        await self._other.client.event_register(self.path)
        for heard, emitter in ((self._here, self._there), (self._there, self._here)):
            await heard.listen(emitter)

    async def close(self) -> None:
        """See `Copy`."""
        for emitter in (self._here, self._there):
            await emitter.close()
        await super().close()


class _Emitter:
    """Emits an event on one side, and recognizes its own emissions.

    Args:
        side: the side.
        path: of the event.
        tell: logs a problem once.
    """

    def __init__(self, side: Side, path: str, tell: Callable[[str], object]) -> None:
        self._side = side
        self._path = path
        self._tell = tell
        self._sending = Sending(self._emit, self._skip)
        self._own: deque[_Emission] = deque()
        self._loop = asyncio.get_running_loop()

    async def listen(self, other: "_Emitter") -> None:
        """Emit the events of other clients on this side on the other one."""

        def on_event(payload: Any) -> None:
            if not self._is_own(payload):
                other._sending.put(payload)

        await self._side.client.event_listen_cb(self._path, on_event)

    async def close(self) -> None:
        """Listen and emit no more."""
        await self._side.client.unlisten(self._path)
        self._sending.cancel()

    async def _emit(self, payload: Any) -> None:
        emission = _Emission(codec.pack(payload))
        self._own.append(emission)
        try:
            await self._side.client.event_emit(self._path, payload)
        except EshetError as error:
            if emission in self._own:
                self._own.remove(emission)
            if isinstance(error, (MessageTooLong, UnsupportedValue)):
                self._tell(f"an emission is too long for {self._side}, and was not passed on")
        else:
            emission.ends = self._loop.time() + _ECHO_WITHIN

    def _skip(self, _: Any) -> None:
        self._tell(f"emissions come faster than {self._side} takes them, and are dropped")

    def _is_own(self, payload: Any) -> bool:
        """Whether a received emission is one of this bridge, each of which is received once."""
        while self._own and self._own[0].ends < self._loop.time():
            self._own.popleft()
        packed = codec.pack(payload)
        emission = next((each for each in self._own if each.payload == packed), None)
        if emission is None:
            return False
        self._own.remove(emission)
        return True


class _Emission:
    """An emission of the bridge that it has not received yet."""

    __slots__ = ("ends", "payload")

    def __init__(self, payload: bytes) -> None:
        self.payload = payload
        self.ends = float("inf")
        """The loop's time from which it is not expected any more."""


COPIES: Final = {each.kind: each for each in (ActionCopy, PropertyCopy, StateCopy, EventCopy)}
"""The class of the copies of each kind of nodes."""


def _ignore(_: Any) -> None:
    """Drop a value that is replaced by a later one."""
