"""How much of a server one client may use, to protect the others."""

from dataclasses import dataclass, fields

from eshet import codec, paths

__all__ = ["Limits"]


@dataclass(frozen=True, kw_only=True)
class Limits:
    """Limits of a server; sizes are in bytes, times in seconds.

    Output for a slow client is kept in order up to `soft_queue`, and for `soft_time` up to
    `hard_queue`. In the meantime, changes of states are conflated to the last one of each path, and
    clients that send more to it are read again only after `stall`; the fuller the queue, the later.
    A client beyond these limits is disconnected.

    Args:
        clients: how many clients may be connected.
        nodes: how many nodes one client may own, listen to and observe, in total.
        path_length: the maximum length of a path that a client can register or subscribe to.
        path_depth: the maximum number of names in a path.
        nesting: the maximum nesting of lists and maps in a value.
        registrations: how many registrations, listens and observations of one client are read per
            second; more have to wait.
        hello_timeout: how long a client may take to send its hello.
        soft_queue: how much output may wait for one client for any time.
        soft_time: for how long more than that may wait.
        hard_queue: how much output may wait at all.
        stall: how long reading from a client pauses if it sends to another one with a queue just
            over `soft_queue`; four times as long if that queue is twice as full, and so on.

    Raises:
        ValueError: a limit is not a positive number.
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
