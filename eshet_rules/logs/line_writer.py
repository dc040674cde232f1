"""Writes the log to a terminal, pipe, socket or file, and never waits for a reader.

A terminal that is stopped with Ctrl-S, or a program that does not read its pipe, must not block the
rules. `poll` does not help: a pipe with space for 4 KiB is ready, and still blocks a write of
100 KiB. So each write is non-blocking. The flag O_NONBLOCK belongs to the open file, which other
processes share; so it is set on an open file of our own.

Data that the reader has not taken yet is kept in memory up to a limit, and the event loop writes it
when there is space. Lines beyond the limit are dropped and counted. Lines are never torn.
"""

import asyncio
import atexit
import contextlib
import os
import select
import socket
import stat
from collections.abc import Callable
from pathlib import Path
from typing import Any, Final, TextIO, TypeAlias

import msgspec

from eshet.clock import wall_stamp
from eshet.interpreter import running_loop
from eshet_rules.audit.recorder import Recorder
from eshet_rules.audit.records.control import LogNotShown
from eshet_rules.audit.records.supervision import LogLinesDropped

__all__ = ["LineWriter"]

_MAX_WAITING: Final = 1 << 20
"""Maximum number of unwritten bytes; one line may exceed it."""

_LAST_WAIT: Final = 0.5
"""Seconds for which the process waits for the reader when it exits."""

_Write: TypeAlias = Callable[["LineWriter", str], None]


class LineWriter:
    """Writes lines to a stream, and records it in the trail when lines are dropped.

    Args:
        stream: the stream to write to.
        recorder: keeps a record of the first dropped line, and later one with their number.
        render: renders a record as a line.
    """

    def __init__(
        self, stream: TextIO, recorder: Recorder, render: Callable[[dict[str, Any]], str]
    ) -> None:
        self._stream = stream
        self._file: Final = _File.of(stream)
        self._recorder = recorder
        self._render = render
        self._waiting = b""
        self._dropped = 0
        self._failed = False
        self._loop: asyncio.AbstractEventLoop | None = None  # continues when there is space
        if self._file is not None:
            atexit.register(self._flush)

    def msg(self, line: str) -> None:
        """Write a line, queue it, or drop it."""
        try:
            if self._file is None:
                print(line, file=self._stream, flush=True)
            else:
                self._add(line)
        except (OSError, ValueError) as error:  # a full disk, no reader, or a closed stream
            self._fail(str(error))
        else:
            self._failed = self._failed and bool(self._dropped)

    # The names by which structlog calls a logger.
    debug: _Write = msg
    info: _Write = msg
    warning: _Write = msg
    error: _Write = msg
    critical: _Write = msg

    def _add(self, line: str) -> None:
        self._write()
        if len(self._waiting) >= _MAX_WAITING:
            self._fail("the reader does not keep up")
            return
        if self._dropped:
            dropped = LogLinesDropped(lines=self._dropped)
            self._dropped = 0
            self._waiting += _encode(self._render(self._keep(dropped)))
        self._waiting += _encode(line)
        self._write()

    def _write(self) -> None:
        """Write as many of the waiting bytes as possible; the event loop continues later."""
        assert self._file is not None  # noqa: S101 - nothing waits without a file
        with contextlib.suppress(BlockingIOError):
            while self._waiting:
                self._waiting = self._waiting[self._file.write(self._waiting) :]
        if self._waiting:
            self._continue_later()
        elif self._loop is not None:
            self._loop.remove_writer(self._file.number)
            self._loop = None

    def _continue_later(self) -> None:
        running = running_loop()
        if running is None or running is self._loop or self._file is None:
            return
        # With a loop that can't watch files, such as VirtualLoop, the next line continues.
        with contextlib.suppress(OSError, NotImplementedError, ValueError):
            running.add_writer(self._file.number, self._resume)
            self._loop = running

    def _resume(self) -> None:
        try:
            self._write()
        except OSError as error:
            self._waiting = b""
            self._write()  # removes the writer from the loop
            self._fail(str(error))

    def _flush(self) -> None:
        """Write the waiting bytes when the process exits, if the reader takes them in time."""
        self._loop = None
        with contextlib.suppress(OSError, ValueError):
            if self._waiting and self._file is not None and self._file.wait(_LAST_WAIT):
                self._write()

    def _fail(self, problem: str) -> None:
        self._dropped += 1
        if not self._failed:
            self._failed = True
            self._keep(LogNotShown(error=problem))

    def _keep(self, event: LogLinesDropped | LogNotShown) -> dict[str, Any]:
        event.time, event.level, event.event = wall_stamp(), event.LEVEL, event.EVENT
        record: dict[str, Any] = msgspec.to_builtins(event)
        self._recorder.keep(record)
        return record


class _File:
    """The file of a stream, with non-blocking writes.

    Args:
        number: the file descriptor.
        write: writes bytes, and returns the number of bytes written.
    """

    def __init__(self, number: int, write: Callable[[bytes], int]) -> None:
        self.number: Final = number
        self.write: Final = write

    @classmethod
    def of(cls, stream: TextIO) -> "_File | None":
        """Return the file of a stream; None if the stream has no descriptor."""
        try:
            number = stream.fileno()
            mode = os.fstat(number).st_mode
            stream.flush()
        except (OSError, ValueError, AttributeError):
            return None
        if stat.S_ISSOCK(mode):  # such as the journal of systemd
            connection = socket.socket(fileno=os.dup(number))
            return cls(connection.fileno(), lambda data: connection.send(data, socket.MSG_DONTWAIT))
        if stat.S_ISFIFO(mode) or stat.S_ISCHR(mode):
            flags = os.O_WRONLY | os.O_NONBLOCK | os.O_NOCTTY | os.O_CLOEXEC
            with contextlib.suppress(OSError):  # no /dev or no permission: writes may block then
                number = os.open(Path(f"/dev/fd/{number}"), flags)
        return cls(number, lambda data: os.write(number, data))

    def wait(self, seconds: float) -> bool:
        """Wait until the file takes some bytes; return False if it does not in that time."""
        poll = select.poll()
        poll.register(self.number, select.POLLOUT)
        return bool(poll.poll(seconds * 1000))


def _encode(line: str) -> bytes:
    return f"{line}\n".encode(errors="backslashreplace")
