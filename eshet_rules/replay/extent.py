"""How much two versions of rules were compared on: the time, and the number of inputs."""

from collections.abc import Sequence
from dataclasses import dataclass
from datetime import datetime, timedelta
from typing import Final

from eshet_rules.replay.recording import Output, Recording

__all__ = ["Extent", "extent_of"]

_SHORTEST: Final = 60.0
"""Seconds of inputs; with fewer, an absence of differences means little."""


@dataclass(frozen=True)
class Extent:
    """The inputs on which versions were compared.

    Args:
        since: the beginning of the time that was compared, in the local time zone.
        until: its end.
        wanted_s: how many seconds were to be compared.
        inputs: the number of inputs in that time.
        outputs: the number of outputs in that time, of the version with more of them.
    """

    since: datetime
    until: datetime
    wanted_s: float
    inputs: int
    outputs: int

    @property
    def too_little(self) -> str:
        """Why an absence of differences means little; empty if it means something."""
        seconds = (self.until - self.since).total_seconds()
        if seconds < min(_SHORTEST, self.wanted_s - 1):
            return f"only {seconds:.0f} s of inputs are recorded"
        return "" if self.inputs or self.outputs else "no inputs are recorded"

    def __str__(self) -> str:
        count = "1 input" if self.inputs == 1 else f"{self.inputs:,} inputs"
        return f"{count} from {self.since:%Y-%m-%d %H:%M:%S} to {self.until:%Y-%m-%d %H:%M:%S}"


def extent_of(recording: Recording, wanted: timedelta, *outputs: Sequence[Output]) -> Extent:
    """Return how much of a recording was compared.

    Args:
        recording: the recorded inputs.
        wanted: the time that was to be compared.
        outputs: those of each version.
    """
    begin = recording.compared_from
    numbers = [sum(each.at >= begin and not each.in_set_up for each in of) for of in outputs]
    return Extent(
        (recording.start + timedelta(seconds=begin)).astimezone(),
        recording.end.astimezone(),
        wanted.total_seconds(),
        sum(each.at >= begin for each in recording.inputs),
        max(numbers, default=0),
    )
