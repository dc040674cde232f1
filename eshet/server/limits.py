"""What one client may take of a server, so that the others do not miss it."""

from dataclasses import dataclass, fields

from eshet import codec, paths

__all__ = ["Limits"]


@dataclass(frozen=True, kw_only=True)
class Limits:
    """Limits of a server; sizes are in bytes, times in seconds.

    What waits for a client that reads slowly is kept in order up to `soft_queue`, and for
    `soft_time` up to `hard_queue`; changes of states are conflated to the last of each path
    meanwhile, and whoever sends more is read again only after `stall`, or longer the more waits. A
    client beyond that is disconnected.

    Args:
        clients: how many may be connected.
        nodes: how many one client may own, listen to and observe, all together.
        path_length: of the longest path that a client can register or hear of.
        path_depth: how many names a path may have.
        nesting: how many lists and maps may be within each other in a value.
        registrations: how many registrations, listens and observations of one client are read in
            a second; what is sent faster has to wait.
        hello_timeout: how long a client may take to say hello.
        soft_queue: how much may wait for one client for any time.
        soft_time: how long more than that may wait.
        hard_queue: how much may wait at all.
        stall: how long whoever sends to a client whose queue is just over `soft_queue` is not
            read; four times as long if it is twice that, and so on.

    Raises:
        ValueError: a limit is no positive number.
    """

    clients: int = 20_000
    nodes: int = 200_000
    path_length: int = paths.MAX_LENGTH
    path_depth: int = paths.MAX_DEPTH
    nesting: int = codec.MAX_NESTING
    registrations: int = 100_000
    hello_timeout: float = 5.0
    soft_queue: int = 1 << 20
    soft_time: float = 1.0
    hard_queue: int = 8 << 20
    stall: float = 0.005

    def __post_init__(self) -> None:
        for field in fields(self):
            value = getattr(self, field.name)
            if not value > 0:
                raise ValueError(f"the limit {field.name} must be more than 0, not {value}")
