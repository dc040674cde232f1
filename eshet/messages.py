"""The messages of the protocol: a class for each row of its table, and their bytes.

The payload of a frame is one byte of type and then the fields of the message in the order of their
declaration: numbers big-endian, `path` as ASCII text ended by a zero byte, and the value of the
message, if it has one, as msgpack that fills the rest.

Values are kept as msgpack bytes (see `eshet.codec`): forwarding a message does not have to unpack
its value, and the bytes arrive as they were sent.
"""

import struct
from typing import ClassVar, Final, NoReturn, dataclass_transform

from eshet import codec
from eshet.exceptions import ProtocolError

PROTOCOL_VERSION: Final = 1
DEFAULT_PORT: Final = 11236
"""The TCP port of a server."""
MAX_CLIENT_ID: Final = 1024
"""The maximum length of a packed client id, in bytes."""
NIL: Final = codec.pack(None)


@dataclass_transform(frozen_default=True)
class Message:
    """The base of all messages: each class is a frozen dataclass of its annotated fields.

    Not by `dataclasses`: to make thirty of them would double the import time of a client.
    """

    code: ClassVar[int]
    """The first byte of the payload."""
    __match_args__: ClassVar[tuple[str, ...]] = ()

    def __init_subclass__(cls) -> None:
        names = (*cls.__match_args__, *cls.__annotations__)
        cls.__match_args__ = names  # type: ignore[misc]  # as dataclasses do

    def __init__(self, *values: object, **named: object) -> None:
        names = self.__match_args__
        self.__dict__.update(zip(names, values, strict=False), **named)
        if len(values) + len(named) != len(names) or self.__dict__.keys() != set(names):
            raise TypeError(f"{type(self).__name__} takes {names}, not {values} and {named}")

    def __setattr__(self, name: str, value: object) -> NoReturn:
        raise AttributeError(f"{self!r} can't be changed")

    def __eq__(self, other: object) -> bool:
        return type(other) is type(self) and other.__dict__ == self.__dict__

    def __hash__(self) -> int:
        return hash((type(self), *map(self.__dict__.get, self.__match_args__)))

    def __repr__(self) -> str:
        shown = ", ".join(f"{name}={value!r}" for name, value in self.__dict__.items())
        return f"{type(self).__name__}({shown})"


class WithId(Message):
    """A request, or the reply to one."""

    id: int


class WithPath(WithId):
    """A request about a node."""

    path: str


class WithValue(WithPath):
    """A request about a node, with a value."""

    value: bytes


# --- hello ------------------------------------------------------------------------------------


class Hello(Message):
    """Client to server: the first message; the server allocates a client id."""

    code = 0x01
    version: int
    timeout_s: int


class HelloId(Message):
    """Client to server: the first message of a client with an id of its own."""

    code = 0x02
    version: int
    timeout_s: int
    client_id: bytes


class HelloAccepted(Message):
    """Server to client: answers a hello with an id."""

    code = 0x03


class HelloAllocated(Message):
    """Server to client: answers a hello without an id, with the allocated one."""

    code = 0x04
    client_id: bytes


# --- replies ----------------------------------------------------------------------------------


class Reply(WithId):
    """Either side: the request was carried out."""

    code = 0x05
    value: bytes


class ReplyError(WithId):
    """Either side: the request failed; the value is the error."""

    code = 0x06
    value: bytes


class ReplyKnown(WithId):
    """Server to client: answers `StateObserve` with the value of the state."""

    code = 0x07
    value: bytes


class ReplyUnknown(WithId):
    """Server to client: answers `StateObserve` of an unknown state."""

    code = 0x08


class ReplyKnownT(WithId):
    """Server to client: answers `StateObserveT` with the value and its age in milliseconds."""

    code = 0x0A
    t_ms: int
    value: bytes


class ReplyUnknownT(WithId):
    """Server to client: answers `StateObserveT` of a state that is unknown for `t_ms`."""

    code = 0x0B
    t_ms: int


class Ping(WithId):
    """Client to server: keep-alive; answered by a `Reply` with nil."""

    code = 0x09


# --- actions ----------------------------------------------------------------------------------


class ActionRegister(WithPath):
    """Client to server: register an action."""

    code = 0x10


class ActionCall(WithValue):
    """Client to server, and server to owner: call an action with a list of arguments."""

    code = 0x11


# --- properties, and requests for both properties and states ----------------------------------


class PropRegister(WithPath):
    """Client to server: register a property."""

    code = 0x20


class PropGet(WithPath):
    """Server to owner: get the value of a property."""

    code = 0x21


class PropSet(WithValue):
    """Server to owner: set a property to this value."""

    code = 0x22


class Get(WithPath):
    """Client to server: get the value of a property or state."""

    code = 0x23


class Set(WithValue):
    """Client to server: set a property or state; forwarded to its owner."""

    code = 0x24


# --- events -----------------------------------------------------------------------------------


class EventRegister(WithPath):
    """Client to server: register an event."""

    code = 0x30


class EventEmit(WithValue):
    """Client to server: emit an event with this payload."""

    code = 0x31


class EventListen(WithPath):
    """Client to server: listen to an event."""

    code = 0x32


class EventNotify(Message):
    """Server to listener: an event was emitted."""

    code = 0x33
    path: str
    value: bytes


# --- states -----------------------------------------------------------------------------------


class StateRegister(WithPath):
    """Client to server: register a state, which is unknown at first."""

    code = 0x40


class StateChanged(WithValue):
    """Owner to server: the state has this value now."""

    code = 0x41


class StateUnknown(WithPath):
    """Owner to server: the state is unknown now."""

    code = 0x42


class StateObserve(WithPath):
    """Client to server: observe a state; answered with its current value."""

    code = 0x43


class NotifyKnown(Message):
    """Server to observer: the state has this value now."""

    code = 0x44
    path: str
    value: bytes


class NotifyUnknown(Message):
    """Server to observer: the state is unknown now."""

    code = 0x45
    path: str


class StateObserveT(WithPath):
    """Like `StateObserve`, but the answer includes the time since the last change."""

    code = 0x46


class StateSet(WithValue):
    """Server to owner: a client wants to set the state to this value."""

    code = 0x47


# --- the messages of either side --------------------------------------------------------------

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
"""The messages that a client may send, by code."""

FROM_SERVER: Final = _table(
    HelloAccepted, HelloAllocated,
    Reply, ReplyError, ReplyKnown, ReplyUnknown, ReplyKnownT, ReplyUnknownT,
    ActionCall, PropGet, PropSet, StateSet,
    EventNotify, NotifyKnown, NotifyUnknown,
)  # fmt: skip
"""The messages that a server may send, by code."""


# --- bytes ------------------------------------------------------------------------------------

_NUMBERS: Final = {"id": "H", "version": "B", "timeout_s": "H", "t_ms": "I"}
_VALUES: Final = frozenset({"value", "client_id"})
# Paths are ASCII. Other bytes only make the path invalid, which the server answers; the frame is
# still valid.
_PATH_ENCODING: Final = "latin-1"


class _Layout:
    """The layout of a payload for one class of messages."""

    __slots__ = ("code", "has_path", "has_value", "make", "numbers", "value_field", "values")

    def __init__(self, message: type[Message]) -> None:
        names = message.__match_args__
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
    """Return the payload of a message. Its path must be valid, and its value packed."""
    layout = _LAYOUTS[type(message)]
    payload = layout.values.pack(layout.code, *[getattr(message, n) for n in layout.numbers])
    if layout.has_path:
        payload += message.path.encode(_PATH_ENCODING) + b"\0"  # type: ignore[attr-defined]
    if layout.has_value:
        payload += getattr(message, layout.value_field)
    return payload


def unpack(payload: bytes, table: Table) -> Message:
    """Return the message in a payload; its value has been checked.

    Args:
        payload: of one frame.
        table: the messages that the sender may send: `FROM_CLIENT` or `FROM_SERVER`.

    Raises:
        ProtocolError: the sender can't send this, or the payload is incomplete.
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
