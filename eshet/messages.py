"""The messages of the wire: a class for each row of its table, and their bytes.

The payload of a frame is one byte of type and then the fields of the message in the order in which
they stand here: numbers big-endian, `path` as ASCII text ended by a zero byte, and the one value of
the message, if it has one, as msgpack that fills the rest.

A value is kept here as the msgpack bytes that came or will go (see `eshet.codec`): whoever passes
a message on does not have to build the value, and the bytes arrive as they were sent.
"""

import struct
from dataclasses import dataclass, fields
from typing import ClassVar, Final

from eshet import codec
from eshet.exceptions import ProtocolError

PROTOCOL_VERSION: Final = 1
DEFAULT_PORT: Final = 11236
"""Where a server listens, over TCP."""
NIL: Final = codec.pack(None)


@dataclass(frozen=True, slots=True)
class Message:
    """The base of all messages."""

    code: ClassVar[int]
    """The first byte of the payload."""


@dataclass(frozen=True, slots=True)
class WithId(Message):
    """A message that belongs to a request: the request itself, or its reply."""

    id: int


@dataclass(frozen=True, slots=True)
class WithPath(WithId):
    """A request about a node."""

    path: str


@dataclass(frozen=True, slots=True)
class WithValue(WithPath):
    """A request about a node, with a value."""

    value: bytes


# --- hello ------------------------------------------------------------------------------------


@dataclass(frozen=True, slots=True)
class Hello(Message):
    """Client to server: the first message; the server gives the client an id."""

    code = 0x01
    version: int
    timeout_s: int


@dataclass(frozen=True, slots=True)
class HelloId(Message):
    """Client to server: the first message of a client that has an id of its own."""

    code = 0x02
    version: int
    timeout_s: int
    client_id: bytes


@dataclass(frozen=True, slots=True)
class HelloAccepted(Message):
    """Server to client: answers a hello that named an id."""

    code = 0x03


@dataclass(frozen=True, slots=True)
class HelloAllocated(Message):
    """Server to client: answers a hello without an id, with the id that it gives."""

    code = 0x04
    client_id: bytes


# --- replies ----------------------------------------------------------------------------------


@dataclass(frozen=True, slots=True)
class Reply(WithId):
    """Either side: the request was carried out."""

    code = 0x05
    value: bytes


@dataclass(frozen=True, slots=True)
class ReplyError(WithId):
    """Either side: the request failed; the value says why."""

    code = 0x06
    value: bytes


@dataclass(frozen=True, slots=True)
class ReplyKnown(WithId):
    """Server to client: answers `StateObserve` with the value of the state."""

    code = 0x07
    value: bytes


@dataclass(frozen=True, slots=True)
class ReplyUnknown(WithId):
    """Server to client: answers `StateObserve` of an unknown state."""

    code = 0x08


@dataclass(frozen=True, slots=True)
class ReplyKnownT(WithId):
    """Server to client: answers `StateObserveT` with the value and its age in milliseconds."""

    code = 0x0A
    t_ms: int
    value: bytes


@dataclass(frozen=True, slots=True)
class ReplyUnknownT(WithId):
    """Server to client: answers `StateObserveT` of a state unknown for so many milliseconds."""

    code = 0x0B
    t_ms: int


@dataclass(frozen=True, slots=True)
class Ping(WithId):
    """Client to server: are you there? Answered by a `Reply` with nil."""

    code = 0x09


# --- actions ----------------------------------------------------------------------------------


@dataclass(frozen=True, slots=True)
class ActionRegister(WithPath):
    """Client to server: I own this action."""

    code = 0x10


@dataclass(frozen=True, slots=True)
class ActionCall(WithValue):
    """Client to server, and on to the owner: call it with this list of arguments."""

    code = 0x11


# --- properties, and what properties and states share -----------------------------------------


@dataclass(frozen=True, slots=True)
class PropRegister(WithPath):
    """Client to server: I own this property."""

    code = 0x20


@dataclass(frozen=True, slots=True)
class PropGet(WithPath):
    """Server to owner: what is its value?"""

    code = 0x21


@dataclass(frozen=True, slots=True)
class PropSet(WithValue):
    """Server to owner: give it this value."""

    code = 0x22


@dataclass(frozen=True, slots=True)
class Get(WithPath):
    """Client to server: what is the value of this property or state?"""

    code = 0x23


@dataclass(frozen=True, slots=True)
class Set(WithValue):
    """Client to server: ask the owner of this property or state to give it this value."""

    code = 0x24


# --- events -----------------------------------------------------------------------------------


@dataclass(frozen=True, slots=True)
class EventRegister(WithPath):
    """Client to server: I own this event."""

    code = 0x30


@dataclass(frozen=True, slots=True)
class EventEmit(WithValue):
    """Client to server: it happened, with this payload."""

    code = 0x31


@dataclass(frozen=True, slots=True)
class EventListen(WithPath):
    """Client to server: tell me whenever it happens."""

    code = 0x32


@dataclass(frozen=True, slots=True)
class EventNotify(Message):
    """Server to listener: it happened."""

    code = 0x33
    path: str
    value: bytes


# --- states -----------------------------------------------------------------------------------


@dataclass(frozen=True, slots=True)
class StateRegister(WithPath):
    """Client to server: I own this state, which is unknown until I say what it is."""

    code = 0x40


@dataclass(frozen=True, slots=True)
class StateChanged(WithValue):
    """Owner to server: it has this value now."""

    code = 0x41


@dataclass(frozen=True, slots=True)
class StateUnknown(WithPath):
    """Owner to server: it is unknown now."""

    code = 0x42


@dataclass(frozen=True, slots=True)
class StateObserve(WithPath):
    """Client to server: what is it, and tell me whenever it changes."""

    code = 0x43


@dataclass(frozen=True, slots=True)
class NotifyKnown(Message):
    """Server to observer: the state has this value now."""

    code = 0x44
    path: str
    value: bytes


@dataclass(frozen=True, slots=True)
class NotifyUnknown(Message):
    """Server to observer: the state is unknown now."""

    code = 0x45
    path: str


@dataclass(frozen=True, slots=True)
class StateObserveT(WithPath):
    """As `StateObserve`, and since when it has been so."""

    code = 0x46


@dataclass(frozen=True, slots=True)
class StateSet(WithValue):
    """Server to owner: somebody wants it to have this value."""

    code = 0x47


# --- who may send what ------------------------------------------------------------------------

Table = dict[int, type[Message]]


def _table(*classes: type[Message]) -> Table:
    return {message.code: message for message in classes}


FROM_CLIENT: Final = _table(
    Hello, HelloId, Reply, ReplyError, Ping,
    ActionRegister, ActionCall,
    PropRegister, Get, Set,
    EventRegister, EventEmit, EventListen,
    StateRegister, StateChanged, StateUnknown, StateObserve, StateObserveT,
)  # fmt: skip
"""What a client may send, by code."""

FROM_SERVER: Final = _table(
    HelloAccepted, HelloAllocated,
    Reply, ReplyError, ReplyKnown, ReplyUnknown, ReplyKnownT, ReplyUnknownT,
    ActionCall, PropGet, PropSet, StateSet,
    EventNotify, NotifyKnown, NotifyUnknown,
)  # fmt: skip
"""What a server may send, by code."""


# --- bytes ------------------------------------------------------------------------------------

_NUMBERS: Final = {"id": "H", "version": "B", "timeout_s": "H", "t_ms": "I"}
_VALUES: Final = frozenset({"value", "client_id"})
# Paths are ASCII; other bytes make a path invalid, which the server answers, and not a frame.
_PATH_ENCODING: Final = "latin-1"


class _Layout:
    """How the fields of one class of messages lie in its payload."""

    __slots__ = ("code", "has_path", "has_value", "make", "numbers", "value_field", "values")

    def __init__(self, message: type[Message]) -> None:
        names = [field.name for field in fields(message)]
        numbers = [name for name in names if name in _NUMBERS]
        self.code = message.code
        self.make = message
        self.numbers = tuple(numbers)
        self.values = struct.Struct(">B" + "".join(_NUMBERS[name] for name in numbers))
        self.has_path = "path" in names
        self.value_field = next((name for name in names if name in _VALUES), "")
        self.has_value = bool(self.value_field)


_LAYOUTS: Final = {
    message: _Layout(message)
    for message in [*FROM_CLIENT.values(), *FROM_SERVER.values()]
}  # fmt: skip


def pack(message: Message) -> bytes:
    """Return the payload of a message. Its path has to be one, and its value msgpack."""
    layout = _LAYOUTS[type(message)]
    payload = layout.values.pack(layout.code, *[getattr(message, n) for n in layout.numbers])
    if layout.has_path:
        payload += message.path.encode(_PATH_ENCODING) + b"\0"  # type: ignore[attr-defined]
    if layout.has_value:
        payload += getattr(message, layout.value_field)
    return payload


def unpack(payload: bytes, table: Table) -> Message:
    """Return the message that a payload holds; its value has been checked to be one.

    Args:
        payload: of one frame.
        table: `FROM_CLIENT` or `FROM_SERVER`: who sent it.

    Raises:
        ProtocolError: that side can't send this, or the payload is not whole.
    """
    if not payload:
        raise ProtocolError("a frame without a payload")
    kind = table.get(payload[0])
    if kind is None:
        raise ProtocolError(f"a message of type {payload[0]:#04x}, which this side can't send")
    layout = _LAYOUTS[kind]
    try:
        values: list[object] = list(layout.values.unpack_from(payload)[1:])
    except struct.error:
        raise _broken(kind, "is cut short") from None
    position = layout.values.size
    if layout.has_path:
        path, position = _path(payload, position, kind)
        values.append(path)
    if layout.has_value:
        value = payload[position:]
        codec.check(value)
        values.append(value)
    elif position != len(payload):
        raise _broken(kind, f"has {len(payload) - position} bytes too many")
    return layout.make(*values)


def _path(payload: bytes, start: int, kind: type[Message]) -> tuple[str, int]:
    end = payload.find(b"\0", start)
    if end < 0:
        raise _broken(kind, "has a path without its zero byte")
    return payload[start:end].decode(_PATH_ENCODING), end + 1


def _broken(kind: type[Message], problem: str) -> ProtocolError:
    return ProtocolError(f"a message {kind.__name__} that {problem}")
