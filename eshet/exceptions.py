"""All exceptions that this package raises on purpose.

    EshetError
    ├── Disconnected         not connected, or the connection ended before the answer arrived
    ├── ErrorValue           the server, or a node's owner, answered with an error
    │   └── PathTaken            another client provides the path that you register
    ├── ErrorAnswer          an owner answers a request with an error
    ├── NotAccepted          (also ValueError) an owner does not accept a value
    ├── NotShown             a state does not show the value to which it was set
    ├── InvalidPath          (also ValueError) the path is not valid
    ├── UnsupportedValue     (also ValueError) the protocol can't carry the value
    ├── MessageTooLong       (also ValueError) the message does not fit into a frame
    ├── WrongLoop            (also RuntimeError) a client is used outside of its event loop
    ├── TooManyRequests      all request ids are in use
    ├── ListenError          (also OSError) the server can't listen on the address
    ├── ProtocolError        the peer broke the protocol; its connection is closed
    └── ReactiveError        a reactive value was misused
        ├── ReactiveTypeError    (also TypeError) Python would silently do the wrong thing
        ├── DependencyLoop       a reactive value depends on itself
        ├── EndlessChange        a change led to the next one again and again
        └── WrongThread          a reactive value was used outside of its thread

    Interrupted (BaseException)  the watchdog interrupts code that blocks the event loop

Facts are attributes; the text is built from them.
"""

from typing import TYPE_CHECKING, Any, final

from eshet.text import safe_repr

if TYPE_CHECKING:
    from eshet.scope import Scope

__all__ = [
    "DependencyLoop",
    "Disconnected",
    "ESHETException",
    "EndlessChange",
    "ErrorAnswer",
    "ErrorValue",
    "EshetError",
    "Interrupted",
    "InvalidPath",
    "ListenError",
    "MessageTooLong",
    "NotAccepted",
    "NotShown",
    "PathTaken",
    "ProtocolError",
    "ReactiveError",
    "ReactiveTypeError",
    "TooManyRequests",
    "UnsupportedValue",
    "WrongLoop",
    "WrongThread",
]


class EshetError(Exception):
    """The base class of all errors of this package."""


ESHETException = EshetError
"""The name of this class in the original client."""


class Disconnected(EshetError):
    """The client is not connected, or the connection ended before the answer arrived.

    The request may or may not have taken effect: the protocol does not report that.

    Args:
        request: such as `"get /hall/lux"`; empty where there was none.
        reason: why the client is not connected.
    """

    def __init__(self, request: str = "", reason: str = "not connected to the server") -> None:
        self.request = request
        self.reason = reason
        super().__init__(f"{request}: {reason}" if request else reason)


class ErrorValue(EshetError):
    """The server, or the owner of the node, answered a request with an error.

    Args:
        value: the error as received: one of the server's strings, or any value from the owner.
        request: such as `"get /hall/lux"`.
    """

    def __init__(self, value: object, request: str = "") -> None:
        self.value: Any = value
        self.request = request
        super().__init__(f"{request}: {value}" if request else f"{value}")


class PathTaken(ErrorValue):
    """The path to register is already provided by another client, or by this one.

    Args:
        request: such as `"register state /hall/lux"`.
        path: of the node.
    """

    def __init__(self, request: str, path: str) -> None:
        self.path = path
        super().__init__("path_already_exists", request)


@final
class ErrorAnswer(EshetError):
    """The owner of a node answers a request with an error; raised by a callback of the node.

    The client that made the request receives the value in an `ErrorValue`. The answer is meant, so
    it is not reported at the owner.

    Args:
        value: the error: a text, or any other value that can be packed.
    """

    def __init__(self, value: object) -> None:
        self.value: Any = value
        super().__init__(f"{value}")


class NotAccepted(EshetError, ValueError):
    """The owner of a state or property does not accept a value; raised by its set callback.

    The client that set the value receives the text as an error. Since the mistake is not one of the
    owner, it is not reported there.

    Args:
        value: the value.
        wanted: describes the accepted values, such as `"a number from 5 to 30"`.
    """

    def __init__(self, value: object, wanted: str) -> None:
        self.value: Any = value
        self.wanted = wanted
        super().__init__(f"write {wanted}, not {safe_repr(value, 100)}")


class NotShown(EshetError):
    """A state does not show the value to which it was set.

    Args:
        path: of the state.
        value: the value to which it was set.
        shown: the value that it shows.
        seconds: how long it was waited for.
    """

    def __init__(self, path: str, value: object, shown: object, seconds: float) -> None:
        self.path = path
        self.value = value
        self.shown = shown
        self.seconds = seconds
        super().__init__(
            f"{path} was set to {safe_repr(value, 100)}, and shows {safe_repr(shown, 100)} "
            f"{seconds:g} s later (verify)"
        )


class InvalidPath(EshetError, ValueError):
    """The path does not match the grammar of paths.

    Args:
        path: the path as passed.
        problem: the error, and what to write instead.
    """

    def __init__(self, path: object, problem: str) -> None:
        self.path = path
        self.problem = problem
        super().__init__(f"invalid path {safe_repr(path, 200)}: {problem}")


class UnsupportedValue(EshetError, ValueError):
    """The protocol can't carry the value.

    Args:
        problem: the unsupported value or type, and the supported ones.
        request: the intended request, such as `"set /hall/light"`.
    """

    def __init__(self, problem: str, request: str = "") -> None:
        self.problem = problem
        self.request = request
        super().__init__(f"{request}: {problem}" if request else problem)


class MessageTooLong(EshetError, ValueError):
    """The message does not fit into a frame.

    Args:
        length: of the payload, in bytes.
        limit: the longest payload of a frame, in bytes.
        request: the intended request, such as `"set /hall/light"`.
    """

    def __init__(self, length: int, limit: int, request: str = "message") -> None:
        self.length = length
        self.limit = limit
        self.request = request
        super().__init__(
            f"{request}: {length} bytes do not fit into one message (at most {limit}); "
            "send less, or in parts"
        )


class TooManyRequests(EshetError):
    """All request ids of this connection are in use.

    Args:
        limit: the number of request ids.
    """

    def __init__(self, limit: int) -> None:
        self.limit = limit
        super().__init__(f"all {limit} request ids are waiting for their replies")


class ListenError(EshetError, OSError):
    """The server can't listen on an address.

    Args:
        address: such as `"127.0.0.1:11236"`.
        problem: the system's error, and what to do.
    """

    def __init__(self, address: str, problem: str) -> None:
        self.address = address
        self.problem = problem
        super().__init__(f"can't listen on {address}: {problem}")


class ProtocolError(EshetError):
    """The peer sent something that the protocol does not allow.

    Args:
        problem: the message that was sent.
    """

    def __init__(self, problem: str) -> None:
        self.problem = problem
        super().__init__(problem)


class ReactiveError(EshetError):
    """A reactive value was misused."""


class ReactiveTypeError(ReactiveError, TypeError):
    """Python would misinterpret this use of a reactive value; the message says what to write."""


class DependencyLoop(ReactiveError):
    """A reactive value depends on itself.

    Args:
        names: the nodes of the cycle, in order.
    """

    def __init__(self, names: list[str]) -> None:
        self.names = names
        super().__init__("a value depends on itself: " + " -> ".join([*names, names[0]]))


class EndlessChange(ReactiveError):
    """A change led to the next one, in callbacks or functions, again and again, and was cut.

    Args:
        names: the sources in the cycle, in order.
        times: the number of repetitions.
    """

    def __init__(self, names: list[str], times: int) -> None:
        self.names = names
        self.times = times
        super().__init__(
            f"setting it led {times} times to setting it again, so it was cut: "
            + " -> ".join([*names, names[0]])
        )


class WrongLoop(EshetError, RuntimeError):
    """A client or server was used in a thread or event loop other than its own.

    Args:
        what: `"client"`, or another kind of object.
        advice: what to do.
    """

    def __init__(
        self,
        what: str = "client",
        advice: str = "call it there with `asyncio.run_coroutine_threadsafe(...)`, or use a "
        "`SyncClient`; nothing was sent",
    ) -> None:
        self.what = what
        super().__init__(f"this {what} belongs to another event loop: {advice}")


class WrongThread(ReactiveError):
    """A reactive value was set or followed in a thread other than its own.

    Args:
        name: of the value.
        thread: the thread that made it.
        scope: the `eshet.scope.Scope` in which it was made, or None.
    """

    def __init__(self, name: str, thread: str, scope: "Scope | None" = None) -> None:
        self.name = name
        self.thread = thread
        self.scope = scope
        super().__init__(
            f"{name} belongs to the thread {thread!r}: from another one, call "
            "`loop.call_soon_threadsafe(...)` of its event loop"
        )


class Interrupted(BaseException):
    """The watchdog interrupts code that blocks the event loop.

    It is not an `Exception`, so code that handles all exceptions does not handle it. It ends one
    callback, or one step of a task, and goes no further.
    """
