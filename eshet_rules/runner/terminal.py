"""The terminal that a runner was started in, with which it ends.

The system sends SIGHUP when a terminal is closed; for a service it means to reload.
"""

import os

__all__ = ["Terminal"]


class Terminal:
    """The terminal of this process, if it has one."""

    def __init__(self) -> None:
        self._was_there = _is_there()

    @property
    def has_gone(self) -> bool:
        """Whether there was a terminal, and it has been closed."""
        return self._was_there and not _is_there()


def _is_there() -> bool:
    flags = os.O_RDONLY | os.O_NOCTTY | os.O_NONBLOCK | os.O_CLOEXEC
    try:
        os.close(os.open("/dev/tty", flags))
    except OSError:
        return False
    return True
