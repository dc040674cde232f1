"""Sends changes to the page: of values, rules and records, at most ten messages a second.

The newest value of each path waits until the last message was written, so a slow browser gets fewer
values, never a queue of old ones. All pages together use a limited share of the event loop's time:
with many pages, each gets fewer messages.
"""

import asyncio
import contextlib
import functools
import itertools
from collections import deque
from collections.abc import AsyncIterator, Callable, Iterable, Mapping, Sequence
from functools import cached_property
from typing import Any, Final, Protocol

from eshet.clock import wall_clock, wall_stamp
from eshet.exceptions import Disconnected, EshetError
from eshet.gateway.json_values import dumps, loads
from eshet.unknown import Unknown
from eshet_rules.audit.query import Filter
from eshet_rules.audit.redaction import Redaction
from eshet_rules.runner.view import RunnerView
from eshet_rules.supervision.report import RuleReport
from eshet_rules.web.endpoints import LONGEST_GLOB, unknown_names
from eshet_rules.web.plain import seen
from eshet_rules.web.rules import Rules
from eshet_rules.web.share import Share
from eshet_rules.web.trail import Trail
from eshet_rules.web.tree import Tree

__all__ = ["INTERVAL", "MOST_PATHS", "Live", "Send", "Visitor"]

INTERVAL: Final = 0.1
"""Seconds between two messages to a page."""

HIDDEN_INTERVAL: Final = 0.25
"""The same for a page in a hidden tab."""

MOST_PATHS: Final = 2000
"""Maximum number of paths that a page watches."""

_KEYS: Final = ("watch", "trail", "hidden")
"""What a message of a page may have."""

_MOST_RECORDS: Final = 100
"""Maximum number of records in a message."""

_MOST_TEXT: Final = 1 << 18
"""Length of a message after which further values wait for the next one, in characters."""

_MOST_WAITING: Final = 10_000
"""Maximum number of records that wait to be compared with the filters of the pages."""

_GATHER: Final = 0.05
"""Seconds between two comparisons of new records with the filters."""

_LOOK_EVERY: Final = 0.5
"""Seconds between two checks of the rules and of the problems."""

_LOOK_FOR_NODES: Final = 10
"""How many of these checks are between two for watched paths that did not exist."""


class Send(Protocol):
    """Sends a message, and returns when it was written."""

    async def __call__(self, message: str, /) -> None:
        """Send a message: a text of JSON."""


class Shown:
    """A value as pages show it; made when it is first sent, and then the same for all pages.

    Args:
        path: of the value.
        value: the value; it may be Unknown.
        time: since when, in the format of records; None if that is not known.
        redaction: removes secrets.
    """

    def __init__(self, path: str, value: Any, time: str | None, redaction: Redaction) -> None:
        self._path = path
        self._value = value
        self._time = time
        self._redaction = redaction

    @cached_property
    def text(self) -> str:
        """The path, and a list of the value, whether it is known, and the time, as JSON."""
        plain, known = seen(self._path, self._value, self._redaction)
        return f"{dumps(self._path)}:{dumps([plain, known, self._time])}"


class Visitor:
    """A page that is open in a browser, and what it has not been told yet.

    Args:
        live: knows the values.
    """

    def __init__(self, live: "Live") -> None:
        self._live = live
        self._wake: Final = asyncio.Event()
        self._interval = INTERVAL
        self.paths: frozenset[str] = frozenset()
        """The paths that the page shows."""
        self.following: Filter | None = None
        """Selects the records that the page shows; None for none."""
        self._values: dict[str, Shown] = {}
        self._rules: dict[str, RuleReport | None] = {}
        self._records: list[Any] = []
        self._skipped = 0
        self._changed: set[str] = set()
        self._connected: bool | None = None

    async def run(self, send: Send) -> None:
        """Send changes until this is cancelled, or `send` raises."""
        await send(dumps(self._live.hello()))
        while True:
            await self._wake.wait()
            self._wake.clear()
            message = await self._live.share.run(self._take)
            if message:
                await send(message)
                await asyncio.sleep(self._interval)

    async def receive(self, text: str) -> None:
        """Process a message of the page: `watch`, `trail` and `hidden`, each of them optional.

        Raises:
            ValueError: it is not such a message.
        """
        await self._live.share.run(functools.partial(self._receive, text))

    def _receive(self, text: str) -> None:
        message = loads(text)
        if not isinstance(message, dict):
            raise ValueError("a message is an object")  # noqa: TRY004 - it came from outside
        if problem := unknown_names(message, _KEYS):
            raise ValueError(problem)
        if "hidden" in message:
            self._interval = HIDDEN_INTERVAL if message["hidden"] else INTERVAL
        if "watch" in message:
            paths = message["watch"]
            if not isinstance(paths, list) or not all(isinstance(each, str) for each in paths):
                raise ValueError("watch is a list of paths")
            if len(paths) > MOST_PATHS:
                raise ValueError(f"watch has {len(paths)} paths, at most {MOST_PATHS} are watched")
            before, self.paths = self.paths, frozenset(paths)
            self._values = {p: v for p, v in self._values.items() if p in self.paths}
            self._live.watch(self, before)
        if "trail" in message:
            self.following = _filter_of(message["trail"])

    # --- what is new --------------------------------------------------------------------------

    def set_value(self, path: str, value: Shown) -> None:
        """Send a value."""
        self._values[path] = value
        self._wake.set()

    def set_rule(self, name: str, report: RuleReport | None) -> None:
        """Send the report on a rule; None if the rule is gone."""
        self._rules[name] = report
        self._wake.set()

    def add_records(self, records: Sequence[Any], lost: int = 0) -> None:
        """Send the records that match, if the page follows the trail.

        Args:
            records: new ones.
            lost: how many more there were, which may have matched.
        """
        wanted = self.following
        if wanted is None:
            return
        found = [each for each in records if wanted.matches(_Fields(each))]  # type: ignore[arg-type]
        room = _MOST_RECORDS - len(self._records)
        self._records += found[:room]
        self._skipped += len(found[room:]) + lost
        if found or lost:
            self._wake.set()

    def add_change(self, what: str) -> None:
        """Send that a view has changed, such as `"overview"`."""
        self._changed.add(what)
        self._wake.set()

    def set_connected(self, connected: bool) -> None:
        """Send whether the runner is connected to its server."""
        self._connected = connected
        self._wake.set()

    def _take(self) -> str:
        """Return a message with what is new, as JSON; empty if nothing is."""
        message: dict[str, Any] = {}
        if self._rules:
            rules, self._rules = self._rules, {}
            message["rules"] = self._live.plain_rules(each for each in rules.values() if each)
            message["gone"] = [name for name, each in rules.items() if each is None]
        if self._records:
            records, self._records = self._records, []
            message["records"] = [self._live.plain_record(each) for each in records]
        if self._skipped:
            message["skipped"], self._skipped = self._skipped, 0
        if self._changed:
            message["changed"], self._changed = sorted(self._changed), set()
        if self._connected is not None:
            message["connected"], self._connected = self._connected, None
        parts = [f"{dumps(name)}:{dumps(each)}" for name, each in message.items()]
        if self._values:
            parts.append(f'"values":{{{",".join(self._take_values())}}}')
        return f"{{{','.join(parts)}}}" if parts else ""

    def _take_values(self) -> list[str]:
        """Return the texts of the values that wait; of very long ones, only the first."""
        texts: list[str] = []
        length = 0
        for path in list(self._values):
            texts.append(self._values.pop(path).text)
            length += len(texts[-1])
            if length >= _MOST_TEXT:
                break
        if self._values:
            self._wake.set()
        return texts


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
        if record is None:
            return None
        shown = seen(path, Unknown if record.unknown else record.value, self._view.redaction)
        return str(record.time) if shown == seen(path, value, self._view.redaction) else None

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


class _Fields:
    """The fields of a record, of the schema or a mapping, for a `Filter`."""

    __slots__ = ("_record",)

    def __init__(self, record: Any) -> None:
        self._record = record

    def get(self, name: str, default: Any = None) -> Any:
        if isinstance(self._record, Mapping):
            return self._record.get(name, default)
        return getattr(self._record, name, default)

    def __getitem__(self, name: str) -> Any:
        return self.get(name)

    def __contains__(self, name: str) -> bool:
        return isinstance(self._record, Mapping) and name in self._record


def _filter_of(wanted: Any) -> Filter | None:
    """Return the filter that a page sends.

    Raises:
        ValueError: it is none.
    """
    if wanted is None:
        return None
    names = ("rule", "path", "event", "cause")
    if not isinstance(wanted, dict) or not all(isinstance(each, str) for each in wanted.values()):
        raise ValueError(f"trail is null, or an object with texts for {', '.join(names)}")
    if problem := unknown_names(wanted, names):
        raise ValueError(problem)
    if any(len(each) > LONGEST_GLOB for each in wanted.values()):
        raise ValueError(f"a text of trail has at most {LONGEST_GLOB} characters")
    return Filter(**{name: wanted[name] for name in names if wanted.get(name)})
