"""How much of the HTTP server one request, one peer and all peers may use."""

from dataclasses import dataclass, fields
from typing import Final

__all__ = ["DEFAULT_HTTP_PORT", "HttpLimits"]

DEFAULT_HTTP_PORT: Final = 11237
"""The TCP port of a gateway."""


@dataclass(frozen=True, kw_only=True)
class HttpLimits:
    """Limits of an HTTP server; sizes are in bytes, times in seconds.

    Args:
        body: the maximum length of a request's body, and of a WebSocket message. The largest value
            of the protocol has 65,535 bytes, and JSON needs up to six characters for one of them.
        header: the maximum length of one line of a header.
        connections: how many connections there may be.
        per_peer: how many of them may come from one address.
        idle: how long a connection may be open without a complete header of the next request.
        body_time: how long the body of a request may take.
        answer: how long an owner of a node may take to answer a request.
        heartbeat: after how long a silent WebSocket is pinged, and must answer in half of that.

    Raises:
        ValueError: a limit is not a positive number.
    """

    body: int = 512 * 1024
    header: int = 8190
    connections: int = 1000
    per_peer: int = 200
    idle: float = 30.0
    body_time: float = 20.0
    answer: float = 60.0
    heartbeat: float = 20.0

    def __post_init__(self) -> None:
        for field in fields(self):
            value = getattr(self, field.name)
            if not value > 0:
                raise ValueError(f"the limit {field.name} must be more than 0, not {value}")
