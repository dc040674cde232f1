"""Commands of the project as a user types them: real processes, on ports of their own."""

import atexit
import functools
import os
import subprocess
import sys
import tempfile
from collections.abc import Iterator
from contextlib import contextmanager
from pathlib import Path
from typing import IO

__all__ = ["COMMANDS", "command", "running"]

COMMANDS = Path(sys.executable).parent
"""Where the commands of this environment are."""


def command(
    *args: str, server: str = "", stdin: str = "", cwd: Path | None = None
) -> subprocess.CompletedProcess[str]:
    """Run a command to its end."""
    return subprocess.run(  # noqa: S603 - the project's own commands
        [str(COMMANDS / args[0]), *args[1:]],
        input=stdin,
        capture_output=True,
        text=True,
        timeout=30,
        check=False,
        env=environment(server),
        cwd=cwd,
    )


@functools.cache
def _state_home() -> str:
    """Return a folder for what the commands of this run remember, which goes with it."""
    folder = tempfile.TemporaryDirectory(prefix="eshet-state-")
    atexit.register(folder.cleanup)
    return folder.name


def environment(server: str) -> dict[str, str]:
    return {
        "PATH": str(COMMANDS),
        "LANG": "C.UTF-8",
        "PYTHONFAULTHANDLER": "1",
        "XDG_STATE_HOME": _state_home(),
        **({"PYTHONPATH": path} if (path := os.environ.get("PYTHONPATH")) else {}),
        **({"ESHET_SERVER": server} if server else {}),
    }


@contextmanager
def running(
    *args: str, server: str = "", cwd: Path | None = None, stderr: int | IO[str] | None = None
) -> Iterator[subprocess.Popen[str]]:
    """Run a command in the background, and kill it if it still runs in the end."""
    process = subprocess.Popen(  # noqa: S603
        [str(COMMANDS / args[0]), *args[1:]],
        stdin=subprocess.PIPE,
        stdout=subprocess.PIPE,
        stderr=stderr,
        text=True,
        bufsize=1,
        env=environment(server),
        cwd=cwd,
    )
    with process:
        try:
            yield process
        finally:
            process.kill()


def line(process: subprocess.Popen[str]) -> str:
    """Read the next line that the process prints."""
    assert process.stdout is not None
    return process.stdout.readline().rstrip("\n")
