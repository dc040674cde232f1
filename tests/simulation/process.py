"""Processes of a simulated house: what a kill leaves undone, and calls to the disk that fail.

All run in this process. To which one a piece of code belongs is kept in a context variable, which
tasks and callbacks inherit. After a kill nothing that a process does reaches the disk or the
network any more; what it still does in memory, as its tasks end, nobody sees.
"""

import errno
import os
from collections.abc import Callable, Iterator
from contextlib import contextmanager
from contextvars import ContextVar, copy_context
from typing import Any
from unittest import mock

__all__ = ["Process", "simulated_disk"]

_CALLS = ("open", "write", "fsync", "replace", "ftruncate")
"""Functions of `os` on the way to the disk."""


class Process:
    """One process of the simulated house.

    Args:
        name: for people.
        on_killed: called when it is killed in the middle of a write.
    """

    def __init__(self, name: str, on_killed: Callable[[], object] = lambda: None) -> None:
        self.name = name
        self.alive = True
        self.on_killed = on_killed
        self.disk_failed = False
        self._fail_in = 0  # calls
        self._failures = 0
        self._crash_in = 0  # writes

    @contextmanager
    def active(self) -> Iterator[None]:
        """Let what is begun within a `with` statement belong to this process."""
        token = _current.set(self)
        try:
            yield
        finally:
            _current.reset(token)

    def run(self, function: Callable[..., Any], *args: Any) -> Any:
        """Call a function as a part of this process."""
        context = copy_context()
        context.run(_current.set, self)
        return context.run(function, *args)

    def fail_disk(self, after: int, times: int) -> None:
        """Let so many calls to the disk fail, after so many that succeed."""
        self._fail_in, self._failures = after, times

    def crash_in_write(self, after: int) -> None:
        """Let the process die in the middle of a write, after so many whole ones."""
        self._crash_in = after + 1

    def heal(self) -> None:
        """Let nothing fail any more."""
        self._failures = self._crash_in = 0

    # --- calls to the disk ---------------------------------------------------------------------

    def call(self, name: str, real: Callable[..., Any], *args: Any, **kwargs: Any) -> Any:
        """Make a call to the disk, or fail."""
        if not self.alive:
            raise OSError(errno.EIO, "the process was killed")
        if name == "open" and not args[1] & (os.O_WRONLY | os.O_RDWR):
            return real(*args, **kwargs)
        if self._failures:
            if self._fail_in:
                self._fail_in -= 1
            else:
                self._failures -= 1
                self._fail(name, real, *args)
        if name == "write" and self._crash_in:
            self._crash_in -= 1
            if not self._crash_in:
                self.alive = False
                real(args[0], args[1][: len(args[1]) // 2])
                self.on_killed()
                raise OSError(errno.EIO, "the process was killed")
        return real(*args, **kwargs)

    def _fail(self, name: str, real: Callable[..., Any], *args: Any) -> None:
        self.disk_failed = True
        if name == "write":  # a disk that is full takes a part
            real(args[0], args[1][: len(args[1]) // 2])
        raise OSError(errno.ENOSPC, os.strerror(errno.ENOSPC))


_current: ContextVar[Process | None] = ContextVar("tests.simulation.process", default=None)


@contextmanager
def simulated_disk() -> Iterator[None]:
    """Let the calls of `os` go through the process that makes them, within a `with` statement."""
    with mock.patch.multiple(os, **{name: _through_process(name) for name in _CALLS}):
        yield


def _through_process(name: str) -> Callable[..., Any]:
    real: Callable[..., Any] = getattr(os, name)

    def call(*args: Any, **kwargs: Any) -> Any:
        process = _current.get()
        if process is None:
            return real(*args, **kwargs)
        return process.call(name, real, *args, **kwargs)

    return call
