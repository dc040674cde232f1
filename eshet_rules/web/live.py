"""Observes what open pages show: values, rules and records; each path once for all of them.

All pages together use a limited share of the event loop's time: with many pages, each gets fewer
messages.
"""

import asyncio
import contextlib
import functools
import itertools
from collections import deque
from collections.abc import AsyncIterator, Callable, Iterable
from typing import Any, Final

from eshet.clock import wall_clock, wall_stamp
from eshet.exceptions import Disconnected, EshetError
from eshet.unknown import Unknown
from eshet_rules.runner.view import RunnerView
from eshet_rules.supervision.report import RuleReport
from eshet_rules.web.plain import seen
from eshet_rules.web.rules import Rules
from eshet_rules.web.share import Share
from eshet_rules.web.trail import Trail
from eshet_rules.web.tree import Tree
from eshet_rules.web.visitor import INTERVAL, Shown, Visitor

__all__ = ["Live"]

_MOST_WAITING: Final = 10_000
"""Maximum number of records that wait to be compared with the filters of the pages."""

_GATHER: Final = 0.05
"""Seconds between two comparisons of new records with the filters."""

_LOOK_EVERY: Final = 0.5
"""Seconds between two checks of the rules and of the problems."""

_LOOK_FOR_NODES: Final = 10
"""How many of these checks are between two for watched paths that did not exist."""


class Live:
    """Observes what the visitors look at, each path once.

    Args:
        view: the runner.
        tree: the nodes of its server.
        rules: describes rules.
        trail: describes records.
    """

    def __init__(self, view: RunnerView, tree: Tree, rules: Rules, trail: Trail) -> None:
        self._view = view
        self._tree = tree
        self._rules = rules
        self._trail = trail
        self._visitors: set[Visitor] = set()
        self.visited: Final = asyncio.Event()
        """Set while somebody looks at the page."""
        self._watchers: dict[str, set[Visitor]] = {}
        self.share: Final = Share()
        """What all pages use of the event loop's time."""
        self._values: dict[str, Shown] = {}  # the last ones of observed paths
        self._observed: dict[str, Callable[[Any], None]] = {}
        self._kinds: dict[str, str] = {}
        self._wanted_changed: Final = asyncio.Event()
        self._reports: list[RuleReport] = []
        self._problems: object = None
        self._records: deque[Any] = deque()  # new ones
        self._lost = 0  # how many more there were
        self._has_records: Final = asyncio.Event()
        self._was_connected = view.client.connected
        self._clock = wall_clock()

    async def run(self) -> None:
        """Observe until this is cancelled."""
        recorder = self._view.recorder
        watched = contextlib.nullcontext() if recorder is None else recorder.watched(self._record)
        try:
            with watched:
                async with asyncio.TaskGroup() as tasks:
                    tasks.create_task(self._observe_wanted())
                    tasks.create_task(self._look())
                    tasks.create_task(self._distribute())
        finally:
            self._observed.clear()

    @contextlib.asynccontextmanager
    async def visiting(self) -> AsyncIterator[Visitor]:
        """Return a new visitor, for an `async with` statement."""
        visitor = Visitor(self)
        if not self._visitors:
            self._reports = self._view.reloader.reports()
            self._problems = self._problems_now()
        self._visitors.add(visitor)
        self.visited.set()
        try:
            yield visitor
        finally:
            self._visitors.discard(visitor)
            if not self._visitors:
                self.visited.clear()
            before, visitor.paths = visitor.paths, frozenset()
            self.watch(visitor, before)

    def hello(self) -> dict[str, Any]:
        """Return the first message to a page."""
        hello = {"runner": self._view.name, "interval": INTERVAL}
        return {"hello": hello, "connected": self._view.client.connected}

    def watch(self, visitor: Visitor, before: frozenset[str]) -> None:
        """Observe the paths of a visitor, and no longer its earlier ones.

        Args:
            visitor: the visitor.
            before: its earlier paths.
        """
        for path in before - visitor.paths:
            self._watchers[path].discard(visitor)
            if not self._watchers[path]:
                del self._watchers[path]
        for path in visitor.paths - before:
            self._watchers.setdefault(path, set()).add(visitor)
        for path in visitor.paths & self._values.keys():
            visitor.set_value(path, self._values[path])
        if visitor.paths != before:
            self._wanted_changed.set()

    def plain_rules(self, reports: Iterable[RuleReport]) -> list[dict[str, Any]]:
        """Return reports as plain data."""
        return self._rules.changed(list(reports))

    def plain_record(self, record: Any) -> dict[str, Any]:
        """Return a record as plain data."""
        return self._trail.plain(record)

    # --- values -------------------------------------------------------------------------------

    async def _observe_wanted(self) -> None:
        """Observe exactly the paths that a visitor watches and that exist."""
        while True:
            await self._wanted_changed.wait()
            self._wanted_changed.clear()
            try:
                await self._observe()
            except EshetError:  # without a connection: the page asks again when it is back
                await asyncio.sleep(_LOOK_EVERY)
                self._wanted_changed.set()

    async def _observe(self) -> None:
        client = self._view.client
        for path in [each for each in self._observed if each not in self._watchers]:
            callback = self._observed.pop(path)
            self._values.pop(path, None)
            if self._kinds[path] == "state":
                await client.unobserve(path, callback)
            else:
                await client.unlisten(path, callback)
        nodes = await self._tree.nodes()
        for path in [each for each in self._watchers if each not in self._observed]:
            node = nodes.get(path)
            if node is None or node.kind not in ("state", "event"):
                continue
            callback = functools.partial(self._on_value, path)
            self._observed[path], self._kinds[path] = callback, node.kind
            try:
                if node.kind == "state":
                    value = await client.state_observe(path, callback)
                    self._show(path, value, self._since(path, value))
                else:
                    await client.event_listen_cb(path, callback)
            except Disconnected:
                del self._observed[path]
                raise
            except EshetError:  # of this path only: it is tried again with those that don't exist
                del self._observed[path]
            except BaseException:
                del self._observed[path]
                raise

    def _on_value(self, path: str, value: Any) -> None:
        self._show(path, value, wall_stamp(self._clock))

    def _since(self, path: str, value: Any) -> str | None:
        """Return since when a state has a value, if a rule has received it; else None."""
        recorder = self._view.recorder
        record = None if recorder is None else recorder.last.inputs.get(path)
        if recorder is None or record is None:
            return None
        shown = seen(path, Unknown if record.unknown else record.value, self._view.redaction)
        is_shown = shown == seen(path, value, self._view.redaction)
        return recorder.last.since(path) if is_shown else None

    def _show(self, path: str, value: Any, since: str | None) -> None:
        if path not in self._watchers:
            return
        shown = Shown(path, value, since, self._view.redaction)
        self._values[path] = shown
        for visitor in self._watchers[path]:
            visitor.set_value(path, shown)

    # --- rules, problems and records --------------------------------------------------------------

    async def _look(self) -> None:
        for number in itertools.count(1):
            await asyncio.sleep(_LOOK_EVERY)
            if number % _LOOK_FOR_NODES == 0 and self._watchers.keys() - self._observed.keys():
                self._wanted_changed.set()
            connected = self._view.client.connected
            if connected != self._was_connected:
                self._was_connected = connected
                for visitor in self._visitors:
                    visitor.set_connected(connected)
            if self._visitors:
                self._look_at_rules()
                problems = self._problems_now()
                if problems != self._problems:
                    self._problems = problems
                    self._note_change("overview")

    def _look_at_rules(self) -> None:
        reports = self._view.reloader.reports()
        if reports is self._reports:
            return
        before = {each.rule: each for each in self._reports}
        changed: dict[str, RuleReport | None] = {
            each.rule: each for each in reports if before.get(each.rule) != each
        }
        names = {each.rule for each in reports}
        changed |= {name: None for name in before if name not in names}
        self._reports = reports
        for visitor in self._visitors:
            for name, report in changed.items():
                visitor.set_rule(name, report)
        if changed:
            self._note_change("overview")

    def _problems_now(self) -> object:
        """Return what the overview shows besides the rules, to be compared."""
        view = self._view
        return (
            dict(view.reloader.broken),
            dict(view.control.rolled_back),
            dict(view.control.waiting),
            view.bridges(),
        )

    def _note_change(self, what: str) -> None:
        for visitor in self._visitors:
            visitor.add_change(what)

    def _record(self, record: Any) -> None:
        """Keep a record for the pages: it is compared with their filters later.

        This is called while a rule waits, so it does no more than that.
        """
        if not self._visitors:
            return
        if len(self._records) < _MOST_WAITING:
            self._records.append(record)
        else:
            self._lost += 1
        self._has_records.set()

    async def _distribute(self) -> None:
        """Pass new records to the visitors that follow the trail."""
        while True:
            await self._has_records.wait()
            self._has_records.clear()
            records, lost = list(self._records), self._lost
            self._records.clear()
            self._lost = 0
            for visitor in list(self._visitors):
                if visitor.following is not None:
                    await self.share.run(functools.partial(visitor.add_records, records, lost))
            await asyncio.sleep(_GATHER)
