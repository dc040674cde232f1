"""Common parts of both commands: how they end, and safe output."""

import errno
import os
import signal
import sys
from typing import Any, Final

import click

__all__ = ["Program", "drop_output", "printable"]

_STREAMS: Final = (("stdin", "r"), ("stdout", "w"), ("stderr", "w"))
"""The standard streams, in the order of their descriptors."""

_CAN_NOT_WRITE: Final = (errno.ENOSPC, errno.EDQUOT, errno.EFBIG, errno.EIO, errno.EBADF)


def printable(text: str) -> str:
    """Return a text as one line that can't control a terminal, for text from other sources."""
    return "".join(c if c.isprintable() else c.encode("unicode_escape").decode() for c in text)


class Program(click.Group):
    """A group of commands that end quietly when they are interrupted.

    An error of the system, such as a full disk, is printed in one line.
    """

    def main(self, *args: Any, **kwargs: Any) -> Any:
        """See `click.Command`."""
        _open_closed_streams()
        try:
            return super().main(*args, **kwargs)
        except OSError as error:
            problem = error.strerror or str(error)
            if error.filename is not None:
                problem = f"{os.fsdecode(error.filename)}: {problem}"
            elif error.errno in _CAN_NOT_WRITE:
                problem = f"can't write to standard output: {problem}"
                drop_output()
            click.echo(f"{self.name}: {printable(problem)}", err=True)
            sys.exit(1)

    def invoke(self, ctx: click.Context) -> Any:
        """See `click.Command`."""
        try:
            return super().invoke(ctx)
        except KeyboardInterrupt:
            sys.exit(128 + signal.SIGINT)


def _open_closed_streams() -> None:
    """Open standard streams that are closed: else the next opened files would take their place."""
    for number, (name, mode) in enumerate(_STREAMS):
        if getattr(sys, name) is None:
            nothing = os.open(os.devnull, os.O_RDWR)
            if nothing != number:
                os.dup2(nothing, number)
                os.close(nothing)
            setattr(sys, name, os.fdopen(number, mode, closefd=False))


def drop_output() -> None:
    """Drop unwritten output, so that it is not written again when the process ends."""
    nothing = os.open(os.devnull, os.O_WRONLY)
    os.dup2(nothing, sys.stdout.fileno())
    os.close(nothing)
