"""How signals end the runner, for sure, or let it reload."""

import asyncio
import contextlib
import contextvars
import os
import signal
import threading
from collections.abc import Callable, Coroutine, Iterator
from types import FrameType
from typing import Any, Final

__all__ = ["LONGEST_STOP", "end_for_sure", "on_signal", "until_signalled"]

LONGEST_STOP: Final = 4.5
"""Seconds from a signal until the process is ended by force, so that it takes less than five."""


async def until_signalled(
    work: Coroutine[Any, Any, int], at_signal: Callable[[], object] = lambda: None
) -> int:
    """Await the work; SIGINT or SIGTERM cancel it, which gives 0.

    It is cancelled once only, so that an impatient second signal can't cut its clean-up short.

    Args:
        work: what is to be done, until it has a result or a signal comes.
        at_signal: called at the first signal, also while the event loop is blocked.
    """
    loop = asyncio.get_running_loop()
    task = loop.create_task(work)
    came = False

    # Not by `loop.add_signal_handler`, which has to wait for a rule that blocks the loop.
    def stop(number: int, frame: FrameType | None) -> None:
        nonlocal came
        if not came:
            came = True
            at_signal()
            # Not in the context of a rule, whose step the signal may have interrupted.
            loop.call_soon_threadsafe(task.cancel, context=contextvars.Context())

    with contextlib.ExitStack() as handlers:
        for number in (signal.SIGINT, signal.SIGTERM):
            handlers.callback(signal.signal, number, signal.signal(number, stop))
        await asyncio.wait([task])
    return 0 if task.cancelled() else task.result()


@contextlib.contextmanager
def on_signal(number: signal.Signals, callback: Callable[[], object]) -> Iterator[None]:
    """Call a function at each signal of a kind, within a `with` statement."""
    loop = asyncio.get_running_loop()
    before = signal.getsignal(number)
    loop.add_signal_handler(number, callback)
    try:
        yield
    finally:
        loop.remove_signal_handler(number)  # which leaves the system's default, and not `before`
        signal.signal(number, before)


def end_for_sure(exit_code: int, within: float = LONGEST_STOP) -> None:
    """End the process at the latest after some seconds, whatever else still runs in it.

    It is the last resort beside a proper end: a rule may not let itself be cancelled, block the
    event loop, or leave a thread behind, for which Python would wait for ever.
    """

    def end() -> None:
        os.write(2, b"eshet-rules: ended by force, as something in it did not end when told to\n")
        os._exit(exit_code)

    timer = threading.Timer(within, end)
    timer.daemon = True
    timer.start()
