"""Merges what the runners of a cluster know of a path, so that an explanation goes on at others."""

from collections.abc import Iterable, Mapping, Sequence
from datetime import datetime, timedelta
from typing import Any

from eshet_rules.audit.query import stamp_of
from eshet_rules.why.memory import inputs_of
from eshet_rules.why.sources import Record, is_output

__all__ = ["Known", "is_written", "merge_known", "merge_records", "unexplained"]

Known = Mapping[str, Any]
"""What a runner knows of a path; see `eshet_rules.runner.explaining.Explaining.why`."""


def merge_known(answers: Mapping[str, Known], further: Sequence[Mapping[str, Known]]) -> Known:
    """Return what all runners know of a path, in the form in which one tells it.

    Each output has its `runner`, and the names of rules are followed by theirs.

    Args:
        answers: what each runner knows of the path, by its name; see `Explaining.why`.
        further: what they know of other paths that have led to it.
    """
    outputs: dict[str, Record] = {}
    inputs: dict[str, tuple[str, Record]] = {}
    skipped: dict[str, Mapping[str, int]] = {}
    places: dict[str, dict[str, str]] = {}
    for runner, known in _all(answers, further):
        for path, output in known["outputs"].items():
            if path not in outputs or output["time"] > outputs[path]["time"]:
                outputs[path] = {**output, "runner": runner}
        for path, shown in known["inputs"].items():
            if path not in inputs or shown["time"] > inputs[path][1]["time"]:
                inputs[path] = runner, shown
        for path, lines in known["places"].items():
            places.setdefault(path, {}).update(lines)
    for runner, known in _all(answers, further):
        skipped |= {
            path: counts
            for path, counts in known["skipped"].items()
            if path not in outputs or outputs[path]["runner"] == runner
        }
    return {
        "outputs": {path: _begun(output) for path, output in outputs.items()},
        "inputs": {
            path: _linked(runner, shown, outputs.get(path))
            for path, (runner, shown) in inputs.items()
        },
        "skipped": skipped,
        "places": places,
        "drive": next((each["drive"] for each in answers.values() if each["drive"]), None),
        "is_recording": any(each["is_recording"] for each in answers.values()),
        "is_secret": any(each["is_secret"] for each in answers.values()),
        **{
            name: [
                [*rule, runner] for runner, known in answers.items() for rule in known.get(name, ())
            ]
            for name in ("naming", "readers", "stopped", "writers")
        },
    }


def is_written(known: Known, path: str) -> bool:
    """Whether a rule writes a path, or has written it."""
    return bool(known["writers"]) or path in known["outputs"]


def merge_records(records: Iterable[Record]) -> list[Record]:
    """Return the records of a path from all runners, so that an input follows from an output.

    Outputs have the time at which they began, and inputs at other runners that show their values
    have them as their parents.

    Args:
        records: each with its `runner`.
    """
    ordered = sorted(
        (_begun(each) if is_output(each) else each for each in records),
        key=lambda record: str(record["time"]),
    )
    output: Record | None = None
    merged: list[Record] = []
    for each in ordered:
        if is_output(each):
            output = each if each["outcome"] != "skipped" else output
            merged.append(each)
        elif each["event"] == "input.received":
            merged.append(_linked(str(each["runner"]), each, output))
    return merged


def unexplained(answers: Iterable[Mapping[str, Known]]) -> set[str]:
    """Return the paths from whose values others came, and of which no output is known.

    Args:
        answers: those of all runners, by their names, to each question so far.
    """
    outputs = {
        path: output
        for each in answers
        for known in each.values()
        for path, output in known["outputs"].items()
    }
    return {name for output in outputs.values() for name in inputs_of(output)} - outputs.keys()


def _all(
    answers: Mapping[str, Known], further: Sequence[Mapping[str, Known]]
) -> list[tuple[str, Known]]:
    return [(runner, known) for each in (answers, *further) for runner, known in each.items()]


def _begun(output: Record) -> Record:
    """Return an output with the time at which it began: others may have seen it before its end."""
    began = datetime.fromisoformat(output["time"])
    began -= timedelta(seconds=output.get("duration") or 0.0)
    return {**output, "time": stamp_of(began), "duration": 0.0}


def _linked(runner: str, shown: Record, output: Record | None) -> Record:
    """Return an input with the output of another runner as its parent, if it shows its value."""
    if output is None or output["runner"] == runner:
        return shown
    is_same = shown.get("value") == output.get("value")
    if is_same and shown.get("unknown", False) == output.get("unknown", False):
        return {**shown, "parent": output.get("cause")}
    return shown
