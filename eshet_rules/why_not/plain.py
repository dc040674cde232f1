"""Conditions as plain data for a message, with the times of their values."""

from collections.abc import Callable, Mapping
from datetime import UTC, datetime
from itertools import islice
from typing import Any, Final

from eshet import codec
from eshet.clock import wall_time
from eshet.reactive.conditions import Condition, Kind
from eshet.reactive.time.nodes import operator_state_of
from eshet.text import encodable, shorten
from eshet_rules.audit.last_records import LastRecords
from eshet_rules.audit.redaction import REDACTED, Redaction

__all__ = ["Behind", "PlainConditions", "within"]

_LONGEST: Final = 200
"""Maximum length of a text, in characters."""

_DEEPEST: Final = 40
"""Maximum number of conditions within each other: a message is not nested deeper."""

_MOST_COMING: Final = 20

_MOST: Final = 300
"""Maximum number of conditions in an answer."""

Behind = Callable[[Condition, int, int], list[dict[str, Any]]]
"""Returns the answers of the rules that write the path of a condition, at a smaller depth; given
the depth, and the level of the condition."""


class PlainConditions:
    """Converts conditions to plain data.

    Args:
        now: the time of the loop.
        last: the last inputs, for the times of values.
        redaction: removes secrets.
        behind: see `Behind`.
        stopped: returns the rules that do not run and may provide a path: the name, the state, the
            reason, and the time of the next start.
    """

    def __init__(
        self,
        now: float,
        last: LastRecords,
        redaction: Redaction,
        behind: Behind,
        stopped: Callable[[str], list[list[str]]],
    ) -> None:
        self._now: Final = now
        self._epoch: Final = wall_time() - now
        self._last = last
        self._redaction = redaction
        self._behind = behind
        self._stopped = stopped
        self._left = _MOST

    def begin(self) -> None:
        """Begin another answer."""
        self._left = _MOST

    def stamp(self, at: float | None) -> str:
        """Return a time of the loop in UTC as ISO 8601; empty for None."""
        if at is None:
            return ""
        try:
            moment = datetime.fromtimestamp(self._epoch + at, UTC)
        except (ValueError, OverflowError, OSError):
            return ""
        return moment.isoformat(timespec="milliseconds").replace("+00:00", "Z")

    def text(self, text: str, path: str = "") -> str:
        """Return a text about a path that can be sent and has no secrets."""
        if path and self._redaction.hides(path):
            return REDACTED
        return encodable(shorten(self._redaction.text(text), _LONGEST))

    def plain(self, condition: Condition, depth: int, level: int = 0) -> dict[str, Any]:
        """Return a condition as plain data.

        Args:
            condition: the condition.
            depth: the maximum number of rules one after another.
            level: how many conditions this one is within.

        Returns:
            `kind`, `name`, `value`, `needs` and `holds`; and where they apply: `detail`; `until`, a
            time; `in_s` and `wait_s`, numbers of seconds; `times`, `change`; `since`, the time of
            the value, or of the last emission, whose payload is `last`; `holds_until`, when time
            alone will end it; `parts`; `behind`, answers about the rules that write the path;
            `stopped`, rules that do not run and may write it; `possible`, False for what is out of
            reach; `cut`, True where parts are left out.
        """
        name = condition.name
        path = name if name.startswith("/") else ""
        found: dict[str, Any] = {
            "kind": str(condition.kind),
            "name": encodable(shorten(name, _LONGEST)),
            "value": self.text(condition.value, path) if condition.value else "",
            "needs": self.text(condition.need.text, path),
            "holds": condition.holds,
        }
        if condition.detail:
            found["detail"] = self.text(condition.detail)
        if condition.until is not None:
            found["until"] = self.stamp(condition.until)
            found["in_s"] = round(condition.until - self._now, 3)
        facts: tuple[tuple[str, object, object], ...] = (
            ("wait_s", condition.wait, 0.0),
            ("times", condition.times, 1),
            ("change", _has_it_already(condition), False),
            ("possible", condition.is_possible, True),
        )
        found |= {key: fact for key, fact, default in facts if fact != default}
        if path and condition.kind in (Kind.VALUE, Kind.EVENT):
            found |= self._history(path, condition)
            if not condition.holds and (stopped := self._stopped(path)):
                found["stopped"] = stopped
        if condition.holds and (end := self._end(condition)) is not None:
            found["holds_until"] = self.stamp(end)
        self._left -= 1
        if level >= _DEEPEST or self._left <= len(condition.parts):
            found["cut"] = bool(condition.parts)
            return found
        if condition.parts:
            found["parts"] = [self.plain(each, depth, level + 1) for each in condition.parts]
        if path and not condition.holds and (behind := self._behind(condition, depth, level + 2)):
            found["behind"] = behind
        return found

    def _end(self, condition: Condition) -> float | None:
        """Return the loop time at which time alone ends a condition that holds; None if never."""
        state = None if condition.node is None else operator_state_of(condition.node)
        coming = () if state is None else islice(state.coming(self._now), _MOST_COMING)
        return next((at for at, output in coming if not condition.need.is_met(output)), None)

    def _history(self, path: str, condition: Condition) -> dict[str, Any]:
        record, since = self._last.inputs.get(path), self._last.since(path)
        if record is None or since is None:
            return {}
        history: dict[str, Any] = {"since": since}
        if condition.kind is Kind.EVENT:
            history["last"] = self.text("unknown" if record.unknown else repr(record.value), path)
        return history


def _has_it_already(condition: Condition) -> bool:
    """Whether a Value has to change although it has such a value."""
    node = condition.node
    return condition.has_to_change and node is not None and condition.need.is_met(node.value)


def within(
    longest: int, depths: range, answer: Callable[[int], Mapping[str, Any]]
) -> Mapping[str, Any]:
    """Return the deepest answer that fits into a message; without its conditions if none does.

    Args:
        longest: maximum size, in bytes.
        depths: from the greatest depth down.
        answer: returns the answer of a depth.
    """
    found: Mapping[str, Any] = {}
    for depth in depths:
        found = answer(depth)
        if len(codec.pack(found)) <= longest:
            return found
    rules = [{**rule, "condition": None, "is_cut": True} for rule in found["rules"]]
    return {**found, "rules": rules}
