"""Signal handling: signals that reliably stop the runner, or make it reload."""

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

__all__ = [
    "HAND_OVER_TIME",
    "LONGEST_STOP",
    "ForcedExit",
    "ignore_signals",
    "on_signal",
    "until_signalled",
]

LONGEST_STOP: Final = 4.5
"""Seconds from a signal to a forced exit, so that stopping takes less than five seconds."""

HAND_OVER_TIME: Final = 10.0
"""Seconds in addition for a runner of a cluster, in which it gives its modules to others."""


async def until_signalled(
    work: Coroutine[Any, Any, int],
    at_signal: Callable[[], object] = lambda: None,
    report: Callable[[signal.Signals], object] = lambda number: None,
) -> int:
    """Await the work, and return its result; SIGINT or SIGTERM cancel it, and the result is 0.

    It is cancelled only once, so that a second signal can't cut its clean-up short.

    Args:
        work: the coroutine to run.
        at_signal: called at the first signal, even while the event loop is blocked.
        report: called by the event loop with that signal.
    """
    loop = asyncio.get_running_loop()
    task = loop.create_task(work)
    signalled = False

    # `loop.add_signal_handler` would have to wait for a rule that blocks the loop.
    def stop(number: int, frame: FrameType | None) -> None:
        nonlocal signalled
        if not signalled:
            signalled = True
            at_signal()
            # The signal may have interrupted a rule: do not use the rule's context.
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
    def notify(number: int, frame: FrameType | None) -> None:
        loop.call_soon_threadsafe(callback, context=contextvars.Context())

    before = signal.signal(number, notify)
    try:
        yield
    finally:
        signal.signal(number, before)


def ignore_signals() -> None:
    """Ignore the signals to stop and to reload: the process is about to exit with its own code."""
    for number in (signal.SIGINT, signal.SIGTERM, signal.SIGHUP):
        signal.signal(number, signal.SIG_IGN)


class ForcedExit:
    """Ends the process after some seconds when requested, whatever still runs in it.

    It is a last resort if the normal shutdown fails: a rule may suppress its cancellation, block
    the event loop, or leave a thread running, for which Python would wait forever. Its thread is
    started in advance, as there may be no memory for one when it is needed.
    """

    def __init__(self) -> None:
        self._requests: queue.SimpleQueue[tuple[int, float]] = queue.SimpleQueue()
        threading.Thread(target=self._run, name="eshet-rules end", daemon=True).start()

    def request(self, exit_code: int, within: float = LONGEST_STOP) -> None:
        """End the process. Of several requests, the earliest time and the last code are used.

        Safe to call from a signal handler.

        Args:
            exit_code: exit code of the process.
            within: seconds until the exit.
        """
        self._requests.put((exit_code, time.monotonic() + within))

    def _run(self) -> None:
        exit_code, end = self._requests.get()
        with contextlib.suppress(queue.Empty):
            while True:
                exit_code, other = self._requests.get(timeout=max(0.0, end - time.monotonic()))
                end = min(end, other)
        with contextlib.suppress(OSError):
            os.write(2, _BY_FORCE)
        os._exit(exit_code)


_BY_FORCE: Final = b"eshet-rules: forced to exit, as a task or thread did not stop in time\n"
