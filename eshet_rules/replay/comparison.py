"""The differences between two lists of outputs, of two versions of rules or of a replay."""

import difflib
import json
from collections import defaultdict, deque
from collections.abc import Collection, Iterator, Sequence
from dataclasses import dataclass
from datetime import datetime, timedelta
from typing import Any, Final, Literal

from eshet.text import safe_repr
from eshet.unknown import Unknown
from eshet_rules.replay.recording import Output

__all__ = ["SAME_WITHIN", "Difference", "compare", "describe", "value_key"]

SAME_WITHIN: Final = 0.5
"""Default for the difference of times that does not count, in seconds.

Timers of a real loop are late by milliseconds, which add up in a rule that waits again and again.
"""

_VERBS: Final = {"state": "is", "set": "set to", "call": "called with", "emit": "emitted with"}

_EXACT_UP_TO: Final = 4096
"""Number of pairs of outputs between two anchors up to which the longest blocks are looked for.

The time for that grows with the square of their number, or faster.
"""

_LOOK_AHEAD: Final = 32
"""Number of outputs of each version among which the next match is looked for beyond that."""

Kind = Literal["missing", "new", "earlier", "later"]

_Place = tuple[str, str]
"""The kind and the path of an output."""


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
        within: outputs with times that differ by at most so many seconds are at the same instant.
        since: differences before this time are left out.
        without: the outputs of these modules are left out.
    """
    differences: list[Difference] = []
    ours, theirs = _by_place(first, without), _by_place(second, without)
    for place in sorted(ours.keys() | theirs.keys()):
        differences += _compare_place(ours[place], theirs[place], within)
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
        groups[output.path, output.kind, value_key(output.value), each.kind].append(each)
    for (path, kind, _, what), group in groups.items():
        output = group[0].output
        value = "unknown" if output.value is Unknown else safe_repr(output.value, 60)
        count = "once" if len(group) == 1 else f"{len(group)} times"
        line = f"{path} {_VERBS[kind]} {value}: {count} "
        if what in ("earlier", "later"):
            spans = sorted(each.by for each in group)
            by = _span(spans[0])
            if _span(spans[-1]) != by:
                by += f" to {_span(spans[-1])}"
            line += f"{what}, by {by}, first {_moments(start, group[0])}"
        else:
            word = "no longer" if what == "missing" else "in addition"
            line += f"{word}, first {_moment(start, output.at)}"
        yield line


@dataclass(frozen=True)
class _Keyed:
    """Outputs in the order of their times, with keys that equal values share."""

    outputs: list[Output]
    keys: list[str]

    def part(self, start: int, end: int) -> "_Keyed":
        """Return those from an index to another one, exclusive."""
        return _Keyed(self.outputs[start:end], self.keys[start:end])


def _by_place(outputs: Sequence[Output], without: Collection[str]) -> dict[_Place, _Keyed]:
    found: dict[_Place, _Keyed] = defaultdict(lambda: _Keyed([], []))
    for each in outputs:
        if not each.in_set_up and each.module not in without:
            place = found[each.kind, each.path]
            place.outputs.append(each)
            place.keys.append(value_key(each.value))
    return found


def _compare_place(first: _Keyed, second: _Keyed, within: float) -> Iterator[Difference]:
    """Match equal outputs at the same instant; between those, equal outputs in their order."""
    anchors = _anchors(first, second, within)
    at_first = at_second = 0
    for one, other in [*anchors, (len(first.keys), len(second.keys))]:
        ours, theirs = first.part(at_first, one), second.part(at_second, other)
        yield from _compare_between(ours, theirs, within)
        at_first, at_second = one + 1, other + 1


def _anchors(first: _Keyed, second: _Keyed, within: float) -> list[tuple[int, int]]:
    """Return the indices of equal outputs at the same instant, in order."""
    found: list[tuple[int, int]] = []
    remaining = _indices(second.keys)
    start = 0
    for index, (output, key) in enumerate(zip(first.outputs, first.keys, strict=True)):
        candidates = remaining.get(key)
        while candidates and (
            candidates[0] < start or output.at - second.outputs[candidates[0]].at > within
        ):
            candidates.popleft()
        if candidates and second.outputs[candidates[0]].at - output.at <= within:
            start = candidates.popleft() + 1
            found.append((index, start - 1))
    return found


def _compare_between(first: _Keyed, second: _Keyed, within: float) -> Iterator[Difference]:
    at_first = at_second = 0
    for one, other in [*_matches(first, second), (len(first.keys), len(second.keys))]:
        yield from (Difference("missing", each, None) for each in first.outputs[at_first:one])
        yield from (Difference("new", None, each) for each in second.outputs[at_second:other])
        at_first, at_second = one + 1, other + 1
        if one == len(first.keys):
            return
        ours, theirs = first.outputs[one], second.outputs[other]
        if abs(ours.at - theirs.at) > within:
            yield Difference("earlier" if theirs.at < ours.at else "later", ours, theirs)


def _matches(first: _Keyed, second: _Keyed) -> Iterator[tuple[int, int]]:
    """Yield the indices of equal outputs, in order."""
    if len(first.keys) * len(second.keys) > _EXACT_UP_TO:
        yield from _near_matches(first, second)
        return
    matcher = difflib.SequenceMatcher(None, first.keys, second.keys, autojunk=False)
    for match in matcher.get_matching_blocks():
        for offset in range(match.size):
            yield match.a + offset, match.b + offset


def _near_matches(first: _Keyed, second: _Keyed) -> Iterator[tuple[int, int]]:
    """Yield the indices of equal outputs, in order, in a time proportional to their number.

    After a match, the nearest further one is looked for among the next outputs. If there is none,
    the earliest output of both has no match.
    """
    common = set(first.keys).intersection(second.keys)
    ours, theirs = (
        [index for index, key in enumerate(each.keys) if key in common] for each in (first, second)
    )
    one = other = 0
    while one < len(ours) and other < len(theirs):
        skipped = _nearest(
            [first.keys[index] for index in ours[one : one + _LOOK_AHEAD]],
            [second.keys[index] for index in theirs[other : other + _LOOK_AHEAD]],
        )
        if skipped is not None:
            one, other = one + skipped[0], other + skipped[1]
            yield ours[one], theirs[other]
            one, other = one + 1, other + 1
        elif first.outputs[ours[one]].at <= second.outputs[theirs[other]].at:
            one += 1
        else:
            other += 1


def _nearest(ours: Sequence[str], theirs: Sequence[str]) -> tuple[int, int] | None:
    """Return the indices of two equal keys with the smallest sum; None if no key is in both."""
    if ours[0] == theirs[0]:
        return 0, 0
    places: dict[str, int] = {}
    for index, key in enumerate(theirs):
        places.setdefault(key, index)
    found = [(index + places[key], index) for index, key in enumerate(ours) if key in places]
    if not found:
        return None
    total, index = min(found)
    return index, total - index


def _indices(keys: Sequence[str]) -> dict[str, deque[int]]:
    """Return the indices of each key, in order."""
    found: dict[str, deque[int]] = defaultdict(deque)
    for index, key in enumerate(keys):
        found[key].append(index)
    return found


def value_key(value: Any) -> str:
    """Return a text that equal values share; True and 1 are not equal."""
    return "unknown" if value is Unknown else json.dumps(value, sort_keys=True, default=repr)


def _moment(start: datetime, at: float) -> str:
    return f"{start + timedelta(seconds=at):%a %H:%M:%S}"


def _moments(start: datetime, difference: Difference) -> str:
    """Return when the second version has an output, instead of when the first one has it."""
    if difference.first is None or difference.second is None:
        raise ValueError("only one version has this output")
    first, second = (
        start + timedelta(seconds=each.at) for each in (difference.first, difference.second)
    )
    if difference.by < 1:
        texts = [f"{each:%H:%M:%S.%f}"[:-3] for each in (second, first)]
    else:
        texts = [f"{each:%H:%M:%S}" for each in (second, first)]
    day = "" if first.date() == second.date() else f"{first:%a} "
    return f"{second:%a} {texts[0]} instead of {day}{texts[1]}"


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
