"""The terminal that a runner was started in; when it is closed, the runner stops.

The system sends SIGHUP when a terminal is closed; for a service, SIGHUP means to reload.
"""

import os

__all__ = ["Terminal"]


class Terminal:
    """The terminal of this process, if it has one."""

    def __init__(self) -> None:
        self._existed = _exists()

    @property
    def is_closed(self) -> bool:
        """Whether there was a terminal, and it has been closed."""
        return self._existed and not _exists()


def _exists() -> bool:
    flags = os.O_RDONLY | os.O_NOCTTY | os.O_NONBLOCK | os.O_CLOEXEC
    try:
        os.close(os.open("/dev/tty", flags))
    except OSError:
        return False
    return True
