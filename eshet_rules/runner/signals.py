"""How signals end the runner, for sure, or let it reload."""

import asyncio
import contextlib
import contextvars
import os
import queue
import signal
import threading
import time
from collections.abc import Callable, Coroutine, Iterator
from types import FrameType
from typing import Any, Final

__all__ = ["LONGEST_STOP", "ForcedEnd", "ignore_signals", "on_signal", "until_signalled"]

LONGEST_STOP: Final = 4.5
"""Seconds from a signal until the process is ended by force, so that it takes less than five."""


async def until_signalled(
    work: Coroutine[Any, Any, int],
    at_signal: Callable[[], object] = lambda: None,
    report: Callable[[signal.Signals], object] = lambda number: None,
) -> int:
    """Await the work; SIGINT or SIGTERM cancel it, which gives 0.

    It is cancelled once only, so that an impatient second signal can't cut its clean-up short.

    Args:
        work: what is to be done, until it has a result or a signal comes.
        at_signal: called at the first signal, also while the event loop is blocked.
        report: called by the event loop with that signal.
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
            context = contextvars.Context()
            loop.call_soon_threadsafe(report, signal.Signals(number), context=context)
            loop.call_soon_threadsafe(task.cancel, context=context)

    with contextlib.ExitStack() as handlers:
        for number in (signal.SIGINT, signal.SIGTERM):
            handlers.callback(signal.signal, number, signal.signal(number, stop))
        await asyncio.wait([task])
    return 0 if task.cancelled() else task.result()


@contextlib.contextmanager
def on_signal(number: signal.Signals, callback: Callable[[], object]) -> Iterator[None]:
    """Call a function at each signal of a kind, within a `with` statement."""
    loop = asyncio.get_running_loop()

    # `loop.remove_signal_handler` would leave the system's default for a moment.
    def tell(number: int, frame: FrameType | None) -> None:
        loop.call_soon_threadsafe(callback, context=contextvars.Context())

    before = signal.signal(number, tell)
    try:
        yield
    finally:
        signal.signal(number, before)


def ignore_signals() -> None:
    """Ignore the signals to end and to reload, as the process is about to end with its own code."""
    for number in (signal.SIGINT, signal.SIGTERM, signal.SIGHUP):
        signal.signal(number, signal.SIG_IGN)


class ForcedEnd:
    """Ends the process, once it is asked to, after some seconds, whatever still runs in it.

    It is the last resort beside a proper end: a rule may not let itself be cancelled, block the
    event loop, or leave a thread behind, for which Python would wait for ever. Its thread is there
    from the beginning, as there may be no memory for one when it is needed.
    """

    def __init__(self) -> None:
        self._asked: queue.SimpleQueue[tuple[int, float]] = queue.SimpleQueue()
        threading.Thread(target=self._run, name="eshet-rules end", daemon=True).start()

    def ask(self, exit_code: int, within: float = LONGEST_STOP) -> None:
        """End the process; if this is asked several times, the earliest end and the last code hold.

        It may be called by a signal handler, in the midst of anything.

        Args:
            exit_code: of the process.
            within: seconds until then.
        """
        self._asked.put((exit_code, time.monotonic() + within))

    def _run(self) -> None:
        exit_code, end = self._asked.get()
        with contextlib.suppress(queue.Empty):
            while True:
                exit_code, other = self._asked.get(timeout=max(0.0, end - time.monotonic()))
                end = min(end, other)
        with contextlib.suppress(OSError):
            os.write(2, _BY_FORCE)
        os._exit(exit_code)


_BY_FORCE: Final = b"eshet-rules: ended by force, as something in it did not end when told to\n"
