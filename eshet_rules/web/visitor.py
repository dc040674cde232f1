"""A page that is open in a browser, and the messages to it: at most ten a second.

The newest value of each path waits until the last message was written, so a slow browser gets fewer
values, never a queue of old ones.
"""

import asyncio
import functools
from collections.abc import Iterable, Mapping, Sequence
from functools import cached_property
from typing import Any, Final, Protocol

from eshet.gateway.json_values import dumps, loads
from eshet_rules.audit.query import Filter
from eshet_rules.audit.redaction import Redaction
from eshet_rules.supervision.report import RuleReport
from eshet_rules.web.endpoints import LONGEST_GLOB, unknown_names
from eshet_rules.web.plain import seen
from eshet_rules.web.share import Share

__all__ = ["HIDDEN_INTERVAL", "INTERVAL", "MOST_PATHS", "Observing", "Send", "Shown", "Visitor"]

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


class Send(Protocol):
    """Sends a message, and returns when it was written."""

    async def __call__(self, message: str, /) -> None:
        """Send a message: a text of JSON."""


class Observing(Protocol):
    """What a visitor needs of `eshet_rules.web.live.Live`."""

    @property
    def share(self) -> Share:
        """What all pages use of the event loop's time."""

    def hello(self) -> dict[str, Any]:
        """Return the first message to a page."""

    def watch(self, visitor: "Visitor", before: frozenset[str]) -> None:
        """Observe the paths of a visitor, and no longer its earlier ones."""

    def plain_rules(self, reports: Iterable[RuleReport]) -> list[dict[str, Any]]:
        """Return reports as plain data."""

    def plain_record(self, record: Any) -> dict[str, Any]:
        """Return a record as plain data."""


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
        live: observes for it.
    """

    def __init__(self, live: "Observing") -> None:
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
