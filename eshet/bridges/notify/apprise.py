"""Sends notifications by apprise, which supports more than a hundred services.

apprise needs three seconds to load, and its requests block. So it is imported and called in a
thread of its own.
"""

import asyncio
import contextlib
import importlib.util
import logging
import queue
import threading
from dataclasses import dataclass
from typing import TYPE_CHECKING, Final

from eshet.bridges.notify.sender import (
    DEADLINE,
    Notification,
    NotificationFailed,
    without_secrets,
)

if TYPE_CHECKING:
    from apprise import Apprise

__all__ = ["AppriseSender"]

_log: Final = logging.getLogger("eshet.bridges")

_LEVELS: Final = {"error": "failure"}
"""The levels with another name in apprise."""


@dataclass(frozen=True)
class _Job:
    notification: Notification
    deadline: float  # by the clock of the loop
    sent: asyncio.Future[None]


class AppriseSender:
    """A `Sender`; its thread runs until `close`.

    Args:
        name: of the bridge, for the log.
        url: of the service, in the form of apprise.

    Raises:
        ModuleNotFoundError: apprise is not installed.
    """

    def __init__(self, name: str, url: str) -> None:
        if importlib.util.find_spec("apprise") is None:
            raise ModuleNotFoundError("apprise is not installed", name="apprise")
        self.problem: str = ""
        """See `Sender.problem`."""
        self._name = name
        self._url = url
        self._loop = asyncio.get_running_loop()
        self._jobs: queue.SimpleQueue[_Job | None] = queue.SimpleQueue()
        self._thread = threading.Thread(target=self._work, name="apprise", daemon=True)
        self._thread.start()

    async def send(self, notification: Notification) -> None:
        """See `Sender.send`."""
        if self.problem:
            raise NotificationFailed(self.problem)
        deadline = self._loop.time() + DEADLINE
        job = _Job(notification, deadline, self._loop.create_future())
        self._jobs.put(job)
        try:
            async with asyncio.timeout_at(deadline):
                await job.sent
        except TimeoutError:
            raise NotificationFailed(
                f"the service has not accepted it in {DEADLINE:g} s; it may still do so"
            ) from None

    async def close(self) -> None:
        """See `Sender.close`. A notification that is being sent keeps the thread until its end."""
        self._jobs.put(None)

    # --- in the thread ------------------------------------------------------------------------

    def _work(self) -> None:
        warnings = _Warnings()
        logger = logging.getLogger("apprise")
        logger.addHandler(warnings)
        # Messages of apprise and of its HTTP library contain URLs, which are secret.
        logger.propagate = False
        requests = logging.getLogger("urllib3")
        if requests.level == logging.NOTSET:
            requests.setLevel(logging.INFO)
        try:
            service = self._load()
            while (job := self._jobs.get()) is not None:
                # The job has waited for another one, or for apprise to load.
                if not job.sent.done() and self._loop.time() < job.deadline:
                    self._send(service, job, warnings)
        except RuntimeError:
            pass  # the loop is closed
        finally:
            logger.removeHandler(warnings)

    def _load(self) -> "Apprise | str":
        """Return apprise with the service, or the reason why that failed."""
        try:
            import apprise

            service = apprise.Apprise()
            if service.add(self._url):
                return service
            problem = "apprise does not know a service with this URL, or something is missing in it"
        except Exception as error:
            problem = f"can't load apprise: {without_secrets(str(error), self._url)}"
        self._loop.call_soon_threadsafe(self._fail, problem)
        return problem

    def _fail(self, problem: str) -> None:
        self.problem = problem
        _log.warning("bridge %s: %s", self._name, problem)

    def _send(self, service: "Apprise | str", job: _Job, warnings: "_Warnings") -> None:
        failure = service if isinstance(service, str) else self._notify(service, job, warnings)
        self._loop.call_soon_threadsafe(_finish, job.sent, failure)

    def _notify(self, service: "Apprise", job: _Job, warnings: "_Warnings") -> str | None:
        """Send a notification, and return the reason if that failed."""
        notification = job.notification
        level = _LEVELS.get(notification.level, notification.level)
        warnings.last = ""
        try:
            if service.notify(notification.message, notification.title, level):
                return None
            reason = warnings.last or "no reason was given"
        except Exception as error:  # of one of its many services
            reason = f"{type(error).__name__}: {error}"
        return f"the service did not accept it: {without_secrets(reason, self._url)}"


class _Warnings(logging.Handler):
    """Keeps the last warning, which has the reason of a failure of apprise."""

    def __init__(self) -> None:
        super().__init__(logging.WARNING)
        self.last: str = ""

    def emit(self, record: logging.LogRecord) -> None:
        """See `logging.Handler`."""
        with contextlib.suppress(Exception):
            self.last = record.getMessage()


def _finish(sent: asyncio.Future[None], failure: str | None) -> None:
    if sent.done():
        return
    if failure is None:
        sent.set_result(None)
    else:
        sent.set_exception(NotificationFailed(failure))
