"""Registers and unregisters the nodes of a bridge, one after the other."""

import asyncio
import logging
from collections import deque
from collections.abc import Awaitable, Callable, Coroutine
from dataclasses import dataclass
from typing import Any, Final

from eshet.exceptions import EshetError, PathTaken

__all__ = ["RegistrationQueue"]

_log: Final = logging.getLogger("eshet.bridges")

_TOGETHER: Final = 2.0
"""Seconds after which values are published though more nodes wait: these may never end."""

_AT_ONCE: Final = 200
"""The number of values that are published in one turn of the event loop."""

Request = Callable[[], Awaitable[object]]


@dataclass(frozen=True)
class _Waiting:
    path: str
    owner: str
    request: Request
    then: Callable[[], object] | None  # None to unregister


class RegistrationQueue:
    """Registers nodes in the order of the requests, so that a node can move to the path of another.

    The values of nodes that are registered together are published when all of these nodes exist,
    so a rule that reacts to one of them finds the others. A node that can't be registered because
    another client owns its path is logged and skipped.
    """

    def __init__(self) -> None:
        self._registered: set[str] = set()
        self._owners: dict[str, str] = {}  # of the nodes of this client
        self._awaited: dict[str, asyncio.Event] = {}
        self._queue: deque[_Waiting] = deque()
        self._tasks: set[asyncio.Task[Any]] = set()
        self._worker: asyncio.Task[None] | None = None

    def register(
        self, path: str, request: Request, then: Callable[[], object], *, owner: str
    ) -> None:
        """Register a node.

        Args:
            path: of the node.
            request: registers it.
            then: called when it is registered.
            owner: describes the node in errors, such as `"state of Hall lamp"`.
        """
        self._add(_Waiting(path, owner, request, then))

    def unregister(self, path: str, request: Request) -> None:
        """Unregister a node, which counts as unregistered at once."""
        self._registered.discard(path)
        self._add(_Waiting(path, "", request, None))

    def has(self, path: str) -> bool:
        """Whether a node is registered."""
        return path in self._registered

    async def wait_for(self, path: str) -> None:
        """Wait until a node is registered."""
        while path not in self._registered:
            await self._awaited.setdefault(path, asyncio.Event()).wait()

    async def join(self) -> None:
        """Wait until all requests are carried out."""
        while self._worker is not None and not self._worker.done():
            await asyncio.wait([self._worker])

    def start(self, work: Coroutine[Any, Any, object]) -> asyncio.Task[Any]:
        """Run a coroutine in a task that `close` cancels."""
        task = asyncio.get_running_loop().create_task(work)
        self._tasks.add(task)
        task.add_done_callback(self._tasks.discard)
        return task

    async def close(self) -> None:
        """Cancel all tasks, and wait until they have ended."""
        tasks = list(self._tasks)
        for task in tasks:
            task.cancel()
        await asyncio.gather(*tasks, return_exceptions=True)

    def _log_taken(self, waiting: _Waiting) -> None:
        other = self._owners.get(waiting.path)
        advice = "change one of their aliases" if other else "write another path in [alias]"
        _log.warning(
            "%s is not registered for %s: %s has this path; %s",
            waiting.path,
            waiting.owner,
            other or "another client",
            advice,
        )

    def _add(self, waiting: _Waiting) -> None:
        self._queue.append(waiting)
        if self._worker is None or self._worker.done():
            self._worker = self.start(self._work())

    async def _work(self) -> None:
        loop = asyncio.get_running_loop()
        while self._queue:
            made: dict[str, Callable[[], object]] = {}
            ends = loop.time() + _TOGETHER
            while self._queue and loop.time() < ends:
                waiting = self._queue.popleft()
                made.pop(waiting.path, None)
                try:
                    await waiting.request()
                except PathTaken:
                    self._log_taken(waiting)
                    continue
                except EshetError as error:
                    _log.warning("%s", error)
                    continue
                self._owners.pop(waiting.path, None)
                if waiting.then is not None:
                    self._owners[waiting.path] = waiting.owner
                    made[waiting.path] = waiting.then
            self._registered.update(made)
            for number, (path, then) in enumerate(made.items(), 1):
                if (awaited := self._awaited.pop(path, None)) is not None:
                    awaited.set()
                then()
                if number % _AT_ONCE == 0:
                    await asyncio.sleep(0)
