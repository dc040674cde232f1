"""The lease of a module that this runner holds."""

from typing import Final

from eshet_rules.cluster.presence import Presence

__all__ = ["HeldLease"]


class HeldLease:
    """The lease of a module, for as long as this runner holds it; see `eshet.server.peer.Lease`.

    Args:
        module: the name of the module.
        role: its role for the servers, which is the key of the lease.
        token: the fencing token.
        version: the version of the module.
        presence: of this runner.
    """

    def __init__(
        self, module: str, role: str, token: int, version: str, presence: Presence
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

    @property
    def is_valid(self) -> bool:
        """See `Lease`; it ends with the presence of the runner, or when it is given up."""
        return not self._has_ended and self._presence.is_valid(self._number)

    def end(self) -> None:
        """Note that it was given up or lost."""
        self._has_ended = True
