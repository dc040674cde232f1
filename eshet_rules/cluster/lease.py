"""The lease of a module that this runner holds."""

from collections.abc import Callable
from typing import Final

from eshet_rules.cluster.entries import LeaseEntry
from eshet_rules.cluster.presence import Presence

__all__ = ["HeldLease"]

_FOLLOWS_WITHIN: Final = 3.0
"""Seconds after the lease was taken in which its module continues that of the last holder."""


class HeldLease:
    """The lease of a module, for as long as this runner holds it; see `eshet.server.peer.Lease`.

    Args:
        module: the name of the module.
        role: its role for the servers, which is the key of the lease.
        token: the fencing token.
        version: the version of the module.
        presence: of this runner.
        before: the last entry of the lease; None if it is the first.
        now: returns the loop's time.
    """

    def __init__(
        self,
        module: str,
        role: str,
        token: int,
        version: str,
        presence: Presence,
        before: LeaseEntry | None,
        now: Callable[[], float],
    ) -> None:
        self.module: Final = module
        self.role: Final = role
        """See `Lease`."""
        self.token: Final = token
        """See `Lease`."""
        self.revision: int = token
        """The revision of its last entry."""
        self.version: str = version
        """The version in that entry."""
        self._presence = presence
        self._number: Final = presence.number
        self._has_ended = False
        self._before = before.server if before is not None and before.released else None
        self._now = now
        self._taken_at = now()

    @property
    def is_valid(self) -> bool:
        """See `Lease`; it ends with the presence of the runner, or when it is given up."""
        return not self._has_ended and self._presence.is_valid(self._number)

    @property
    def predecessor(self) -> str | None:
        """See `Lease`."""
        return self._before if self._now() - self._taken_at < _FOLLOWS_WITHIN else None

    def end(self) -> None:
        """Note that it was given up or lost."""
        self._has_ended = True
