"""Supervises the components of the runner that only observe or assist, each on its own.

Rules do not depend on the publisher, the checkpoint, the watcher or systemd. So a failure of one of
these stops neither the runner nor another component: it is logged, and the component is restarted.
"""

import asyncio
from collections.abc import Awaitable, Callable
from typing import Final

from structlog.typing import FilteringBoundLogger

from eshet.bridges.exceptions import BridgeError
from eshet.exceptions import ListenError
from eshet.tasks.options import Backoff
from eshet.text import safe_str
from eshet.user_errors import is_error
from eshet_rules.audit.records.schema import emit
from eshet_rules.audit.records.supervision import ComponentFailed

__all__ = ["attempt", "keep_running"]

_MIN_UPTIME: Final = 60.0
"""Seconds after which a component counts as healthy, which resets its backoff."""

_OF_USER: Final = (BridgeError, ListenError)
"""Errors with a text that says how the user can correct them."""

_BACKOFF: Final = Backoff(start=1.0, end=60.0, multiplier=2.0)


async def keep_running(
    name: str, run: Callable[[], Awaitable[object]], log: FilteringBoundLogger
) -> None:
    """Run a component until it returns, and restart it with backoff each time that it fails.

    Its errors are logged, not raised. Only the cancellation of this task and exceptions that end
    the process are. If the text of an error says how the user can correct it, only the text is
    logged, and not again while it stays the same.

    Args:
        name: the name of the component, for the log.
        run: runs it from its beginning; called for each start.
        log: receives the failures.
    """
    loop = asyncio.get_running_loop()
    pauses = _BACKOFF.pauses()
    logged = ""
    while True:
        started = loop.time()
        error = await _error_of(run)
        if error is None:
            return
        if loop.time() - started >= _MIN_UPTIME:
            pauses = _BACKOFF.pauses()
        pause = next(pauses)
        if is_error(error, _OF_USER):
            text = safe_str(error)
            failed = ComponentFailed(component=name, pause_s=pause, error=text)
            emit(log, failed, level="debug" if text == logged else None)
            logged = text
        else:
            emit(log, ComponentFailed(component=name, pause_s=pause), error=error)
            logged = ""
        await asyncio.sleep(pause)


async def attempt(
    name: str, run: Callable[[], Awaitable[object]], log: FilteringBoundLogger
) -> None:
    """Run a component once, and log its failure; see `keep_running`."""
    if (error := await _error_of(run)) is not None:
        emit(log, ComponentFailed(component=name), error=error)


async def _error_of(run: Callable[[], Awaitable[object]]) -> BaseException | None:
    task = asyncio.current_task()
    try:
        await run()
    except (SystemExit, KeyboardInterrupt, GeneratorExit):
        raise
    except BaseException as error:  # the `repr` or `==` of user objects may raise any exception
        if is_error(error, asyncio.CancelledError) and task is not None and task.cancelling():
            raise
        return error
    return None
