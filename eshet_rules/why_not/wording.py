"""An answer as text, for people."""

from collections.abc import Callable, Iterator, Mapping, Sequence
from datetime import datetime, timedelta, tzinfo
from typing import Any, Final

from eshet.text import safe_repr
from eshet_rules.why.drives import drive_lines

__all__ = ["Wording", "duration", "value_text"]

_INDENT: Final = "  "
_LONGEST: Final = 100

_WRITES: Final = {
    "act": "is called",
    "drive": "drives it",
    "set_value": "sets it",
    "action_call": "calls it",
    "event_register": "emits it",
    "state_register": "provides it",
}

_JOINED: Final = {
    "all": "all of these",
    "any": "one of these is enough",
    "then": "one after the other",
}

_ANYTHING: Final = ("any value", "known")

Plain = Mapping[str, Any]


class Wording:
    """Writes answers.

    Args:
        now: the present.
        zone: of the times; None for the local one.
        absence: returns that nothing provides a path; empty if something does, or it is not known.
        elsewhere: returns which rules of other runners write a path; empty if none does.
        whose: whose rules are known, such as `this runner`.
    """

    def __init__(
        self,
        now: datetime,
        zone: tzinfo | None = None,
        absence: Callable[[str], str] = lambda path: "",
        elsewhere: Callable[[str], str] = lambda path: "",
        whose: str = "this runner",
    ) -> None:
        self._now = now
        self._zone = zone
        self._absence = absence
        self._elsewhere = elsewhere
        self._whose = whose

    def lines(self, answer: Plain, present: Sequence[object] = ()) -> Iterator[str]:
        """Iterate over the lines of an answer.

        Args:
            answer: the result of `Answering.why_not`.
            present: a list with the present value of the path; empty if it is not known.
        """
        path = answer["path"]
        rules = answer["rules"]
        wanted = answer["wanted"]
        if rules:
            known = f"{path} is {value_text(present[0])}" if present else path
            yield f"{known}; for {_wanted(wanted, rules[0])}:"
        for rule in rules:
            yield from _indented(self._rule(rule, path, present, wanted))
        if answer["drive"]:
            yield from drive_lines(answer["drive"], self._now, self._zone)
        elif len({each["rule"] for each in rules}) > 1:
            yield "several rules write this path: the last one wins each time"
        yield from self._others(answer)

    def _others(self, answer: Plain) -> Iterator[str]:
        for each in answer["others"]:
            yield f"{_rule(each)} writes it in its own code, which can't be looked into"
        yield from self._stopped(answer["stopped"])
        for module, problem in answer["broken"].items():
            yield f"the module {module} names it and is not loaded: {problem}"
        writers = (answer["rules"], answer["others"], answer["stopped"], answer["broken"])
        if not any(writers):
            yield f"no rule of {self._whose} writes {answer['path']}"
        if answer["readers"]:
            yield f"read by {', '.join(map(_rule, answer['readers']))}"

    def _rule(
        self, rule: Plain, path: str, present: Sequence[object], wanted: Sequence[object]
    ) -> Iterator[str]:
        place = f" ({rule['place']})" if rule["place"] else ""
        value = f"; its value is {rule['value']}" if rule["value"] else ""
        if not rule.get("opinion", True):
            value = "; it has no opinion"
        runner = f" at {rule['runner']}" if "runner" in rule else ""
        yield f"{rule['rule']}{runner}{place} {_WRITES[rule['function']]}{value}"
        yield from _indented(self._answer(rule, path, present, wanted))

    def _answer(
        self, rule: Plain, path: str, present: Sequence[object], wanted: Sequence[object]
    ) -> Iterator[str]:
        for text, at in rule["obstacles"]:
            yield f"{text}, next attempt {self._moment(at)}" if at else text
        if rule.get("is_cut"):
            yield "the conditions are too long for one message: use a smaller --depth"
            return
        ahead, withdrawal = rule.get("ahead"), rule.get("withdrawal")
        if ahead:
            who = "a person" if ahead["by"] == "person" else ahead["by"]
            until = f" until {self._clock(ahead['until'])}" if ahead["until"] else ""
            yield f"{who} decides instead{until}"
        if rule["holds"]:
            yield from self._unchanged(rule, present, wanted)
            return
        if not rule["possible"]:
            yield "it can't have that value, as far as is known"
        elif rule["until"] and not ahead:
            yield f"time alone will do: {self._moment(rule['until'])}"
        if rule["possible"] or not withdrawal:
            yield from self._condition(rule["condition"])
        if withdrawal:
            yield "the next driver decides when this one has no opinion:"
            yield from _indented(self._condition(withdrawal))

    def _unchanged(
        self, rule: Plain, present: Sequence[object], wanted: Sequence[object]
    ) -> Iterator[str]:
        yield f"it has that value already: {rule['value']}"
        if rule["function"] == "drive":
            return  # see who decides, below
        if present and wanted and present[0] != wanted[0]:
            if rule["last"] != [rule["value"]]:
                yield "it has not been sent"
            elif not rule["obstacles"]:
                yield (
                    "it has been sent, and is sent again only when it changes: "
                    "another value has come from outside since"
                )

    def _stopped(self, rules: Sequence[Sequence[str]], verb: str = "is") -> Iterator[str]:
        for name, state, why, at, *runner in rules:
            again = f", next attempt {self._moment(at)}" if at else ""
            who = " at ".join([name, *runner])
            yield f"{who} {verb} {state}{f': {why}' if why else ''}{again}"

    # --- conditions -----------------------------------------------------------------------------

    def _condition(self, condition: Plain, above: str = "") -> Iterator[str]:
        """Iterate over the lines of a condition that does not hold.

        Args:
            condition: the condition.
            above: the name in the line above.
        """
        parts = condition.get("parts", ())
        match condition["kind"]:
            case "all" | "any" | "then":
                yield self._group(condition, above)
            case "time":
                yield self._time(condition)
            case "fixed":
                yield f"{condition['value']} never changes, needs {condition['needs']}"
            case "unclear":
                yield self._unclear(condition)
            case _:
                yield self._input(condition)
        for part in parts:
            yield from _indented(self._part(part, condition["name"]))
        yield from _indented(self._stopped(condition.get("stopped", ()), "names it and is"))
        if condition.get("cut"):
            yield f"{_INDENT}…"
        for behind in condition.get("behind", ()):
            yield from _indented(self._behind(behind, condition["name"]))

    def _part(self, part: Plain, above: str) -> Iterator[str]:
        if not part["holds"]:
            yield from self._condition(part, above)
        elif part["name"]:
            needed = "" if part["needs"] == "any value" else ", as needed"
            end = part.get("holds_until")
            until = f" until {self._clock(end)}" if end else ""
            yield f"{part['name']} {part['value']}{needed}{until}{self._since(part)}"

    def _group(self, condition: Plain, above: str) -> str:
        parts = [each for each in condition["parts"] if each["name"] or not each["holds"]]
        words = _JOINED[condition["kind"]] if len(parts) > 1 else ""
        if condition["name"] == above and words:
            return f"{words}:"
        head = " ".join(filter(None, [condition["name"], condition["value"]]))
        if condition["value"]:
            head += f", needs {condition['needs']}"
        detail = condition.get("detail")
        return ": ".join(filter(None, [head, detail, words])) + ("" if detail or words else ":")

    def _time(self, condition: Plain) -> str:
        detail = condition.get("detail") or condition["name"]
        needs = "" if condition["needs"] in _ANYTHING else f"{condition['needs']} "
        return f"{detail}, {needs}{self._moment(condition['until'])}"

    def _unclear(self, condition: Plain) -> str:
        head = " ".join(filter(None, [condition["name"], condition["value"]]))
        needs = f", needs {condition['needs']}" if condition["needs"] != "any value" else ""
        detail = condition.get("detail")
        if detail:
            return f"{head}{needs}: {detail}"
        rest = "computed from:" if condition.get("parts") else "how to reach it is not known"
        return f"{head}{needs}: {rest}"

    def _input(self, condition: Plain) -> str:
        name, value, needs = condition["name"], condition["value"], condition["needs"]
        times = condition.get("times", 1)
        often = f" {times} times" if times > 1 else ""
        if condition["kind"] == "event":
            what = "has to happen" if needs in _ANYTHING else f"has to emit {needs}"
            return f"{name} {what}{often}: {self._last(condition)}"
        if condition.get("change"):
            known = "" if needs in _ANYTHING else f" to {needs}"
            return f"{name} {value}, has to change{known}{often}{self._since(condition)}"
        text = f"{name} {value}, needs {needs}{self._since(condition)}"
        writers = "" if condition.get("behind") else self._elsewhere(name)
        return "; ".join(filter(None, [text, self._absence(name), writers]))

    def _last(self, condition: Plain) -> str:
        absence = self._absence(condition["name"])
        since = condition.get("since")
        if not since:
            text = "it has not happened since the rule was set up"
            return "; ".join(filter(None, [text, absence]))
        payload = condition.get("last", "None")
        last = "last" if payload == "None" else f"last {payload}"
        return "; ".join(filter(None, [f"{last} {self._ago(since)}", absence]))

    def _since(self, condition: Plain) -> str:
        since = condition.get("since")
        return f", since {self._clock(since)}" if since else ""

    def _behind(self, rule: Plain, path: str) -> Iterator[str]:
        place = f" ({rule['place']})" if rule["place"] else ""
        yield f"{rule['rule']}{place} {_WRITES[rule['function']]}:"
        yield from _indented(self._answer(rule, path, (), ()))

    # --- times ----------------------------------------------------------------------------------

    def _moment(self, stamp: str) -> str:
        """Return a moment of the future, such as `at 18:20:00 (in 6 min)`."""
        left = datetime.fromisoformat(stamp) - self._now
        return f"at {self._clock(stamp)} (in {duration(left)})"

    def _ago(self, stamp: str) -> str:
        passed = self._now - datetime.fromisoformat(stamp)
        return f"{duration(passed)} ago, at {self._clock(stamp)}"

    def _clock(self, stamp: str) -> str:
        moment = datetime.fromisoformat(stamp)
        local, now = moment.astimezone(self._zone), self._now.astimezone(self._zone)
        is_today = local.date() == now.date()
        return f"{local:%H:%M:%S}" if is_today else f"{local:%Y-%m-%d %H:%M:%S}"


def _wanted(wanted: Sequence[object], rule: Plain) -> str:
    if wanted:
        return value_text(wanted[0])
    if rule["needs"] in _ANYTHING:
        return "a known value" if rule["value"] else "an emission"
    return "another value" if rule["needs"].startswith("!=") else str(rule["needs"])


def _indented(lines: Iterator[str]) -> Iterator[str]:
    for line in lines:
        yield f"{_INDENT}{line}"


def _rule(rule: Sequence[str]) -> str:
    name, state, why, *runner = rule
    name = " at ".join([name, *runner])
    if state == "running":
        return name
    return f"{name} ({state}: {why})" if why else f"{name} ({state})"


def value_text(value: object) -> str:
    """Return a value as text."""
    from eshet.unknown import Unknown

    return "unknown" if value is Unknown else safe_repr(value, _LONGEST)


def duration(length: timedelta) -> str:
    """Return a length of time in its two largest units."""
    seconds = max(0, round(length.total_seconds()))
    for size, unit, small, smaller in _UNITS:
        if seconds >= size:
            count, rest = divmod(seconds, size)
            rest //= small
            is_long = unit == "min" and count >= 10
            return f"{count} {unit}" + (f" {rest} {smaller}" if rest and not is_long else "")
    return f"{seconds} s"


_UNITS: Final = ((86_400, "d", 3600, "h"), (3600, "h", 60, "min"), (60, "min", 1, "s"))
