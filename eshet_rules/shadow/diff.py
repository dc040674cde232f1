"""The outputs of a shadow runner beside those of the real one, in the times when both ran."""

from collections.abc import Iterator, Sequence
from dataclasses import replace
from datetime import datetime, timedelta
from pathlib import Path
from typing import Final, NamedTuple

from eshet_rules.exceptions import NeverBoth, NothingRecorded
from eshet_rules.replay.comparison import Difference, compare
from eshet_rules.replay.recording import Output, Recording, read_runs

__all__ = ["SAME_WITHIN", "compare_runners"]

SAME_WITHIN: Final = 0.5
"""Two runners receive an input at slightly different times, in seconds."""

_SETTLES_IN: Final = timedelta(seconds=5)
"""Time after the later start that is not compared: one runner is being set up."""

_NAMES: Final = ("runner", "shadow")


class _Both(NamedTuple):
    """A time in which both ran, and the runs of both."""

    begin: datetime
    end: datetime
    runs: tuple[Recording, Recording]


def compare_runners(
    real: Path, shadow: Path, start: datetime, end: datetime
) -> tuple[list[Difference], datetime, list[str]]:
    """Compare the outputs in two trails, in each time in which both runners ran.

    Args:
        real: the open file of the trail of the real runner.
        shadow: that of the shadow runner.
        start: the beginning of the time to compare.
        end: its end.

    Returns:
        The differences, the time at which their times begin, and a text for each limit of the
        comparison.

    Raises:
        NothingRecorded: no trail has an input or an output of a rule.
        NeverBoth: the runners did not run at the same time.
    """
    all_runs = [read_runs(file, start, end) for file in (real, shadow)]
    if not any(each.inputs or each.outputs for runs in all_runs for each in runs):
        raise NothingRecorded(start, end)
    common = _common(*all_runs)
    if not common:
        times = [[(each.start, each.end) for each in runs] for runs in all_runs]
        raise NeverBoth(times[0], times[1])
    modules = [{each.module for both in common for each in both.runs[n].outputs} for n in (0, 1)]
    differences: list[Difference] = []
    begin = common[0].begin
    for both in common:
        first, second = (
            _outputs(run, both, begin, without=(modules[0] ^ modules[1])) for run in both.runs
        )
        differences += compare(first, second, SAME_WITHIN)
    return differences, begin, list(_limits(all_runs, common, modules, differences, (start, end)))


def _common(real: Sequence[Recording], shadow: Sequence[Recording]) -> list[_Both]:
    found = [
        _Both(max(one.start, other.start), min(one.end, other.end), (one, other))
        for one in real
        for other in shadow
    ]
    return sorted((each for each in found if each.begin < each.end), key=lambda each: each.begin)


def _outputs(run: Recording, both: _Both, begin: datetime, without: set[str]) -> list[Output]:
    """Return the outputs of a run in a time in which both ran, with times since `begin`."""
    shift = (run.start - begin).total_seconds()
    earliest = (both.begin + _SETTLES_IN - run.start).total_seconds()
    latest = (both.end - run.start).total_seconds() - SAME_WITHIN
    disabled = [
        (each.rule, _at(each.begin, other, run), _at(each.end, other, run))
        for other in both.runs
        for each in other.disabled
    ]
    return [
        replace(each, at=each.at + shift)
        for each in run.outputs
        if earliest <= each.at < latest
        and each.module not in without
        and not any(rule == each.rule and a <= each.at <= b for rule, a, b in disabled)
    ]


def _at(at: float, other: Recording, run: Recording) -> float:
    """Return a time of one recording as a time of another one."""
    return at + (other.start - run.start).total_seconds()


def _limits(
    all_runs: Sequence[Sequence[Recording]],
    common: Sequence[_Both],
    modules: Sequence[set[str]],
    differences: Sequence[Difference],
    asked: tuple[datetime, datetime],
) -> Iterator[str]:
    """Yield a text for each limit of a comparison."""
    for name, runs in zip(_NAMES, all_runs, strict=True):
        for run in runs:
            yield from (f"{name}: {each}" for each in run.lacking)
    if [(each.begin, each.end) for each in common] != [asked]:
        times = ", ".join(f"{_local(each.begin)} to {_local(each.end)}" for each in common)
        yield f"compared is the time in which both ran: {times}"
    for both in common:
        for name, run in zip(_NAMES, both.runs, strict=True):
            for each in run.disabled:
                text = each.text(run.start)
                yield f"{name}: {text}: its outputs of that time are left out on both sides"
    for name, only in zip(_NAMES, (modules[0] - modules[1], modules[1] - modules[0]), strict=True):
        if alone := sorted(only):
            yield f"only the {name} has outputs of {', '.join(alone)}: they are left out"
    if differences and any(each.runs[1].is_new for each in common):
        yield (
            "the shadow began without the state of the rules: until their longest window or delay "
            "has passed, differences may come from that"
        )


def _local(moment: datetime) -> str:
    return f"{moment.astimezone():%Y-%m-%d %H:%M:%S}"
