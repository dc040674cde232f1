"""One WebSocket, and the connection to the server that belongs to it.

Each message is passed on in the other form, JSON or msgpack. Since each WebSocket has a connection
of its own, all that its client owns ends with it, and the server answers for all of it: actions,
properties, states and sets of states.
"""

import asyncio
import contextlib
import logging
from typing import Any, Final

from aiohttp import WSMsgType, web

from eshet import codec, messages
from eshet.connection import Connection, Connector
from eshet.exceptions import MessageTooLong, ProtocolError
from eshet.gateway import json_values
from eshet.gateway.access import Access, Caller, Scope
from eshet.gateway.outbox import Outbox
from eshet.gateway.websocket_messages import REPLIES, Fault, read, write
from eshet.messages import (
    PROTOCOL_VERSION,
    ActionCall,
    EventListen,
    Get,
    Hello,
    HelloAllocated,
    HelloId,
    Message,
    NotifyKnown,
    NotifyUnknown,
    Ping,
    Reply,
    ReplyError,
    Set,
    StateObserve,
    StateObserveT,
    WithId,
    WithPath,
    WithValue,
)
from eshet.paths import is_path
from eshet.program import printable
from eshet.protocol import MAX_PAYLOAD, ClientProtocol, TimeoutConfig
from eshet.protocol.framing import frame_with_id

__all__ = ["WebSocketSession"]

CLOSED: Final = 1000
"""The code of a WebSocket that its client has closed."""
IDLE: Final = 4000
"""The code with which a silent client is disconnected."""
FAULT: Final = 1011
"""That of a client that broke the protocol or does not read, and of a server that is gone."""
GOING_AWAY: Final = 1001
"""That of the end of the gateway."""
REFUSED: Final = 1008
"""That of a token that has been removed."""

_CLOSE_WITHIN: Final = 1.0
"""How long a client may take to read the rest and to confirm the end, in seconds."""
_HELLO_WITHIN: Final = 30.0
_MAX_REASON: Final = 120  # bytes; a close frame has room for 123
_MAX_PENDING: Final = 10_000
"""How many requests of a client may wait for their replies."""
_MAX_PENDING_BYTES: Final = 8 << 20
_HEAD: Final = 3
"""The length of a payload's code and id."""

_READING: Final = (Get, EventListen, StateObserve, StateObserveT, Ping, Reply, ReplyError)
"""The messages that a client without the scope `act` may send; only an owner sends replies."""
_READING_ACTIONS: Final = frozenset(
    {"/meta/ls", "/meta/tree", "/meta/clients", "/meta/stats", "/meta/unregister"}
)
"""The actions of the server that change nothing for others."""
_HOW_TO_ACT: Final = (
    "this needs a token of the scope act: open the WebSocket with the header Authorization: Bearer "
    "TOKEN, or after a POST /login; {make}"
)


_TREE: Final = "/meta/tree"


def _is_reading(message: Message) -> bool:
    """Whether a message changes nothing for others."""
    return isinstance(message, _READING) or (
        isinstance(message, ActionCall) and message.path in _READING_ACTIONS
    )


class _Ended(Exception):
    """The session has to end.

    Args:
        code: with which the WebSocket is closed.
        reason: for the client, and for the log.
    """

    def __init__(self, code: int, reason: str) -> None:
        self.code = code
        self.reason = reason
        super().__init__(reason)


class WebSocketSession:
    """Serves one WebSocket.

    Args:
        socket: after its handshake.
        connector: connects to the server.
        access: the access control of the gateway.
        caller: who opened the WebSocket.
        log: for the end of sessions.
    """

    def __init__(
        self,
        socket: web.WebSocketResponse,
        connector: Connector,
        access: Access,
        caller: Caller,
        log: logging.Logger,
    ) -> None:
        self._loop = asyncio.get_running_loop()
        self._socket = socket
        self._connector = connector
        self._access = access
        self._caller = caller
        self._log = log
        self._outbox = Outbox()
        self._has_output = asyncio.Event()
        self._ended: asyncio.Future[_Ended] = self._loop.create_future()
        self._connection: Connection | None = None
        self._protocol: ClientProtocol[tuple[int, int]] | None = None
        self._asked: set[int] = set()  # the ids of requests that the client has to answer
        self._pending_bytes = 0
        self._hides_id = False  # whether the client must believe that it has its own id
        self._timeout = _HELLO_WITHIN

    async def run(self) -> None:
        """Serve the client until either side ends the connection."""
        parts = [
            self._loop.create_task(self._receive()),
            self._loop.create_task(self._send()),
        ]
        end = _Ended(GOING_AWAY, "the gateway is closing")
        try:
            waited: list[asyncio.Future[Any]] = [*parts, self._ended]
            await asyncio.wait(waited, return_when=asyncio.FIRST_COMPLETED)
            end = _Ended(FAULT, "an error in the gateway; its log has the details")
            end = await self._first_end(parts)
        finally:
            for part in parts:
                part.cancel()
            await asyncio.gather(*parts, return_exceptions=True)
            if self._connection is not None:
                self._connection.close(end.reason)
            await self._close(end)

    async def _first_end(self, parts: list[asyncio.Task[None]]) -> _Ended:
        """Return why the session ends, when one of its parts or the connection has ended."""
        if self._ended.done():
            return self._ended.result()
        try:
            for part in parts:
                if part.done():
                    await part
        except _Ended as end:
            return end
        return _Ended(CLOSED, "the client closed it")

    async def _close(self, end: _Ended) -> None:
        level = logging.DEBUG if end.code in (CLOSED, GOING_AWAY) else logging.INFO
        reason = printable(end.reason)
        self._log.log(level, "WebSocket of %s ended: %s", self._caller.name, reason)
        shown = reason.encode()[:_MAX_REASON].decode(errors="ignore")
        with contextlib.suppress(TimeoutError, ConnectionError):
            async with asyncio.timeout(_CLOSE_WITHIN):
                await self._send_waiting()
                await self._socket.close(code=end.code, message=shown.encode())

    # --- from the client ----------------------------------------------------------------------

    async def _receive(self) -> None:
        while True:
            try:
                # The pongs of the browser do not count: its page may hang.
                async with asyncio.timeout(self._timeout or None):
                    received = await self._socket.receive()
            except TimeoutError:
                raise _Ended(IDLE, f"nothing was sent for {self._timeout:g} s") from None
            if received.type is WSMsgType.TEXT:
                try:
                    await self._handle(read(received.data))
                except Fault as fault:
                    raise _Ended(FAULT, f"the client sent {fault.problem}") from None
            elif received.type is WSMsgType.BINARY:
                raise _Ended(FAULT, "the client sent bytes: messages are texts")
            elif received.type is WSMsgType.ERROR:
                problem = str(received.data)
                self._access.refusals.refused(self._caller.peer, "WebSocket error", problem)
                raise _Ended(FAULT, problem)
            else:
                return

    async def _handle(self, message: Message) -> None:
        if self._protocol is None:
            await self._greet(message)
            return
        match message:
            case Hello() | HelloId():
                raise Fault("a second hello")
            case Reply(number, value) | ReplyError(number, value):
                self._answer(message.code, number, value)
            case WithId():
                self._ask(self._protocol, message)

    async def _greet(self, message: Message) -> None:
        """Connect to the server, after the hello of the client."""
        if not isinstance(message, Hello | HelloId):
            raise Fault("another message before its hello")
        if message.version != PROTOCOL_VERSION:
            raise Fault(f"a hello of protocol version {message.version}, not {PROTOCOL_VERSION}")
        self._timeout = float(message.timeout_s)
        client_id = message.client_id if isinstance(message, HelloId) else None
        if client_id is not None and not self._caller.may(Scope.ACT):
            # A client that says hello with the id of another one takes its place.
            client_id, self._hides_id = None, True
        in_process = getattr(self._connector, "is_in_process", False)
        timeouts = None if in_process else TimeoutConfig()
        self._protocol = ClientProtocol(client_id, timeouts, self._loop.time())
        connection = Connection(self._protocol, self._on_payload, self._on_lost)
        self._connection = connection
        try:
            await self._connector.connect(lambda: connection)
        except OSError as error:
            raise _Ended(FAULT, f"can't connect to the ESHET server: {error}") from None

    def _answer(self, code: int, number: int, value: bytes) -> None:
        """Pass on the client's answer to a request of the server."""
        if number not in self._asked:
            raise Fault(f"a reply to request {number}, which is not open")
        self._asked.remove(number)
        assert self._connection is not None  # noqa: S101 - the server has sent a request
        try:
            answer = frame_with_id(code, number, value)
        except MessageTooLong:
            answer = frame_with_id(ReplyError.code, number, codec.pack("reply_too_long"))
        self._connection.send(answer)

    def _ask(self, protocol: ClientProtocol[tuple[int, int]], message: WithId) -> None:
        """Pass on a request of the client."""
        number = message.id
        if not self._may_send(message):
            what = f"{type(message).__name__} {getattr(message, 'path', '')}"
            self._access.refusals.refused(self._caller.peer, "WebSocket: not_permitted", what)
            how = _HOW_TO_ACT.format(make=self._access.remedies.to_act)
            self._put(["reply", number, ["error", "not_permitted"], how])
            return
        if isinstance(message, WithPath) and not is_path(message.path):
            self._fail(number, "invalid_path")
            return
        # Changes and emissions by an owner are not actions of a person, and may be many.
        if isinstance(message, Set | ActionCall) and not _is_reading(message):
            action = "set" if isinstance(message, Set) else "call"
            self._access.on_act(self._caller, action, message.path)
        rest = _rest(message)
        if (
            len(protocol.requests) >= _MAX_PENDING
            or self._pending_bytes + len(rest) > _MAX_PENDING_BYTES
        ):
            self._fail(number, "too_many_requests")
            return
        if len(rest) + _HEAD > MAX_PAYLOAD:
            self._fail(number, "message_too_long")
            return
        request_id = protocol.requests.open((number, len(rest)))
        self._pending_bytes += len(rest)
        assert self._connection is not None  # noqa: S101 - made by the hello
        self._connection.send(frame_with_id(message.code, request_id, rest))

    def _may_send(self, message: WithId) -> bool:
        if not _is_reading(message):
            return self._caller.may(Scope.ACT)
        path = getattr(message, "path", None)
        # The whole tree has the values of all states in it.
        if path is None or (path in _READING_ACTIONS and path != _TREE):
            return self._caller.may(Scope.READ)
        return self._caller.may(self._access.scope_to_read("" if path == _TREE else path))

    def _fail(self, number: int, error: str) -> None:
        self._put(["reply", number, ["error", error]])

    # --- from the server ----------------------------------------------------------------------

    def _on_payload(self, payload: bytes) -> None:
        message = messages.unpack(payload, messages.FROM_SERVER)
        number: int | None = None
        state = ""
        if isinstance(message, REPLIES):
            assert self._protocol is not None  # noqa: S101 - made before the connection
            request = self._protocol.requests.close(message.id)
            if request is None:
                self._protocol.pong()
                return
            number, length = request
            self._pending_bytes -= length
        elif isinstance(message, WithId):
            self._asked.add(message.id)
        elif isinstance(message, NotifyKnown | NotifyUnknown):
            state = message.path
        if isinstance(message, HelloAllocated) and self._hides_id:
            message = messages.HelloAccepted()
        try:
            text = write(message, number)
        except ValueError as error:
            raise ProtocolError(f"a value that JSON can't carry: {error}") from None
        self._put_text(text, state)

    def _on_lost(self, reason: str) -> None:
        self._end(_Ended(FAULT, f"the connection to the ESHET server ended: {reason}"))

    # --- to the client ------------------------------------------------------------------------

    def _put(self, content: list[object]) -> None:
        self._put_text(json_values.dumps(content))

    def _put_text(self, text: str, state: str = "") -> None:
        if not self._outbox.put(text, state):
            size = self._outbox.size
            self._outbox.clear()
            self._end(_Ended(FAULT, f"it does not read: {size} characters wait for it"))
        self._has_output.set()

    def _end(self, end: _Ended) -> None:
        if not self._ended.done():
            self._ended.set_result(end)

    async def _send(self) -> None:
        while True:
            await self._has_output.wait()
            self._has_output.clear()
            if not self._caller.may(Scope.READ):
                self._outbox.clear()
                raise _Ended(REFUSED, "the token is not valid any more")
            try:
                await self._send_waiting()
            except ConnectionError:
                return

    async def _send_waiting(self) -> None:
        while (text := self._outbox.take()) is not None:
            await self._socket.send_str(text)


def _rest(message: WithId) -> bytes:
    """Return the payload of a client's request after its id."""
    match message:
        case WithValue(_, path, value):
            return path.encode() + b"\0" + value
        case WithPath(_, path):
            return path.encode() + b"\0"
        case _:
            return b""
