"""The outputs of a shadow runner beside those of the real one, in the time when both ran."""

from collections.abc import Collection
from dataclasses import replace
from datetime import datetime
from pathlib import Path
from typing import Final

from eshet_rules.exceptions import NothingRecorded
from eshet_rules.replay.comparison import Difference, compare
from eshet_rules.replay.recording import Output, Recording, read_recording

__all__ = ["SAME_WITHIN", "compare_runners"]

SAME_WITHIN: Final = 0.5
"""Two runners receive an input at slightly different times, in seconds."""

_SETTLES_IN: Final = 5.0
"""Seconds after the later start that are not compared: one runner is being set up."""


def compare_runners(
    real: Path, shadow: Path, start: datetime, end: datetime
) -> tuple[list[Difference], datetime, list[str]]:
    """Compare the outputs in two trails.

    Args:
        real: the open file of the trail of the real runner.
        shadow: that of the shadow runner.
        start: the beginning of the time to compare.
        end: its end.

    Returns:
        The differences, the time at which their times begin, and a text for each part that a trail
        lacks.

    Raises:
        NothingRecorded: no trail has an input or an output of a rule.
    """
    recordings = [read_recording(file, start, end) for file in (real, shadow)]
    if not any(each.inputs or each.outputs for each in recordings):
        raise NothingRecorded(start, end)
    begin = max(each.start for each in recordings)
    last = min(each.end for each in recordings)
    modules = [{_module_of(output) for output in each.outputs} for each in recordings]
    shared = modules[0] & modules[1]
    first, second = (_within(each, begin, last, shared) for each in recordings)
    lacking = [
        f"{name}: {each}"
        for name, recording in zip(("runner", "shadow"), recordings, strict=True)
        for each in recording.lacking
    ]
    if alone := sorted(modules[0] ^ modules[1]):
        lacking.append(f"only one of both runners has outputs of {', '.join(alone)}")
    return compare(first, second, SAME_WITHIN), begin, lacking


def _within(
    recording: Recording, begin: datetime, last: datetime, modules: Collection[str]
) -> list[Output]:
    shift = (begin - recording.start).total_seconds()
    length = (last - begin).total_seconds()
    return [
        replace(each, at=each.at - shift)
        for each in recording.outputs
        if _SETTLES_IN <= each.at - shift < length - SAME_WITHIN and _module_of(each) in modules
    ]


def _module_of(output: Output) -> str:
    return output.rule.rpartition(".")[0]
