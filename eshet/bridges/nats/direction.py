"""Shows the nodes of one side on the other."""

import asyncio
import logging
from collections import defaultdict
from collections.abc import Callable, Mapping
from typing import Final

from eshet.bridges.nats.copies import COPIES, Copy
from eshet.bridges.nats.side import Side
from eshet.exceptions import Disconnected, ErrorValue, EshetError

__all__ = ["Direction", "list_paths"]

_AT_ONCE: Final = 100
"""How many copies are made at the same time."""

_SHOWN: Final = 5

_log: Final = logging.getLogger("eshet.bridges")


class Direction:
    """The copies of the nodes of one side.

    Args:
        origin: the side of their owners.
        other: the side on which they are shown.
        on_unknown: called when the owner of a node may be gone.
    """

    def __init__(self, origin: Side, other: Side, on_unknown: Callable[[], object]) -> None:
        self._origin = origin
        self._other = other
        self._on_unknown = on_unknown
        self._copies: dict[str, Copy] = {}
        self._refused: dict[str, str] = {}

    async def remove(self, wanted: Mapping[str, str]) -> None:
        """Remove the copies that are not wanted.

        Args:
            wanted: the kinds of the nodes to show, by path.
        """
        outdated = [copy for copy in self._copies.values() if wanted.get(copy.path) != copy.kind]
        for copy in outdated:
            del self._copies[copy.path]
        await asyncio.gather(*(copy.close() for copy in outdated))

    async def add(self, wanted: Mapping[str, str]) -> None:
        """Add the missing copies; log those that can't be added, once.

        Args:
            wanted: see `remove`.

        Raises:
            Disconnected: a client was closed.
        """
        missing = [path for path in wanted if path not in self._copies]
        refused: dict[str, str] = {}
        for start in range(0, len(missing), _AT_ONCE):
            paths = missing[start : start + _AT_ONCE]
            problems = await asyncio.gather(*(self._add(path, wanted[path]) for path in paths))
            refused |= {path: each for path, each in zip(paths, problems, strict=True) if each}
        self._log_refused(refused)

    async def _add(self, path: str, kind: str) -> str | None:
        """Add a copy; return why it can't be added."""
        if kind not in COPIES:
            return f"a node of the kind {kind}"
        copy = COPIES[kind](path, self._origin, self._other, self._on_unknown)
        try:
            await copy.open()
        except Disconnected:
            raise
        except ErrorValue as error:
            return str(error.value)
        except EshetError as error:
            return str(error)
        self._copies[path] = copy
        return None

    def _log_refused(self, refused: dict[str, str]) -> None:
        paths: defaultdict[str, list[str]] = defaultdict(list)
        for path, problem in refused.items():
            if self._refused.get(path) != problem:
                paths[problem].append(path)
        for problem, each in paths.items():
            text = "%s of %s can't be shown on %s: %s"
            _log.warning(text, list_paths(each), self._origin, self._other, problem)
        self._refused = refused


def list_paths(paths: list[str]) -> str:
    """Return the first paths as a text, and how many more there are."""
    shown = ", ".join(sorted(paths)[:_SHOWN])
    return shown if len(paths) <= _SHOWN else f"{shown} and {len(paths) - _SHOWN} more"
