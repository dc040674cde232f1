"""Merges the answers of the runners of a cluster."""

from collections.abc import Mapping
from typing import Any

__all__ = ["merge_answers"]


def merge_answers(answers: Mapping[str, Mapping[str, Any]]) -> dict[str, Any]:
    """Return the answers of several runners as one.

    Each rule in `rules` has its `runner`; in the other lists, the entry of a rule ends with it.

    Args:
        answers: those of at least one runner, by its name; see `Answering.why_not`.
    """
    return {
        **next(iter(answers.values())),
        "rules": [
            {**rule, "runner": runner}
            for runner, answer in answers.items()
            for rule in answer["rules"]
        ],
        **{
            name: [[*rule, runner] for runner, answer in answers.items() for rule in answer[name]]
            for name in ("others", "readers", "stopped")
        },
        "broken": {k: v for answer in answers.values() for k, v in answer["broken"].items()},
        "drive": next((each["drive"] for each in answers.values() if each["drive"]), None),
        "is_secret": any(each["is_secret"] for each in answers.values()),
        "is_recording": any(each["is_recording"] for each in answers.values()),
    }
