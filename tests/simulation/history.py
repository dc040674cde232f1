"""What was seen in a simulated house, and what of that must not be."""

from collections import Counter
from collections.abc import Callable
from typing import Any

from eshet import Unknown

__all__ = ["History"]

_IN_FLIGHT = 3.0
"""Seconds for which something of a killed process may still be on its way."""


class History:
    """Takes what happens, in order, and notes what contradicts a promise.

    Args:
        clock: the time of the house, in seconds.
    """

    def __init__(self, clock: Callable[[], float]) -> None:
        self._clock = clock
        self.violations: list[str] = []
        self.counts: Counter[str] = Counter()
        """How often each thing happened."""
        self.calm = True
        """Whether nothing but saves and full disks has happened: then nothing may be lost."""
        self.trace: list[str] = []
        """What happened, for people."""
        self.kills: dict[str, list[float]] = {}
        """When each process was killed."""
        self.emitted = 0
        """The last tick that was begun."""
        self.level = 0
        """The newest level."""
        self.dark = False
        """Whether it is dark."""
        self.seen: dict[str, list[Any]] = {}
        """What came at each path."""

    def note(self, what: str) -> None:
        """Take note of something, for people."""
        self.trace.append(f"{self._clock():8.3f} {what}")
        self.counts[what.split()[0]] += 1

    def violate(self, what: str) -> None:
        """Take note of a broken promise."""
        self.note(f"VIOLATION {what}")
        self.violations.append(f"at {self._clock():.3f} s: {what}")

    def killed(self, name: str) -> None:
        """Take note that a process was killed."""
        self.calm = False
        self.kills.setdefault(name, []).append(self._clock())
        self.note(f"kill {name}")

    # --- what comes at a path -----------------------------------------------------------------

    def number(self, path: str, number: int, *, emitter: str = "") -> None:
        """Take the number of an event or call, which nobody may get twice, or too late.

        Args:
            path: where it came.
            number: which only grows.
            emitter: the process whose kill may take its numbers back by a second.
        """
        seen = self._at(path)
        self.note(f"{path} {number}")
        if seen and number <= seen[-1] and not self._killed_lately(emitter, _IN_FLIGHT):
            self.violate(f"{path} got {number} after {seen[-1]}")
        if seen and self.calm and number > seen[-1] + 1:
            self.violate(f"{path} got {number} after {seen[-1]}, though no connection broke")
        seen.append(number)

    def value(self, path: str, value: Any, *, emitter: str = "") -> None:
        """Take the value of a state that never goes down, but may be unknown.

        Args:
            path: of the state.
            value: the new one.
            emitter: see `number`.
        """
        seen = self._at(path)
        self.note(f"{path} {value}")
        known = [each for each in seen[-2:] if each is not Unknown]
        if value is Unknown:
            if self.calm and seen and seen[-1] is not Unknown:
                self.violate(f"{path} is unknown after {seen[-1]}, though no connection broke")
        elif known and value < known[-1] and not self._killed_lately(emitter, _IN_FLIGHT):
            self.violate(f"{path} is {value} after {known[-1]}")
        seen.append(value)

    def once(self, path: str, number: int, *, emitter: str) -> None:
        """Take the number of a call that may be made twice only if its process was killed."""
        seen = self._at(path)
        self.note(f"{path} {number}")
        if number in seen and not self.kills.get(emitter):
            self.violate(f"{path} got {number} twice")
        seen.append(number)

    def setting(self, path: str, value: Any) -> None:
        """Take what a device is set to, which it is not set to again if nothing was lost."""
        seen = self._at(path)
        self.note(f"{path} set to {value}")
        if self.calm and seen and seen[-1] == value:
            self.violate(f"{path} was set to {value} twice")
        seen.append(value)

    def _at(self, path: str) -> list[Any]:
        return self.seen.setdefault(path, [])

    def _killed_lately(self, name: str, seconds: float) -> bool:
        kills = self.kills.get(name)
        return bool(kills) and self._clock() - kills[-1] < seconds
