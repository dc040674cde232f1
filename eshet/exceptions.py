"""Everything that this package raises on purpose.

    EshetError
    ├── Disconnected         there is no connection, or it ended before the answer came
    ├── ErrorValue           the server, or a node's owner, answered with an error
    │   └── PathTaken            another client provides the path that you register
    ├── InvalidPath          (also ValueError) you gave a path that is none
    ├── UnsupportedValue     (also ValueError) you gave a value that the wire can't carry
    ├── MessageTooLong       (also ValueError) you gave a message that a frame can't hold
    ├── WrongLoop            (also RuntimeError) a client is used outside of its event loop
    ├── TooManyRequests      every request id is waiting for its reply
    ├── ListenError          (also OSError) the server can't listen where it was told to
    ├── ProtocolError        the peer broke the protocol; its connection is closed
    └── ReactiveError        a reactive value was used in a way that has no meaning
        ├── ReactiveTypeError    (also TypeError) Python would be wrong in silence here
        ├── DependencyLoop       a reactive value depends on itself
        ├── EndlessChange        a change led to the next one again and again
        └── WrongThread          a reactive value was used in a thread that is not its own

    Interrupted (BaseException)  whoever guards the event loop wants it back

Facts are attributes; the text is built from them.
"""

from typing import TYPE_CHECKING, Any

from eshet.text import safe_repr

if TYPE_CHECKING:
    from eshet.scope import Scope

__all__ = [
    "DependencyLoop",
    "Disconnected",
    "ESHETException",
    "EndlessChange",
    "ErrorValue",
    "EshetError",
    "Interrupted",
    "InvalidPath",
    "ListenError",
    "MessageTooLong",
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
    """The base of every error of this package."""


ESHETException = EshetError
"""The name of this base in the original client."""


class Disconnected(EshetError):
    """There is no connection to the server, or it ended before the answer came.

    What was asked may or may not have been done: the protocol can't tell.

    Args:
        request: what was being asked, such as `"get /hall/lux"`; empty where nothing was.
        reason: why the connection is not there.
    """

    def __init__(self, request: str = "", reason: str = "not connected to the server") -> None:
        self.request = request
        self.reason = reason
        super().__init__(f"{request}: {reason}" if request else reason)


class ErrorValue(EshetError):
    """The server, or the owner of the node, answered a request with an error.

    Args:
        value: the error as it came: one of the server's strings, or whatever the owner sent.
        request: what was asked, such as `"get /hall/lux"`.
    """

    def __init__(self, value: Any, request: str = "") -> None:
        self.value = value
        self.request = request
        super().__init__(f"{request}: {value}" if request else f"{value}")


class PathTaken(ErrorValue):
    """The path that was to be registered is provided already, by another client or by this one.

    Args:
        request: what was asked, such as `"register state /hall/lux"`.
        path: of the node.
    """

    def __init__(self, request: str, path: str) -> None:
        self.path = path
        super().__init__("path_already_exists", request)


class InvalidPath(EshetError, ValueError):
    """The path does not match the grammar of paths.

    Args:
        path: what was given.
        problem: what is wrong with it, and what to write.
    """

    def __init__(self, path: object, problem: str) -> None:
        self.path = path
        self.problem = problem
        super().__init__(f"invalid path {safe_repr(path, 200)}: {problem}")


class UnsupportedValue(EshetError, ValueError):
    """The value can't be carried by the protocol.

    Args:
        problem: what can't be carried, and what can.
        request: what it was meant for, such as `"set /hall/light"`.
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
        request: what it was meant for, such as `"set /hall/light"`.
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
    """Every request id of this connection is waiting for its reply.

    Args:
        limit: how many requests can wait at once.
    """

    def __init__(self, limit: int) -> None:
        self.limit = limit
        super().__init__(f"all {limit} request ids are waiting for their replies")


class ListenError(EshetError, OSError):
    """The server can't listen at the address it was told to.

    Args:
        address: as `"127.0.0.1:11236"`.
        problem: what the system said, and what to do.
    """

    def __init__(self, address: str, problem: str) -> None:
        self.address = address
        self.problem = problem
        super().__init__(f"can't listen on {address}: {problem}")


class ProtocolError(EshetError):
    """The peer sent something that the protocol does not allow.

    Args:
        problem: what it sent.
    """

    def __init__(self, problem: str) -> None:
        self.problem = problem
        super().__init__(problem)


class ReactiveError(EshetError):
    """A reactive value was used in a way that has no meaning."""


class ReactiveTypeError(ReactiveError, TypeError):
    """Python gives this use of a reactive value a wrong meaning; the message says what to write."""


class DependencyLoop(ReactiveError):
    """A reactive value depends on itself.

    Args:
        names: the nodes on the way round, in order.
    """

    def __init__(self, names: list[str]) -> None:
        self.names = names
        super().__init__("a value depends on itself: " + " -> ".join([*names, names[0]]))


class EndlessChange(ReactiveError):
    """A change led to the next one, in callbacks or functions, again and again; it was cut there.

    Args:
        names: what was set on the way round, in order.
        times: how often.
    """

    def __init__(self, names: list[str], times: int) -> None:
        self.names = names
        self.times = times
        super().__init__(
            f"setting it led {times} times to setting it again, and was cut there: "
            + " -> ".join([*names, names[0]])
        )


class WrongLoop(EshetError, RuntimeError):
    """A client or server was used in another thread or event loop than its own.

    Args:
        what: `"client"`, or what else it was.
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
    """A reactive value was set or followed in a thread that is not its own.

    Args:
        name: of the value.
        thread: to which it belongs: the one that made it.
        scope: that made it; an `eshet.scope.Scope`, or None.
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
    """Whoever guards the event loop wants it back; raised in the midst of what keeps it.

    It is no `Exception`, so that code which handles all of these does not handle this. It ends what
    keeps the loop, one callback or one step of a task, and goes no further.
    """
