"""Which paths take part in a bridge."""

from collections.abc import Iterable
from typing import Final, NamedTuple

__all__ = ["Selection", "is_below"]

_OF_SERVER: Final = "/meta"
"""The nodes of a server about itself, which each has."""


class Selection(NamedTuple):
    """The paths that take part.

    Args:
        only: directories or paths; all if there are none.
        left_out: directories or paths that do not take part, also below those of `only`.
    """

    only: tuple[str, ...] = ()
    left_out: tuple[str, ...] = ()

    def includes(self, path: str) -> bool:
        """Whether a path takes part."""
        return (not self.only or is_below(path, self.only)) and not is_below(
            path, (_OF_SERVER, *self.left_out)
        )


def is_below(path: str, directories: Iterable[str]) -> bool:
    """Whether a path is one of these, or below one."""
    return any(path == each or path.startswith(f"{each.rstrip('/')}/") for each in directories)
