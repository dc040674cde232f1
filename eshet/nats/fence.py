"""The newest fencing token of each role, by which outputs of earlier holders are refused.

The holders of leases write them into a bucket; see `docs/explanation/cluster.md` for the format.
"""

import logging
from collections.abc import Callable
from typing import Final

import msgpack

from eshet.nats.entry import Entry

__all__ = ["Fence", "token_of"]


class Fence:
    """Knows the newest token of each role.

    Args:
        log: receives what can't be read.
    """

    def __init__(self, log: logging.Logger) -> None:
        self.on_newer: Callable[[str, int], object] = _do_nothing
        """Called with a role and its newest token."""
        self._tokens: dict[str, int] = {}
        self._log: Final = log

    def is_stale(self, role: str, token: int) -> bool:
        """Whether there is a newer token of a role."""
        return token < self._tokens.get(role, 0)

    def on_entry(self, entry: Entry) -> None:
        """Process an entry of the bucket of leases, in their order."""
        token = token_of(entry)
        if token is None:
            self._log.warning("the lease of %s can't be read", entry.key)
        elif token > self._tokens.get(entry.key, 0):
            self._tokens[entry.key] = token
            self.on_newer(entry.key, token)


def token_of(entry: Entry) -> int | None:
    """Return the token of a lease: the revision of the entry with which its holder has taken it.

    A deleted entry ends the lease of its last holder.

    Returns:
        None if the entry can't be read.
    """
    if entry.is_deleted:
        return entry.revision
    try:
        lease = msgpack.unpackb(entry.value)
    except ValueError:
        return None
    match lease:
        case {"token": int(token)} if 0 <= token <= entry.revision:
            return token or entry.revision
    return None


def _do_nothing(*_: object) -> None:
    """The callback before another is set."""
