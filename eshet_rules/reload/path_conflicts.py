"""Logs which rules wait for a path that another client provides, and which client that is.

Two runners with the same rules on one server meet at each path. So what comes within a moment is
one message for each of the clients, or runners, that are in the way.
"""

import asyncio
import contextlib
import math
import traceback
from collections import defaultdict
from contextvars import Context
from typing import Any, Final

from structlog.typing import FilteringBoundLogger

from eshet.client import Client
from eshet.exceptions import ErrorValue, EshetError, PathTaken
from eshet.text import encodable, safe_repr, shorten
from eshet_rules.audit.records import PathsTaken, emit
from eshet_rules.logs import frames_of_rules

__all__ = ["PathConflicts"]

_MOMENT: Final = 0.5
"""Seconds: what comes within them is logged together."""

_AGAIN: Final = 3600.0
"""Seconds until the same conflict is logged again, if it lasts."""

_MOST: Final = 10
"""How many conflicts are listed in one message; the others are counted."""


class PathConflicts:
    """The rules that wait for paths which others provide.

    Args:
        log: where they are logged.
    """

    def __init__(self, log: FilteringBoundLogger) -> None:
        self._log = log
        self._logged_at: dict[tuple[str, str], float] = {}  # by rule and path
        self._new: list[tuple[str, str]] = []  # path, and what is shown of it
        self._logging: asyncio.Task[None] | None = None
        self._of_nobody: Final = Context()  # it is logged of the rules that it names

    def add(self, rule: str, error: PathTaken, client: Client) -> None:
        """Take note that a rule could not register a path.

        Args:
            rule: its full name.
            error: with which the registration was refused.
            client: of the module, to ask the server who provides the path.
        """
        loop = asyncio.get_running_loop()
        if loop.time() - self._logged_at.get((rule, error.path), -math.inf) < _AGAIN:
            return
        self._logged_at[rule, error.path] = loop.time()
        frames = frames_of_rules(traceback.extract_tb(error.__traceback__))
        place = f" at {frames[-1].filename}:{frames[-1].lineno}" if frames else ""
        self._new.append((error.path, f"{error.path}: {rule}{place}"))
        if self._logging is None:
            self._logging = loop.create_task(self._log_soon(client), context=self._of_nobody)

    def close(self) -> None:
        """Log nothing more."""
        if self._logging is not None:
            self._logging.cancel()

    async def _log_soon(self, client: Client) -> None:
        await asyncio.sleep(_MOMENT)
        new, self._new = self._new, []
        self._logging = None
        by_owner: dict[str, list[str]] = defaultdict(list)
        for path, shown in new:
            by_owner[await _owner(client, path)].append(shown)
        runners = await _runners(client)
        by_runner: dict[str, list[str]] = defaultdict(list)
        for owner, conflicts in by_owner.items():
            by_runner[_described(owner, runners)] += conflicts
        for owner, conflicts in by_runner.items():
            more = len(conflicts) - _MOST
            emit(
                self._log,
                PathsTaken(
                    owner=owner,
                    conflicts=conflicts[:_MOST],
                    more=more if more > 0 else None,
                    advice="these rules wait until the paths are free: let one rule provide each "
                    "path, or end the other runner, or use a server of your own (--server)",
                ),
            )


async def _owner(client: Client, path: str) -> str:
    """Return the id of the client that provides a path, if the server says so; else ""."""
    just_before = f"{path[:-1]}{chr(ord(path[-1]) - 1)}\U0010ffff"
    with contextlib.suppress(EshetError, TypeError, LookupError):
        page: Any = await client.action_call("/meta/tree", just_before)
        match page["nodes"]:
            case [[found, _, owner, *_], *_] if found == path and owner is not None:
                return owner if isinstance(owner, str) else safe_repr(owner)
    return ""


async def _runners(client: Client) -> dict[str, str]:
    """Return the runners on the server, by what the ids of their clients begin with."""
    runners: dict[str, str] = {}
    # Anybody may publish something else there.
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
    """Return whose the id of a client is, in words."""
    for beginning, runner in runners.items():
        if owner.startswith(beginning):
            return encodable(shorten(runner, 300))
    return f"client {encodable(shorten(owner, 200))}" if owner else "another client"
