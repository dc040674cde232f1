"""The messages of a WebSocket: a JSON list for each message of the protocol. No I/O.

    ["action_call", 7, "/hall/ring", [2]]               a request with its id
    ["reply", 7, ["ok", true]]                          its reply, or ["error", value]
    ["state_observe", 8, "/hall/lux"]
    ["reply_state", 8, ["ok", ["known", 5]]]            or ["ok", "unknown"]
    ["state_changed", "/hall/lux", ["known", 6]]        a notification

Values are those of `json_values`; times are in seconds.
"""

from typing import Any, Final

from eshet import codec, messages
from eshet.exceptions import UnsupportedValue
from eshet.gateway import json_values
from eshet.messages import (
    ActionCall,
    ActionRegister,
    EventEmit,
    EventListen,
    EventNotify,
    EventRegister,
    Get,
    Hello,
    HelloAccepted,
    HelloAllocated,
    HelloId,
    Message,
    NotifyKnown,
    NotifyUnknown,
    Ping,
    PropGet,
    PropRegister,
    PropSet,
    Reply,
    ReplyError,
    ReplyKnown,
    ReplyKnownT,
    ReplyUnknown,
    ReplyUnknownT,
    Set,
    StateChanged,
    StateObserve,
    StateObserveT,
    StateRegister,
    StateSet,
    StateUnknown,
    WithId,
    WithPath,
    WithValue,
)
from eshet.text import safe_repr

__all__ = ["REPLIES", "Fault", "read", "write"]

_MAX_ID: Final = json_values.MAX_EXACT
_MAX_TIMEOUT: Final = 0xFFFF

_REQUESTS: Final[dict[str, type[WithId]]] = {
    "ping": Ping,
    "action_register": ActionRegister,
    "action_call": ActionCall,
    "prop_register": PropRegister,
    "get": Get,
    "set": Set,
    "event_register": EventRegister,
    "event_emit": EventEmit,
    "event_listen": EventListen,
    "state_register": StateRegister,
    "state_changed": StateChanged,
    "state_unknown": StateUnknown,
    "state_observe": StateObserve,
    "state_observe_t": StateObserveT,
}
_ASKED: Final[dict[type[WithPath], str]] = {
    ActionCall: "action_call",
    PropGet: "prop_get",
    PropSet: "prop_set",
    StateSet: "state_set",
}
REPLIES: Final = (Reply, ReplyError, ReplyKnown, ReplyUnknown, ReplyKnownT, ReplyUnknownT)
"""The messages from a server that answer a request."""


class Fault(Exception):
    """The client sent a message that is not one of the protocol: its connection is closed.

    Args:
        problem: describes the mistake in the message.
    """

    def __init__(self, problem: str) -> None:
        self.problem = problem
        super().__init__(problem)


# --- from a client ----------------------------------------------------------------------------


def read(text: str) -> Message:
    """Return the message in a text of a client; its path and its id are not checked further.

    The id is any integer from 0 to 2^53 - 1, unlike on the wire.

    Raises:
        Fault: it is not a message that a client may send.
    """
    try:
        content = json_values.loads(text)
    except json_values.InvalidJson as error:
        raise Fault(str(error)) from None
    match content:
        case ["hello", int(version), timeout]:
            return Hello(version, _timeout(timeout))
        case ["hello_id", int(version), timeout, client_id]:
            return HelloId(version, _timeout(timeout), _pack(client_id))
        case ["reply", int(number), ["ok", value]]:
            return Reply(_id(number), _pack(value))
        case ["reply", int(number), ["error", value]]:
            return ReplyError(_id(number), _pack(value))
        case [str(name), int(number), *rest] if name in _REQUESTS:
            return _request(name, _id(number), rest)
        case [str(name), *_] if name in _REQUESTS or name in ("hello", "hello_id", "reply"):
            raise Fault(f"a message {name} with wrong fields")
        case [str(name), *_]:
            raise Fault(f"an unknown message {safe_repr(name, 60)}")
        case _:
            raise Fault("a message that is not a list beginning with its name")


def _request(name: str, number: int, rest: list[Any]) -> Message:
    kind = _REQUESTS[name]
    if kind is ActionCall and not (len(rest) == 2 and isinstance(rest[1], list)):
        raise Fault("an action_call without a path and a list of arguments")
    match rest:
        case [] if not issubclass(kind, WithPath):
            return kind(number)
        case [str(path)] if issubclass(kind, WithPath) and not issubclass(kind, WithValue):
            return kind(number, path)
        case [str(path), value] if issubclass(kind, WithValue):
            return kind(number, path, _pack(value))
        case _:
            raise Fault(f"a message {name} with wrong fields")


def _pack(value: Any) -> bytes:
    try:
        return codec.pack(value)
    except UnsupportedValue as error:
        raise Fault(str(error)) from None


def _id(number: int) -> int:
    if isinstance(number, bool) or not 0 <= number <= _MAX_ID:
        raise Fault(f"a message with the id {number}: ids are integers from 0 to 2^53 - 1")
    return number


def _timeout(seconds: Any) -> int:
    if isinstance(seconds, bool) or not isinstance(seconds, int | float):
        raise Fault("a hello whose timeout is not a number of seconds")
    if not 0 <= seconds <= _MAX_TIMEOUT:
        raise Fault(f"a hello whose timeout is not from 0 to {_MAX_TIMEOUT} seconds")
    return -int(-seconds // 1)  # never shorter than requested


# --- to a client ------------------------------------------------------------------------------


def write(message: Message, number: int | None = None) -> str:
    """Return the text of a message of a server.

    Args:
        message: from the server.
        number: of a reply: the id that the client has given to its request.

    Raises:
        ValueError: a value is nested too deeply for JSON.
    """
    return json_values.dumps(_content(message, number))


def _content(message: Message, number: int | None) -> list[Any]:
    match message:
        case HelloAccepted():
            return ["hello"]
        case HelloAllocated(client_id):
            return ["hello_id", codec.unpack(client_id)]
        case Reply(_, value):
            return ["reply", number, ["ok", codec.unpack(value)]]
        case ReplyError(_, value):
            return ["reply", number, ["error", codec.unpack(value)]]
        case ReplyKnown(_, value):
            return ["reply_state", number, ["ok", ["known", codec.unpack(value)]]]
        case ReplyUnknown():
            return ["reply_state", number, ["ok", "unknown"]]
        case ReplyKnownT(_, t_ms, value):
            return ["reply_state", number, ["ok", ["known", codec.unpack(value)], t_ms / 1000]]
        case ReplyUnknownT(_, t_ms):
            return ["reply_state", number, ["ok", "unknown", t_ms / 1000]]
        case EventNotify(path, value):
            return ["event_notify", path, codec.unpack(value)]
        case NotifyKnown(path, value):
            return ["state_changed", path, ["known", codec.unpack(value)]]
        case NotifyUnknown(path):
            return ["state_changed", path, "unknown"]
        case WithValue(asked, path, value):
            return [_ASKED[type(message)], asked, path, codec.unpack(value)]
        case WithPath(asked, path):
            return [_ASKED[type(message)], asked, path]
        case _:
            raise TypeError(f"{messages.__name__} has no message to a client like {message}")
