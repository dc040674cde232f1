"""The file descriptors of this process: the limit, and a reserve for other uses."""

import resource
from typing import Final

__all__ = ["descriptor_limit", "is_spare", "raise_descriptor_limit"]

_MOST: Final = 1 << 20
"""No server needs more; and where the hard limit is 2**30, some programs loop over all of them."""
_SPARE: Final = 32
"""How many are reserved for the rest of the process: for files, and for outgoing connections."""


def raise_descriptor_limit() -> int:
    """Raise the limit of open files as far as possible without privileges; return it.

    The soft limit, often 1,024 for the sake of old programs, is raised to the hard one. Processes
    that are started later inherit it.
    """
    soft, hard = resource.getrlimit(resource.RLIMIT_NOFILE)
    most = _MOST if hard == resource.RLIM_INFINITY else min(hard, _MOST)
    if soft != resource.RLIM_INFINITY and soft < most:
        resource.setrlimit(resource.RLIMIT_NOFILE, (most, hard))
    return descriptor_limit()


def descriptor_limit() -> int:
    """Return how many files this process may have open at the same time."""
    soft, _ = resource.getrlimit(resource.RLIMIT_NOFILE)
    return _MOST if soft == resource.RLIM_INFINITY else soft


def is_spare(descriptor: int) -> bool:
    """Return whether a new descriptor is in the reserve for the rest of the process.

    The system always assigns the lowest free number, so the number shows how many are in use.
    """
    limit = descriptor_limit()
    return descriptor >= limit - min(_SPARE, limit // 8)
