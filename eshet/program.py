"""What both commands have in common: how they end, and what they can safely print."""

import errno
import os
import signal
import sys
from typing import Any, Final

import click

__all__ = ["Program", "drop_output", "printable"]

_STREAMS: Final = (("stdin", "r"), ("stdout", "w"), ("stderr", "w"))
"""By the numbers of their files."""

_CAN_NOT_WRITE: Final = (errno.ENOSPC, errno.EDQUOT, errno.EFBIG, errno.EIO, errno.EBADF)


def printable(text: str) -> str:
    """Return a text as one line that no terminal takes for a command: what is told by others."""
    return "".join(c if c.isprintable() else c.encode("unicode_escape").decode() for c in text)


class Program(click.Group):
    """A group of commands which end quietly when they are interrupted.

    What the system refuses, as to write to a full disk, they say in one line.
    """

    def main(self, *args: Any, **kwargs: Any) -> Any:
        """See `click.Command`."""
        _open_what_is_closed()
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


def _open_what_is_closed() -> None:
    """Have the three streams that a shell may have closed: what is opened next took their place."""
    for number, (name, mode) in enumerate(_STREAMS):
        if getattr(sys, name) is None:
            nothing = os.open(os.devnull, os.O_RDWR)
            if nothing != number:
                os.dup2(nothing, number)
                os.close(nothing)
            setattr(sys, name, os.fdopen(number, mode, closefd=False))


def drop_output() -> None:
    """Let nothing that waits to be written be tried again when the process ends."""
    nothing = os.open(os.devnull, os.O_WRONLY)
    os.dup2(nothing, sys.stdout.fileno())
    os.close(nothing)
