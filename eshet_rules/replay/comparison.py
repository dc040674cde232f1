"""The differences between two lists of outputs, of two versions of rules or of a replay."""

import difflib
import json
from collections import defaultdict
from collections.abc import Collection, Iterator, Sequence
from dataclasses import dataclass
from datetime import datetime, timedelta
from typing import Any, Final, Literal

from eshet.text import safe_repr
from eshet.unknown import Unknown
from eshet_rules.replay.recording import Output

__all__ = ["SAME_WITHIN", "Difference", "compare", "describe"]

SAME_WITHIN: Final = 0.5
"""Default for the difference of times that does not count, in seconds.

Timers of a real loop are late by milliseconds, which add up in a rule that waits again and again.
"""

_VERBS: Final = {"state": "is", "set": "set to", "call": "called with", "emit": "emitted with"}

Kind = Literal["missing", "new", "earlier", "later"]


@dataclass(frozen=True)
class Difference:
    """An output that only one version has, or that both have at different times.

    Args:
        kind: of the second version, compared with the first.
        first: the output of the first version; None if only the second has it.
        second: the output of the second version; None if only the first has it.
    """

    kind: Kind
    first: Output | None
    second: Output | None

    @property
    def output(self) -> Output:
        """The output of the first version, or of the second if the first has none."""
        output = self.first or self.second
        if output is None:
            raise ValueError("a difference of nothing")
        return output

    @property
    def by(self) -> float:
        """By how many seconds it is earlier or later; 0 if only one version has it."""
        if self.first is None or self.second is None:
            return 0.0
        return abs(self.second.at - self.first.at)

    def as_json(self, start: datetime) -> dict[str, Any]:
        """Return it as plain data, with times as ISO 8601."""
        output = self.output
        return {
            "difference": self.kind,
            "kind": output.kind,
            "path": output.path,
            "value": None if output.value is Unknown else output.value,
            "unknown": output.value is Unknown,
            "first": _time(start, self.first),
            "second": _time(start, self.second),
            "rule": (self.second or output).rule,
        }


def compare(
    first: Sequence[Output],
    second: Sequence[Output],
    within: float = SAME_WITHIN,
    *,
    since: float = 0.0,
    without: Collection[str] = (),
) -> list[Difference]:
    """Return the differences between two lists of outputs, in the order of their times.

    Outputs that rules make in their set-up are left out: they depend on the moment of the start.

    Args:
        first: the outputs of one version.
        second: those of the other.
        within: outputs whose times differ by at most this, in seconds, are at the same instant.
        since: differences before this time are left out.
        without: modules whose outputs are left out.
    """
    differences: list[Difference] = []
    ours, theirs = _by_place(first, without), _by_place(second, without)
    for place in ours.keys() | theirs.keys():
        differences += _compare_place(ours.get(place, []), theirs.get(place, []), within)
    late = (each for each in differences if each.output.at >= since)
    return sorted(late, key=lambda each: (each.output.at, each.output.path, each.kind))


def describe(differences: Sequence[Difference], start: datetime) -> Iterator[str]:
    """Yield a line for each kind of difference, as a person reads it.

    Args:
        differences: of `compare`.
        start: the time at which the times of outputs begin.
    """
    groups: dict[tuple[str, str, str, str], list[Difference]] = defaultdict(list)
    for each in differences:
        output = each.output
        groups[output.path, output.kind, _key(output.value), each.kind].append(each)
    for (path, kind, _, what), group in groups.items():
        output = group[0].output
        value = "unknown" if output.value is Unknown else safe_repr(output.value, 60)
        count = "once" if len(group) == 1 else f"{len(group)} times"
        first = _moment(start, output.at)
        line = f"{path} {_VERBS[kind]} {value}: {count} "
        if what in ("earlier", "later"):
            spans = sorted(each.by for each in group)
            by = _span(spans[0])
            if _span(spans[-1]) != by:
                by += f" to {_span(spans[-1])}"
            line += f"{what}, by {by}, first {first}"
        else:
            line += f"{'no longer' if what == 'missing' else 'in addition'}, first {first}"
        yield line


def _by_place(
    outputs: Sequence[Output], without: Collection[str]
) -> dict[tuple[str, str], list[Output]]:
    found: dict[tuple[str, str], list[Output]] = defaultdict(list)
    for each in outputs:
        if not each.in_set_up and each.module not in without:
            found[each.kind, each.path].append(each)
    return found


def _compare_place(
    first: list[Output], second: list[Output], within: float
) -> Iterator[Difference]:
    """Match equal outputs at the same instant; between those, equal outputs in their order."""
    anchors = _anchors(first, second, within)
    at_first = at_second = 0
    for one, other in [*anchors, (len(first), len(second))]:
        yield from _compare_between(first[at_first:one], second[at_second:other], within)
        at_first, at_second = one + 1, other + 1


def _anchors(first: list[Output], second: list[Output], within: float) -> list[tuple[int, int]]:
    """Return the indices of equal outputs at the same instant, in order."""
    found: list[tuple[int, int]] = []
    start = 0
    for index, output in enumerate(first):
        for other in range(start, len(second)):
            if second[other].at > output.at + within:
                break
            if _is_same(output, second[other], within):
                found.append((index, other))
                start = other + 1
                break
        while start < len(second) and second[start].at < output.at - within:
            start += 1
    return found


def _is_same(one: Output, other: Output, within: float) -> bool:
    return abs(one.at - other.at) <= within and _key(one.value) == _key(other.value)


def _compare_between(
    first: list[Output], second: list[Output], within: float
) -> Iterator[Difference]:
    ours, theirs = ([_key(each.value) for each in outputs] for outputs in (first, second))
    matcher = difflib.SequenceMatcher(None, ours, theirs, autojunk=False)
    at_first = at_second = 0
    for match in matcher.get_matching_blocks():
        yield from (Difference("missing", each, None) for each in first[at_first : match.a])
        yield from (Difference("new", None, each) for each in second[at_second : match.b])
        for offset in range(match.size):
            one, other = first[match.a + offset], second[match.b + offset]
            if abs(one.at - other.at) > within:
                yield Difference("earlier" if other.at < one.at else "later", one, other)
        at_first, at_second = match.a + match.size, match.b + match.size


def _key(value: Any) -> str:
    return "unknown" if value is Unknown else json.dumps(value, sort_keys=True, default=repr)


def _moment(start: datetime, at: float) -> str:
    return f"{start + timedelta(seconds=at):%a %H:%M:%S}"


def _time(start: datetime, output: Output | None) -> str | None:
    return None if output is None else (start + timedelta(seconds=output.at)).isoformat()


def _span(seconds: float) -> str:
    if seconds < 1:
        return f"{seconds * 1000:.0f} ms"
    if seconds < 60:
        return f"{seconds:.3g} s"
    minutes, rest = divmod(round(seconds), 60)
    hours, minutes = divmod(minutes, 60)
    parts = [f"{hours} h" if hours else "", f"{minutes} min" if minutes else ""]
    return " ".join([*filter(None, parts), *([f"{rest} s"] if rest and not hours else [])])
