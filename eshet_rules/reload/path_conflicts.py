"""Logs which rules wait for a path that another module or client provides, and which that is.

Two runners with the same rules on one server conflict at each path. So conflicts are gathered for a
moment, and there is one message for each other client or runner.
"""

import asyncio
import contextlib
import math
import traceback
from collections import defaultdict
from collections.abc import Callable, Mapping
from contextvars import Context
from typing import Any, Final

from structlog.typing import FilteringBoundLogger

from eshet.client import Client
from eshet.exceptions import ErrorValue, EshetError, PathTaken
from eshet.text import encodable, safe_repr, shorten
from eshet_rules.audit.records.paths import PathsTaken
from eshet_rules.audit.records.schema import emit
from eshet_rules.logs import frames_of_rules

__all__ = ["PathConflicts"]

_GATHER_TIME: Final = 0.5
"""Seconds in which conflicts are gathered before they are logged together."""

_AGAIN: Final = 3600.0
"""Seconds until the same conflict is logged again, if it persists."""

_OVER: Final = 150.0
"""Seconds without an attempt after which a conflict is over; a rule tries at least every 60 s."""

_ADVICE: Final = (
    "these rules wait until the paths are free: let one rule provide each path, or stop the other "
    "runner, or use a server of your own (--server)"
)
_ADVICE_OWN: Final = (
    "these rules wait until the paths are free: let one rule provide each path, or rename one"
)


class PathConflicts:
    """Collects and logs rules that wait for paths which other modules or clients provide.

    Args:
        log: receives the warnings.
        modules: returns the clients of this runner's modules, by their names.
    """

    def __init__(
        self, log: FilteringBoundLogger, modules: Callable[[], Mapping[str, Client]]
    ) -> None:
        self._log = log
        self._modules = modules
        # By rule and path, the times of the last message and of the last conflict.
        self._logged_at: dict[tuple[str, str], float] = {}
        self._occurred_at: dict[tuple[str, str], float] = {}
        self._new: list[tuple[str, str]] = []  # path, and text for the log
        self._logging: asyncio.Task[None] | None = None
        self._gathered = asyncio.Event()  # set to end the gathering early
        self._context: Final = Context()  # for logging: an empty one, without a rule's fields

    def add(self, rule: str, error: PathTaken, client: Client) -> None:
        """Note that a rule could not register a path.

        Args:
            rule: the full name of the rule.
            error: the error of the registration.
            client: the client of the module, to query the owner of the path.
        """
        loop = asyncio.get_running_loop()
        now, conflict = loop.time(), (rule, error.path)
        persists = now - self._occurred_at.get(conflict, -math.inf) < _OVER
        self._occurred_at[conflict] = now
        if persists and now - self._logged_at[conflict] < _AGAIN:
            return
        self._logged_at[conflict] = now
        frames = frames_of_rules(traceback.extract_tb(error.__traceback__))
        place = f" at {frames[-1].filename}:{frames[-1].lineno}" if frames else ""
        self._new.append((error.path, f"{error.path}: {rule}{place}"))
        if self._logging is None:
            self._logging = loop.create_task(self._log_soon(client), context=self._context)

    async def log_now(self) -> None:
        """Log the conflicts that were gathered so far."""
        self._gathered.set()
        if self._logging is not None:
            await asyncio.wait([self._logging])

    def close(self) -> None:
        """Stop logging."""
        if self._logging is not None:
            self._logging.cancel()

    async def _log_soon(self, client: Client) -> None:
        while self._new:
            with contextlib.suppress(TimeoutError):
                async with asyncio.timeout(_GATHER_TIME):
                    await self._gathered.wait()
            new, self._new = self._new, []
            await self._log_all(new, client)
        self._logging = None

    async def _log_all(self, new: list[tuple[str, str]], client: Client) -> None:
        by_owner: dict[str, list[str]] = defaultdict(list)
        for path, shown in new:
            by_owner[await _owner(client, path)].append(shown)
        runners = await _runners(client)
        own = {_shown(each.client_id): name for name, each in self._modules().items()}
        described: dict[tuple[str, str], list[str]] = defaultdict(list)
        for owner, conflicts in by_owner.items():
            if owner in own:
                described[f"module {own[owner]} of this runner", _ADVICE_OWN] += conflicts
            else:
                described[_described(owner, runners), _ADVICE] += conflicts
        for (owner, advice), conflicts in described.items():
            emit(self._log, PathsTaken(owner=owner, conflicts=conflicts, advice=advice))


async def _owner(client: Client, path: str) -> str:
    """Return the id of the client that provides a path; "" if the server does not report it."""
    just_before = f"{path[:-1]}{chr(ord(path[-1]) - 1)}\U0010ffff"
    with contextlib.suppress(EshetError, TypeError, LookupError):
        page: Any = await client.action_call("/meta/tree", just_before)
        match page["nodes"]:
            case [[found, _, owner, *_], *_] if found == path and owner is not None:
                return _shown(owner)
    return ""


def _shown(client_id: Any) -> str:
    return client_id if isinstance(client_id, str) else safe_repr(client_id)


async def _runners(client: Client) -> dict[str, str]:
    """Return descriptions of the runners on the server, by the prefixes of their client ids."""
    runners: dict[str, str] = {}
    # Other clients may publish anything at these paths.
    with contextlib.suppress(EshetError, TypeError, ValueError, LookupError):
        listing: Any = await client.action_call("/meta/ls", "/eshet_rules", "")
        for name, _ in listing[1]:
            path = f"/eshet_rules/{name}/runner"
            with contextlib.suppress(ErrorValue, TypeError, LookupError):
                runner: Any = await client.get(path)
                described = f"the runner of {runner['folder']}, process {runner['pid']}"
                runners[await _owner(client, path)] = described
    runners.pop("", None)
    return runners


def _described(owner: str, runners: dict[str, str]) -> str:
    """Return a description of the client with an id, or of its runner."""
    for prefix, runner in runners.items():
        if owner.startswith(prefix):
            return encodable(shorten(runner, 300))
    return f"client {encodable(shorten(owner, 200))}" if owner else "another client"
