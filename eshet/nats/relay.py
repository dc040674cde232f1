"""Requests and events between the servers that share a tree.

A request to the owner of a node is sent to the server of the owner, which handles it like that of a
client of its own. The answer may take as long as the owner likes. So to notice a lost answer, the
server of the owner is asked, from time to time, which requests it still has.
"""

import asyncio
import logging
from collections.abc import Callable, Collection
from typing import Any, Final, NamedTuple

import msgpack

from eshet import codec
from eshet.exceptions import MessageTooLong, ProtocolError, TooManyRequests
from eshet.messages import (
    NIL,
    ActionCall,
    Get,
    PropGet,
    PropSet,
    Reply,
    ReplyError,
    Set,
    StateSet,
)
from eshet.nats.connection import NatsConnection, NatsMessage, OnMessage, Subscription
from eshet.nats.exceptions import NatsError
from eshet.nats.fence import Fence
from eshet.protocol.framing import FrameReader
from eshet.protocol.requests import Requests
from eshet.server.departed import Event
from eshet.server.held_events import HeldEvents
from eshet.server.peer import Asked, Lease, Peer, Traffic
from eshet.server.router import reason_of_replacement
from eshet.server.shared import SharedRouter
from eshet.server.tree import TreeError

__all__ = ["Relay"]

_FROM_CLIENT: Final = {
    ActionCall.code: ActionCall.code,
    PropGet.code: Get.code,
    PropSet.code: Set.code,
    StateSet.code: Set.code,
}
"""The message of a client that makes its server send this one to the owner of a node; only these
are sent to other servers."""

_CHECK_AFTER: Final = 1.0
"""Seconds after which the other server is asked whether it still has a request."""

_ELSEWHERE: Final = 2.0
"""Seconds in which the others have to say whether they know an event."""

_ASK_EVERY: Final = 0.25
"""Seconds after which those that have not answered are asked again."""

_STALE: Final = codec.pack("stale_runner")
_GONE: Final = codec.pack("client_exited")
_NOT_FOUND: Final = codec.pack("path_not_found")
_NO_OWNER: Final = codec.pack("no_owner")
_TOO_MANY: Final = codec.pack("too_many_requests")
_TOO_LONG: Final = codec.pack("reply_too_long")
_ANSWERS: Final = (bytes((Reply.code,)), bytes((ReplyError.code,)))
_HEAD: Final = 3
_ANY_LENGTH: Final = 1 << 32  # NATS has its own limit
_KNOWN: Final = "1"
_NOT_KNOWN: Final = "0"

_REQUEST: Final = 0
_WHICH: Final = 1
_MISSED: Final = 2

_MISSED_WITHIN: Final = 1.0
"""Seconds in which the server of the last holder of a lease has to say what that has missed."""


class _Sent(NamedTuple):
    asked: Asked
    server: str
    since: float


class _Served(NamedTuple):
    """A request of another server.

    Args:
        reply: the subject of its answer.
        role: the role of the client, if that has a lease.
        token: its fencing token.
        was_forwarded: whether it has come from a third server.
    """

    reply: str
    role: str | None
    token: int
    was_forwarded: bool


class Relay:
    """Sends requests and events to the other servers, and handles theirs.

    Args:
        connection: to NATS.
        prefix: of all subjects.
        server: the id of this server.
        router: of this server.
        fence: the newest tokens.
        flush: called when there is output for clients.
        others: returns the ids of the other members.
        log: receives what goes wrong.
    """

    peername: str = "other servers"
    """See `eshet.server.peer.Line`."""

    congestion: float = 0.0
    """See `eshet.server.peer.Line`."""

    traffic: Final = Traffic(0, 0, 0)
    """See `eshet.server.peer.Line`."""

    def __init__(
        self,
        connection: NatsConnection,
        prefix: str,
        server: str,
        router: SharedRouter,
        fence: Fence,
        flush: Callable[[], object],
        others: Callable[[], Collection[str]],
        log: logging.Logger,
    ) -> None:
        self.peer: Final = Peer(NIL, [], self, max_payload=_ANY_LENGTH)
        """The other servers, as a client of the router of this one."""
        self._connection = connection
        self._prefix = prefix
        self._server = server
        self._router = router
        self._fence = fence
        self._flush = flush
        self._others = others
        self._log = log
        self._loop = asyncio.get_running_loop()
        self._sent: dict[int, _Sent] = {}
        self._next = 0
        self._served: Requests[_Served] = Requests()
        self._missed: dict[int, tuple[HeldEvents, asyncio.TimerHandle]] = {}
        self._emitted: dict[int, _Emitted] = {}
        self._frames = FrameReader(accepts_long=True)
        self._subscriptions: list[Subscription] = []
        self._unsent: list[tuple[str, bytes, int]] = []  # subject, payload, number of the request
        self._dropped: set[str] = set()  # kinds of messages of which one was dropped

    @property
    def is_serving(self) -> bool:
        """Whether requests of others wait for an answer."""
        return bool(self._served)

    def open(self) -> None:
        """Receive the requests and events of others, until `close`."""
        for kind, rest, on_message in (
            ("ask", f".{self._server}", self._on_request),
            ("reply", f".{self._server}.*", self._on_reply),
            ("event", ".>", self._on_event),
            ("known", "", self._on_known),
            ("joined", "", self._on_joined),
        ):
            subject, receive = f"{self._prefix}.{kind}{rest}", self._receiving(kind, on_message)
            self._subscriptions.append(self._connection.subscribe(subject, receive))

    def _receiving(self, kind: str, on_message: OnMessage) -> OnMessage:
        """Return what processes messages; those that are not of a server of the tree are dropped.

        Anybody who may publish to the subject may have sent them.
        """

        def receive(message: NatsMessage) -> None:
            try:
                on_message(message)
            except ProtocolError as error:
                self._log_dropped(kind, error)

        return receive

    def _log_dropped(self, kind: str, error: ProtocolError) -> None:
        if kind not in self._dropped:
            self._dropped.add(kind)
            subject = f"{self._prefix}.{kind}"
            self._log.warning("a message to %s is dropped, as each like it: %s", subject, error)

    def end(self) -> None:
        """Receive nothing more, and fail what waits for an answer."""
        for subscription in self._subscriptions:
            subscription.unsubscribe()
        for emitted in list(self._emitted.values()):
            emitted.give_up()
        self._unsent.clear()
        self.fail()

    def ask_subject(self, server: str) -> str:
        """Return the subject on which a server receives requests."""
        return f"{self._prefix}.ask.{server}"

    def _reply_subject(self, number: int) -> str:
        return f"{self._prefix}.reply.{self._server}.{number}"

    # --- requests to others -------------------------------------------------------------------

    def ask(self, server: str, asked: Asked, code: int, rest: bytes) -> None:
        """Send a request to the server of the owner of a node.

        Raises:
            TreeError: the request came from another server, which had it from a third one.
        """
        role, token = _lease_of(asked[0])
        is_forwarded = asked[0] is self.peer
        if is_forwarded:  # the node has a new owner, which the other server did not know yet
            served = self._served.get(asked[1])
            if served is None or served.was_forwarded:
                raise TreeError("no_owner")
            role, token = served.role, served.token
        self._next += 1
        number = self._next
        message = [_REQUEST, code, role, token, is_forwarded, rest]
        try:
            self._send(self.ask_subject(server), msgpack.packb(message), number)
        except MessageTooLong:
            raise TreeError("value_too_long") from None
        self._sent[number] = _Sent(asked, server, self._loop.time())

    def _send(self, subject: str, payload: bytes, number: int = 0) -> None:
        """Publish a request or an event; without a connection, when there is one again."""
        if self._unsent or not self._connection.is_connected:
            self._unsent.append((subject, payload, number))
            return
        reply = self._reply_subject(number) if number else ""
        try:
            self._connection.publish(subject, payload, reply=reply)
        except NatsError:
            self._unsent.append((subject, payload, number))

    def resume(self) -> None:
        """Publish what has waited for a connection."""
        unsent, self._unsent = self._unsent, []
        for subject, payload, number in unsent:
            if not number or any(
                number in each for each in (self._sent, self._emitted, self._missed)
            ):
                self._send(subject, payload, number)

    def fail(self, server: str | None = None) -> None:
        """Answer the requests to a server that is gone; to all, after a loss of the connection.

        In that case, those that were not sent yet wait for the next connection.
        """
        unsent = {number for _, _, number in self._unsent}
        for number, sent in list(self._sent.items()):
            if sent.server == server or (server is None and number not in unsent):
                del self._sent[number]
                self._router.answer(sent.asked, ReplyError.code, _GONE)
        self._flush()

    def check(self) -> None:
        """Ask others about the requests that have waited for a while.

        Raises:
            NatsError: there is no connection.
        """
        before = self._loop.time() - _CHECK_AFTER
        waiting: dict[str, list[int]] = {}
        for number, sent in self._sent.items():
            if sent.since < before:
                waiting.setdefault(sent.server, []).append(number)
        for server, numbers in waiting.items():
            message = [_WHICH, self._server, numbers]
            self._publish(self.ask_subject(server), message, self._reply_subject(0))

    def _on_reply(self, message: NatsMessage) -> None:
        number = _number_in(message.subject)
        if number == 0:
            self._on_unknown(message)
        elif (sent := self._sent.pop(number, None)) is not None:
            if message.is_no_responders:
                self._router.answer(sent.asked, ReplyError.code, _GONE)
            else:
                self._answer(sent.asked, message.payload)
            self._flush()
        elif (emitted := self._emitted.get(number)) is not None:
            answer = message.payload.decode(errors="replace")
            emitted.count(answer[1:], is_known=answer[:1] == _KNOWN)
        elif number in self._missed:
            self._on_missed(number, message.payload)

    def _answer(self, asked: Asked, payload: bytes) -> None:
        try:
            if payload[:1] not in _ANSWERS:
                raise ProtocolError("it is no answer")
            self._router.check(payload[1:])
        except ProtocolError as error:
            self._log.warning("an answer of another server is dropped: %s", error)
            self._router.answer(asked, ReplyError.code, _GONE)
        else:
            self._router.answer(asked, payload[0], payload[1:])

    def _on_unknown(self, message: NatsMessage) -> None:
        """Fail the requests that another server does not have."""
        if message.is_no_responders:
            return  # its membership will end
        for number in _numbers(_unpacked(message.payload)):
            if (sent := self._sent.pop(number, None)) is not None:
                self._router.answer(sent.asked, ReplyError.code, _GONE)
        self._flush()

    # --- requests of others -------------------------------------------------------------------

    def _on_request(self, message: NatsMessage) -> None:
        if not message.payload:  # a probe
            self._connection.publish(_reply_of(message), b"")
            return
        match _unpacked(message.payload):
            case [
                0,
                int(code),
                (str() | None) as role,
                int(token),
                bool(was_forwarded),
                bytes(rest),
            ] if code in _FROM_CLIENT:
                self._serve(_Served(_reply_of(message), role, token, was_forwarded), code, rest)
            case [1, str(server), numbers]:
                served = {each.reply for each in self._served}
                unknown = [
                    each
                    for each in _numbers(numbers)
                    if f"{self._prefix}.reply.{server}.{each}" not in served
                ]
                self._publish(_reply_of(message), unknown)
            case [2, str(role), int(token), bytes(path)]:
                reply = _reply_of(message)
                self._send_missed(reply, self._router.succession.take_missed(role, token, path))
            case _:
                raise ProtocolError("it is no request")

    def _serve(self, served: _Served, code: int, rest: bytes) -> None:
        if served.role is not None and self._fence.is_stale(served.role, served.token):
            self._log.warning(
                "a request for %s is refused: it came from an earlier holder of the lease of %s",
                rest.partition(b"\0")[0].decode(errors="replace"),
                served.role,
            )
            self._send_answer(served.reply, ReplyError.code, _STALE)
            return
        try:
            request_id = self._served.open(served)
        except TooManyRequests:
            self._send_answer(served.reply, ReplyError.code, _TOO_MANY)
            return
        payload = bytes((_FROM_CLIENT[code], request_id >> 8, request_id & 0xFF)) + rest
        try:
            self._router.handle(self.peer, [payload])
        except ProtocolError as error:
            self._log_dropped("ask", error)
            self.peer.fail(request_id, _NO_OWNER)
        self.flush()
        self._flush()

    def flush(self) -> None:
        """Send the answers of this server's clients; see `eshet.server.peer.Line`."""
        out = b"".join(self.peer.out)
        self.peer.out.clear()
        for payload in self._frames.feed(out):
            served = self._served.close(payload[1] << 8 | payload[2])
            self._send_answer(served.reply, payload[0], payload[_HEAD:])

    def _send_answer(self, reply: str, code: int, value: bytes) -> None:
        try:
            self._connection.publish(reply, bytes((code,)) + value)
        except NatsError as error:  # the other server will notice
            self._log.debug("an answer was not sent: %s", error)
        except MessageTooLong:
            self._send_answer(reply, ReplyError.code, _TOO_LONG)

    def close(self, reason: str) -> None:
        """See `eshet.server.peer.Line`."""

    def describe(self) -> dict[str, Any]:
        """See `eshet.server.peer.Line`."""
        return {}

    # --- events -------------------------------------------------------------------------------

    def emit(self, asker: Peer, path: bytes, event: Event) -> None:
        """Emit an event at the other servers."""
        payload = msgpack.packb([*_lease_of(asker), *event])
        try:
            self._send(self._event_subject(path), payload)
        except MessageTooLong as error:
            self._log.warning("%s was emitted here only: %s", path.decode(), error)

    def emit_elsewhere(self, asked: Asked, path: bytes, event: Event) -> None:
        """Emit an event that only other servers may know, and answer the client."""
        others = self._others()
        if not others:
            self._router.answer(asked, ReplyError.code, _NOT_FOUND)
            return

        def answer(is_known: bool) -> None:
            self._emitted.pop(number, None)
            if is_known:
                self.emit(asked[0], path, event)
                self._router.answer(asked, Reply.code, NIL)
            else:
                self._router.answer(asked, ReplyError.code, _NOT_FOUND)
            self._flush()

        self._next += 1
        number = self._next

        def ask() -> None:
            self._send(f"{self._prefix}.known", path, number)

        self._emitted[number] = _Emitted(others, ask, answer, self._loop)

    def _on_known(self, message: NatsMessage) -> None:
        is_known = self._router.knows_event(message.payload)
        answer = f"{_KNOWN if is_known else _NOT_KNOWN}{self._server}"
        self._connection.publish(_reply_of(message), answer.encode())

    def _event_subject(self, path: bytes) -> str:
        return f"{self._prefix}.event{path.decode().replace('/', '.')}"

    def _on_event(self, message: NatsMessage) -> None:
        path = (
            message.subject[len(self._prefix) + len(".event") :]
            .replace(".", "/")
            .encode(errors="surrogateescape")
        )
        match _unpacked(message.payload):
            case [(str() | None) as role, int(token), int(event_id), bytes(value)]:
                if role is None or not self._fence.is_stale(role, token):
                    self._router.emitted(path, Event(event_id, value))
                    self._flush()
            case _:
                raise ProtocolError("it is no event")

    def ask_missed(self, server: str, lease: Lease, path: bytes, held: HeldEvents) -> None:
        """Get the events that came since the last holder of a lease was set aside.

        Without an answer in time, there are none.

        Args:
            server: its server.
            lease: the present one.
            path: of the events.
            held: is given the events.
        """
        self._next += 1
        number = self._next
        timer = self._loop.call_later(_MISSED_WITHIN, self._on_missed, number, b"")
        self._missed[number] = held, timer
        message = [_MISSED, lease.role, lease.token, path]
        self._send(self.ask_subject(server), msgpack.packb(message), number)

    def _on_missed(self, number: int, payload: bytes) -> None:
        held, timer = self._missed.pop(number)
        timer.cancel()
        try:
            events = self._missed_in(payload)
        except ProtocolError:  # there is no answer, or it is none
            events = []
        held.add_missed(events)
        held.note_complete()
        self._router.flush_later(held.peer)
        self._flush()

    def _missed_in(self, payload: bytes) -> list[Event]:
        match _unpacked(payload):
            case list() as events:
                missed = list(map(_missed_event, events))
                for each in missed:
                    self._router.check(each.value)
                return missed
        raise ProtocolError("it is no list of events")

    def _send_missed(self, reply: str, missed: list[Event]) -> None:
        while True:
            try:
                self._publish(reply, missed)
            except MessageTooLong as error:
                self._log.warning("older half of %d missed events is lost: %s", len(missed), error)
                missed = missed[len(missed) // 2 + 1 :]
            else:
                return

    # --- clients ------------------------------------------------------------------------------

    def joined(self, peer: Peer) -> None:
        """Tell the others that a client has connected here; its id may be that of one of theirs."""
        try:
            self._publish(f"{self._prefix}.joined", peer.client_id)
        except NatsError as error:
            self._log.debug("others were not told about a new client: %s", error)

    def _on_joined(self, message: NatsMessage) -> None:
        client_id = _unpacked(message.payload)
        if not isinstance(client_id, bytes):
            raise ProtocolError("it is no id of a client")
        peer = self._router.peers.get(client_id)
        if peer is not None:
            self._router.cut_off(peer, reason_of_replacement(peer, "another server"))
            self._flush()

    def _publish(self, subject: str, message: Any, reply: str = "") -> None:
        self._connection.publish(subject, msgpack.packb(message), reply=reply)


class _Emitted:
    """An event that waits until another server knows it, or none does.

    Args:
        others: the ids of the servers to wait for. One that is about to join may answer as well,
            without knowing enough.
        ask: asks them; called again while they do not answer, as they may be reconnecting.
        answer: called with whether one knows the event.
        loop: the event loop.
    """

    def __init__(
        self,
        others: Collection[str],
        ask: Callable[[], None],
        answer: Callable[[bool], None],
        loop: asyncio.AbstractEventLoop,
    ) -> None:
        self._missing = set(others)
        self._ask = ask
        self._answer = answer
        self._loop = loop
        self._until = loop.time() + _ELSEWHERE
        self._timer = loop.call_later(_ASK_EVERY, self._ask_again)
        ask()

    def _ask_again(self) -> None:
        if self._loop.time() >= self._until:
            self.give_up()
            return
        self._timer = self._loop.call_later(_ASK_EVERY, self._ask_again)
        self._ask()

    def count(self, server: str, *, is_known: bool) -> None:
        """Count the answer of a server."""
        self._missing.discard(server)
        if is_known or not self._missing:
            self._timer.cancel()
            self._answer(is_known)

    def give_up(self) -> None:
        """Take the event for unknown."""
        self._timer.cancel()
        self._answer(False)


def _lease_of(peer: Peer) -> tuple[str | None, int]:
    lease: Lease | None = peer.lease
    return (None, 0) if lease is None else (lease.role, lease.token)


def _unpacked(payload: bytes) -> Any:
    """Return the content of a message.

    Raises:
        ProtocolError: it is not in msgpack.
    """
    try:
        return msgpack.unpackb(payload)
    except (ValueError, TypeError, OverflowError, RecursionError, msgpack.UnpackException) as error:
        raise ProtocolError(f"it is not in msgpack: {error}") from None


def _reply_of(message: NatsMessage) -> str:
    if not message.reply:
        raise ProtocolError("it does not say where the answer goes")
    return message.reply


def _number_in(subject: str) -> int:
    """Return the number of the request to which a message to this subject is the answer."""
    try:
        return int(subject.rpartition(".")[2])
    except ValueError:
        raise ProtocolError("its subject has no number") from None


def _numbers(content: Any) -> list[int]:
    if not isinstance(content, list) or any(type(each) is not int for each in content):
        raise ProtocolError("it is no list of numbers")
    return content


def _missed_event(content: Any) -> Event:
    match content:
        case [int(event_id), bytes(value)]:
            return Event(event_id, value)
    raise ProtocolError("it is no event")
