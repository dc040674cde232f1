"""How long either side of a connection waits for the other."""

from dataclasses import dataclass
from typing import Final

_MAX_SECONDS: Final = 0xFFFF


@dataclass(frozen=True)
class TimeoutConfig:
    """Configuration for protocol-level timeouts, all in seconds.

    A connection that is lost without notice is detected by this side after at most
    `idle_ping + ping_timeout`, and by the server after `server_timeout`.

    Args:
        idle_ping: send a ping after sending nothing for this long.
        server_timeout: requested of the server: close the connection after receiving nothing for
            this long. Must be more than idle_ping, and at most 65,535. 0: never.
        ping_timeout: how long to wait for the answer to a ping, or to the hello, before the
            connection is considered lost.

    Raises:
        ValueError: the numbers don't work together.
    """

    idle_ping: int = 15
    server_timeout: int = 30
    ping_timeout: int = 5

    def __post_init__(self) -> None:
        if self.idle_ping <= 0 or self.ping_timeout <= 0:
            raise ValueError(f"idle_ping and ping_timeout must be more than 0 seconds, in {self}")
        if not 0 <= self.server_timeout <= _MAX_SECONDS:
            raise ValueError(f"server_timeout must be from 0 to {_MAX_SECONDS} seconds, in {self}")
        if 0 < self.server_timeout <= self.idle_ping:
            raise ValueError(
                f"server_timeout must be more than idle_ping, or the server drops this client "
                f"before it pings, in {self}"
            )
