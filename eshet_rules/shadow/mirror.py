"""Shows the nodes of a server on another one, where they can be set and called without effect.

Values, events and results of gets come from the server of the house. A set, and a call of an
action, are accepted and go no further. Nodes of rules come last: the rules beside the mirror have
registered their own by then.
"""

import asyncio
import contextlib
import functools
from collections.abc import Callable
from typing import Any, Final

from structlog.typing import FilteringBoundLogger

from eshet.bridges.server_connection import connections
from eshet.client import Client, Subscription
from eshet.client.server_tree import list_nodes
from eshet.exceptions import Disconnected, EshetError, PathTaken
from eshet.unknown import Unknown
from eshet_rules.audit.records.replays import ShadowIncomplete
from eshet_rules.audit.records.schema import emit

__all__ = ["RULES", "Mirror"]

RULES: Final = "eshet-rules/"
"""The beginning of the ids of clients of rules; see `eshet_rules.runner.main`."""

_LEFT_OUT: Final = ("/meta/", "/eshet_rules/")
"""Directories of the server and of runners."""

_LOOK_AFTER: Final = 0.5
"""Seconds from a change of nodes until they are listed again: many changes come together."""

_LOOK_EVERY: Final = 10.0
"""Interval in seconds of lists without a known change.

A node that is removed while it is observed stays, without an owner; its removal is not a change.
"""

_RULES_AFTER: Final = 3.0
"""Seconds after the start in which the rules beside the mirror register their nodes."""


class Mirror:
    """Copies all nodes of one server to another one, and keeps them up to date.

    Args:
        house: a client of the server with the nodes.
        shadow: a client of the other server, on which it owns the copies.
        log: receives the paths that can't be copied.
    """

    def __init__(self, house: Client, shadow: Client, log: FilteringBoundLogger) -> None:
        self._log = log
        self.ready: Final = asyncio.Event()
        """Set when the nodes that were there at the start are copied, with their values."""
        self._house = house
        self._shadow = shadow
        self._outdated = asyncio.Event()
        self._includes_rules = False
        self._copied: dict[str, str] = {}  # the kinds of nodes, by path
        self._listened: dict[str, Subscription] = {}  # to events without an owner, by path
        self._sending: set[asyncio.Future[Any]] = set()

    async def run(self) -> None:
        """Copy nodes until this is cancelled, also after outages of the server."""
        for client in (self._house, self._shadow):
            await client.event_listen_cb("/meta/changed", lambda _: self._outdated.set())
        following = asyncio.create_task(self._follow_connections())
        loop = asyncio.get_running_loop()
        loop.call_later(_RULES_AFTER, self._include_rules)
        try:
            while True:
                with contextlib.suppress(TimeoutError):
                    async with asyncio.timeout(_LOOK_EVERY):
                        await self._outdated.wait()
                self._outdated.clear()
                try:
                    await self._copy()
                except Disconnected:
                    continue  # the next connection makes it outdated again
                except EshetError as error:
                    emit(self._log, ShadowIncomplete(path="/", error=str(error)))
                self.ready.set()
                await asyncio.sleep(_LOOK_AFTER)
        finally:
            following.cancel()

    async def _follow_connections(self) -> None:
        async for _ in connections(self._house):
            self._outdated.set()

    def _include_rules(self) -> None:
        self._includes_rules = True
        self._outdated.set()

    async def _copy(self) -> None:
        found = {
            path: kind
            async for path, kind, owner in list_nodes(self._house)
            if not path.startswith(_LEFT_OUT) and self._is_wanted(owner)
        }
        for path, kind in list(self._copied.items()):
            if found.get(path) != kind:
                await self._remove(path)
        for path, kind in found.items():
            if path not in self._copied:
                await self._add(path, kind)
        await self._follow_listened()

    async def _follow_listened(self) -> None:
        """Pass on events that rules listen to and no client has registered."""
        listened = {
            path
            async for path, kind, owner in list_nodes(self._shadow)
            if kind == "event" and owner is None and not path.startswith(_LEFT_OUT)
        }
        for path in self._listened.keys() - listened:
            self._listened.pop(path).dispose()
        for path in sorted(listened - self._listened.keys()):
            emit = functools.partial(self._shadow.event_emit, path)
            self._listened[path] = await self._house.event_listen_cb(path, self._later(emit))

    def _is_wanted(self, owner: object) -> bool:
        if owner is None:
            return False  # it is only observed, maybe by this mirror
        is_of_rules = isinstance(owner, str) and owner.startswith(RULES)
        return self._includes_rules or not is_of_rules

    async def _add(self, path: str, kind: str) -> None:
        register = {
            "state": self._add_state,
            "event": self._add_event,
            "action": self._add_action,
            "prop": self._add_property,
        }.get(kind)
        if register is None:
            return
        self._copied[path] = kind
        try:
            await register(path)
        except PathTaken:
            del self._copied[path]  # a rule has it
        except EshetError as error:
            del self._copied[path]
            emit(self._log, ShadowIncomplete(path=path, error=str(error)))

    async def _remove(self, path: str) -> None:
        kind = self._copied.pop(path)
        if kind == "state":
            await self._house.unobserve(path)
        elif kind == "event":
            await self._house.unlisten(path)
        await self._shadow.unregister(path)

    async def _add_state(self, path: str) -> None:
        await self._shadow.state_register(path, _accept)
        show = functools.partial(self._shadow.state_changed, path)
        value = await self._house.state_observe(path, self._later(show))
        if value is not Unknown:
            await show(value)

    async def _add_event(self, path: str) -> None:
        emit = await self._shadow.event_register(path)
        if path in self._listened:
            self._listened.pop(path).dispose()
        await self._house.event_listen_cb(path, self._later(emit))

    async def _add_action(self, path: str) -> None:
        await self._shadow.action_register(path, _accept)

    async def _add_property(self, path: str) -> None:
        get = functools.partial(self._house.get, path)
        await self._shadow.prop_register(path, get, _accept)

    def _later(self, send: Callable[[Any], Any]) -> Callable[[Any], None]:
        """Return a callback that sends its argument, in the order of the calls."""

        def callback(value: Any) -> None:
            task = asyncio.ensure_future(send(value))
            self._sending.add(task)
            task.add_done_callback(self._on_sent)

        return callback

    def _on_sent(self, task: asyncio.Future[Any]) -> None:
        self._sending.discard(task)
        if not task.cancelled():
            task.exception()  # it comes with the loss of the connection, which is logged


def _accept(*_: object) -> None:
    """Accept a set or a call."""
