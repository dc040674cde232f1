"""Stands in for nodes that only the house provides, so that set-ups calling them can be checked.

A set-up may call an action, or set or read a state, of a device. Here nothing provides that, so the
set-up fails. Then the path is provided, without a value and with None as each answer, and the rule
is started again.
"""

import re
from collections.abc import Iterable, Mapping
from typing import Any, Final

from eshet.client import Client
from eshet.exceptions import EshetError

__all__ = ["ABSENT", "TAKEN", "StandIns"]

ABSENT: Final = re.compile(
    r"ErrorValue: (?P<request>(?P<verb>\w+) (?P<path>/\S*)): "
    r"(no_such_node|no_owner|path_not_found)$"
)
"""Matches the error of a request to a path that nothing provides."""

TAKEN: Final = re.compile(r"PathTaken: register \w+ (?P<path>\S+): ")
"""Matches the error of a registration of a path that is provided already."""


class StandIns:
    """Provides the paths that were missing in failed set-ups.

    Args:
        client: registers them.
    """

    def __init__(self, client: Client) -> None:
        self._client = client
        self.paths: Final[set[str]] = set()
        """The paths that are provided at present."""
        self.used: Final[set[tuple[str, str]]] = set()
        """The rules for which a path was provided, each with the path."""
        self._given_back: set[str] = set()

    async def provide(self, records: Iterable[Mapping[str, Any]]) -> set[str]:
        """Provide the missing nodes, and give back those that a rule provides itself.

        Args:
            records: the new messages of the log.

        Returns:
            The full names of the rules to start again.
        """
        again: set[str] = set()
        for record in records:
            rule, error = record.get("rule"), str(record.get("error") or "")
            if not isinstance(rule, str):
                continue
            if (absent := ABSENT.search(error)) is not None:
                if (rule, absent["path"]) not in self.used:
                    self.used.add((rule, absent["path"]))
                    await self._provide(absent["verb"], absent["path"])
                    again.add(rule)
            elif (taken := TAKEN.search(error)) is not None and taken["path"] in self.paths:
                self.paths.discard(taken["path"])
                self._given_back.add(taken["path"])
                await self._client.unregister(taken["path"])
                again.add(rule)
        return again

    async def _provide(self, verb: str, path: str) -> None:
        if path in self.paths or path in self._given_back:
            return
        try:
            if verb == "call":
                await self._client.action_register(path, _answer)
            else:
                await self._client.state_register(path, _answer)
        except EshetError:
            return  # a rule has provided it since, or something below it
        self.paths.add(path)


def _answer(*arguments: object) -> None:
    """Answer a call or a set."""
