"""Answers what would have to change for a path to have another value, from the running rules."""

import asyncio
from collections.abc import Callable, Iterable, Mapping, Sequence
from typing import Any, Final

from eshet import codec
from eshet.reactive.conditions import Condition, Need, conditions_for, equal, need_for_another
from eshet.reactive.core.apply import call_of
from eshet.reactive.core.graph import EventNode, Node
from eshet.reactive.core.markers import NoValue, is_absent
from eshet.text import encodable, safe_repr, shorten
from eshet.unknown import Unknown
from eshet_rules.audit.last_records import LastRecords
from eshet_rules.audit.redaction import Redaction
from eshet_rules.reload.module_instance import ModuleInstance
from eshet_rules.supervision.report import RuleReport
from eshet_rules.supervision.status import RuleState
from eshet_rules.why_not.driving import DriverOrder
from eshet_rules.why_not.plain import PlainConditions, within
from eshet_rules.why_not.writers import Writer, Writers, rules_that_name

__all__ = ["Answering"]

_LONGEST: Final = 48_000
"""Maximum size of an answer, in bytes, which has to fit into one message."""

_MOST_RULES: Final = 50
"""Maximum number of rules in a list."""

_LONGEST_VALUE: Final = 100

_LONGEST_WANTED: Final = 2000
"""Maximum size of the wanted value in an answer, in bytes."""

_LONG_WAIT: Final = 1.0
"""For how many seconds an input has to wait until that is named."""


class Answering:
    """Answers questions about paths, as plain data.

    Args:
        instances: returns the running instances.
        reports: returns the reports on all rules.
        last: the last records; None if nothing is recorded.
        redaction: removes secrets.
        broken: returns the errors of modules that can't be loaded, by module.
        source_of: returns the source of a module; empty if it has none.
        drive_of: returns the report on a path with drivers, and else None.
    """

    def __init__(
        self,
        instances: Callable[[], Iterable[ModuleInstance]],
        reports: Callable[[], Sequence[RuleReport]],
        last: LastRecords | None,
        redaction: Redaction | None = None,
        broken: Callable[[], Mapping[str, str]] = dict,
        source_of: Callable[[str], bytes] = lambda module: b"",
        drive_of: Callable[[str], Mapping[str, Any] | None] = lambda path: None,
    ) -> None:
        self._instances = instances
        self._reports = reports
        self._last = last
        self._redaction = redaction or Redaction()
        self._broken = broken
        self._source_of = source_of
        self._drive_of = drive_of

    def why_not(self, path: Any, wanted: Any = (), depth: Any = 5) -> dict[str, Any]:
        """Return what would have to change for a path to have another value.

        Args:
            path: the path.
            wanted: a list with the wanted value; empty for another one than it has.
            depth: the maximum number of rules one after another.

        Returns:
            `rules`: an answer for each sink that writes the path; `others`: other rules that write
            it, in their own code; `stopped`: rules that do not run and may write it; `readers`;
            `broken`: errors of modules that name the path and can't be loaded. Each rule has its
            name, its state and the reason for it; a stopped one also the time of its next start.
            A sink that drives the path has `opinion`, whether it wants anything; `ahead`, who
            decides before it and until when, or None; and `withdrawal`, the condition under which
            it has no opinion, so that another driver decides, or None.
            `drive`: the report on a path with drivers, and else None. `is_secret`: whether the
            values of the path are redacted.
        """
        values = list(wanted) if isinstance(wanted, list | tuple) else []
        drive = self._drive_of(str(path))
        asked = _Asked(
            str(path),
            values[:1],
            list(self._instances()),
            self._reports(),
            self._last,
            self._redaction,
            DriverOrder(drive),
        )
        deepest = min(int(depth), 20) if isinstance(depth, int) else 5
        rules = within(_LONGEST, range(max(0, deepest), -1, -1), asked.answer)
        return {
            **rules,
            **self._about(asked),
            "drive": drive,
            "is_secret": self._redaction.hides(asked.path),
            "is_recording": self._last is not None,
        }

    def _about(self, asked: "_Asked") -> dict[str, Any]:
        path = asked.path
        reports = asked.reports
        with_sinks = {each.rule for each in asked.writers}
        return {
            "others": [
                _rule(each)
                for each in reports
                if path in each.writes and each.rule not in with_sinks
            ][:_MOST_RULES],
            "readers": [_rule(each) for each in reports if path in each.reads][:_MOST_RULES],
            "stopped": asked.stopped(path),
            "broken": {
                encodable(shorten(module, 200)): encodable(
                    shorten(self._redaction.text(problem), 500)
                )
                for module, problem in list(self._broken().items())[:_MOST_RULES]
                if path.encode() in self._source_of(module)
            },
        }


class _Asked:
    """One question, and what is known for it.

    Args:
        path: the path.
        wanted: a list with the wanted value; empty for another one than it has.
        instances: the running instances.
        reports: on all rules.
        last: the last records.
        redaction: removes secrets.
        drivers: those of the path.
    """

    def __init__(
        self,
        path: str,
        wanted: Sequence[Any],
        instances: Sequence[ModuleInstance],
        reports: Sequence[RuleReport],
        last: LastRecords | None,
        redaction: Redaction,
        drivers: DriverOrder,
    ) -> None:
        self.path: Final = path
        self.instances: Final = instances
        self.reports: Final = reports
        self._writers = Writers(instances)
        self._drivers = drivers
        self.writers: Final = sorted(
            self._writers.of(path), key=lambda each: self._drivers.rank(each.rule)
        )
        self._wanted = wanted
        self._now = asyncio.get_running_loop().time()
        self._last = last or LastRecords()
        self._plain = PlainConditions(self._now, self._last, redaction, self._behind, self.stopped)
        self._answered: set[tuple[str, str]] = set()

    def answer(self, depth: int) -> dict[str, Any]:
        """Return the answers for all sinks that write the path."""
        self._answered = {(self.path, "")}
        self._plain.begin()
        return {
            "path": self.path,
            "wanted": [_short(each) for each in self._wanted],
            "now": self._plain.stamp(self._now),
            "rules": [
                {**self._of(each, self._need(each), depth), **self._driving(each, depth)}
                for each in self.writers[:_MOST_RULES]
            ],
        }

    def why(self, report: RuleReport) -> str:
        """Return why a rule does not run."""
        return self._plain.text(report.status.why or report.status.last_error or "")

    def next_start(self, rule: str) -> str:
        """Return the time at which a rule is started again; empty if none is known."""
        supervised = (each for instance in self.instances for each in instance.supervised)
        return next(
            (self._plain.stamp(each.next_start) for each in supervised if each.name == rule), ""
        )

    def stopped(self, path: str) -> list[list[str]]:
        """Return the rules that do not run, and have written a path or name it.

        Each has its name, its state, the reason, and the time of its next start or an empty text.
        """
        idle = [each for each in self.reports if each.status.state is not RuleState.RUNNING]
        if not idle:
            return []
        made = self._last.outputs.get(path)
        naming = rules_that_name(self.instances, path)
        naming |= {made.rule} if made is not None and made.rule is not None else set()
        found = [each for each in idle if each.rule in naming]
        return [[*_rule(each)[:2], self.why(each), self.next_start(each.rule)] for each in found][
            :_MOST_RULES
        ]

    def _need(self, writer: Writer) -> Need:
        if not self._wanted and writer.sink.function == "drive":
            return need_for_another(writer.node, self._drivers.shown)
        if not self._wanted:
            return need_for_another(writer.node)
        return _need_of_sink(writer, self._wanted[0])

    def _of(self, writer: Writer, need: Need, depth: int, level: int = 0) -> dict[str, Any]:
        node, sink = writer.node, writer.sink
        condition = conditions_for(node, need, self._now)
        report = next(each for each in self.reports if each.rule == writer.rule)
        return {
            **dict(zip(("rule", "state", "why"), _rule(report), strict=True)),
            "function": sink.function,
            "place": sink.place,
            "value": "" if isinstance(node, EventNode) else self._value(node.value),
            "last": [self._value(each) for each in sink.last],
            "needs": self._plain.text(need.text, self.path),
            "holds": condition.holds,
            "certain": condition.is_certain,
            "possible": condition.is_possible,
            "until": self._plain.stamp(condition.earliest),
            "in_s": None
            if condition.earliest is None
            else round(condition.earliest - self._now, 3),
            "obstacles": self._obstacles(writer, report),
            "condition": self._plain.plain(condition.shown(), depth, level),
        }

    def _driving(self, writer: Writer, depth: int) -> dict[str, Any]:
        """Return what else counts for a sink that drives the path; see `Answering.why_not`."""
        if writer.sink.function != "drive":
            return {}
        drivers, rule = self._drivers, writer.rule
        withdrawal = None
        if drivers.is_before_others(rule):
            condition = conditions_for(writer.node, equal(NoValue), self._now)
            if condition.is_possible and not condition.holds:
                withdrawal = self._plain.plain(condition.shown(), depth, 0)
        return {
            "opinion": drivers.has_opinion(rule),
            "ahead": drivers.ahead_of(rule),
            "withdrawal": withdrawal,
        }

    def _value(self, value: object) -> str:
        text = "unknown" if is_absent(value) else safe_repr(value, _LONGEST_VALUE)
        return self._plain.text(text, self.path)

    def _obstacles(self, writer: Writer, report: RuleReport) -> list[list[str]]:
        """Return what else is in the way: pairs of a text and a time, which may be empty."""
        sink, found = writer.sink, []
        if report.status.state is not RuleState.RUNNING:
            at = self.next_start(report.rule)
            found.append([f"the rule is {report.status.state}: {self.why(report)}", at])
        if not writer.instance.connection.connected:
            found.append(
                ["there is no connection to the server: values are sent when it is back", ""]
            )
        if report.waiting_s >= _LONG_WAIT:
            waiting = f"{report.waiting} inputs wait for the rules of its module"
            found.append([f"{waiting}, the oldest for {report.waiting_s:.0f} s", ""])
        if sink.held is not None:
            found.append(["a new version of the rule is being prepared, and sends nothing yet", ""])
        pending = len(sink.unfinished())
        if pending or sink.has_failed or sink.next_attempt is not None:
            error = report.status.last_error or ""
            text = "the last value has not arrived" if sink.has_failed else "a value is being sent"
            at = self._plain.stamp(sink.next_attempt)
            found.append([f"{text}: {self._plain.text(error)}" if error else text, at])
        return found

    def _behind(self, condition: Condition, depth: int, level: int) -> list[dict[str, Any]]:
        """Return the answers of the rules that provide the path of a condition."""
        path, key = condition.name, (condition.name, condition.need.text)
        if depth <= 0 or condition.has_to_change or key in self._answered or path == self.path:
            return []
        providers = [each for each in self._writers.of(path) if each.sink.follows]
        if providers:
            self._answered.add(key)
        return [
            self._of(each, condition.need, depth - 1, level) for each in providers[:_MOST_RULES]
        ]


def _need_of_sink(writer: Writer, wanted: Any) -> Need:
    """Return the need for the value that a sink follows; that of a call has the arguments."""
    node: Node = writer.node
    if writer.sink.function == "action_call":
        call = call_of(node)
        count = 1 if call is None else len(call.cells)
        is_list = isinstance(wanted, list) and len(wanted) == count
        return equal(tuple(wanted) if is_list else (wanted,))
    return equal(wanted if wanted is not None or not is_absent(node.value) else Unknown)


def _short(wanted: Any) -> Any:
    """Return the wanted value, or its text if it is very long."""
    return wanted if len(codec.pack(wanted)) <= _LONGEST_WANTED else safe_repr(wanted, 200)


def _rule(report: RuleReport) -> list[str]:
    plain = report.plain()
    return [plain["rule"], plain["state"], plain["why"]]
