"""Runs slow work in a process of its own, so that it never delays a rule."""

import asyncio
import contextlib
import os
import signal
import sys
from typing import Final

__all__ = ["run_beside"]

# The same search path as here, so that rules find the same packages. `-P`: the present folder,
# maybe that of the rules, is not searched for modules of the standard library.
_START: Final = "import sys; sys.path[:] = {path!r}; {code}"

_LONGEST_EXIT: Final = 1.0
"""Seconds within which the process has to exit after its answer."""


async def run_beside(code: str, request: bytes = b"") -> tuple[bytes, int]:
    """Run Python code in a process of its own; if this is cancelled, the process is killed.

    Args:
        code: statements.
        request: written to its standard input, which is closed when this ends.

    Returns:
        Its standard output, and its exit code.

    Raises:
        OSError: the process can't be started.
    """
    process = await asyncio.create_subprocess_exec(
        *(sys.executable, "-P", "-c", _START.format(path=sys.path, code=code)),
        stdin=asyncio.subprocess.PIPE,
        stdout=asyncio.subprocess.PIPE,
        stderr=asyncio.subprocess.DEVNULL,
        start_new_session=True,  # Ctrl-C in the terminal is for the runner
    )
    try:
        if process.stdin is None or process.stdout is None:
            raise OSError("the process has no pipes")
        with contextlib.suppress(ConnectionError):  # it has ended: its exit code says why
            process.stdin.write(request)
            await process.stdin.drain()
        answer = await process.stdout.read()
        with contextlib.suppress(TimeoutError):
            async with asyncio.timeout(_LONGEST_EXIT):
                await process.wait()
    finally:
        _kill(process)
        code_of_exit = await process.wait()
    return answer, code_of_exit


def _kill(process: asyncio.subprocess.Process) -> None:
    """Kill a process that has not ended.

    Not by `Process.kill`: that takes the exit code of a process that has just ended. The child
    watcher of asyncio waits for the same process, and would log that it is unknown.
    """
    if process.returncode is None:
        with contextlib.suppress(ProcessLookupError):
            os.kill(process.pid, signal.SIGKILL)
