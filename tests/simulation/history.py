"""What was seen in a simulated house, and what of that must not be."""

from collections.abc import Callable
from typing import Any, NamedTuple

from eshet import Unknown

__all__ = ["Emitter", "History"]

_IN_FLIGHT = 3.0
"""Seconds for which something of a killed process may still be on its way."""

_OLDEST = 1.5
"""Seconds of which a rule may forget what it kept when its runner is killed, at most."""


class Emitter(NamedTuple):
    """Who counts what comes at a path.

    Args:
        runner: whose kill may take the number back.
        rate: numbers in a second.
    """

    runner: str
    rate: float


class History:
    """Takes what happens, in order, and notes what contradicts a promise.

    Args:
        clock: the time of the house, in seconds.
    """

    def __init__(self, clock: Callable[[], float]) -> None:
        self._clock = clock
        self.violations: list[str] = []
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
        self.disk_failed = False
        """Whether a runner could not keep something: then more may be forgotten at a kill."""
        self._seen_at: dict[str, float] = {}

    def note(self, what: str) -> None:
        """Take note of something, for people."""
        self.trace.append(f"{self._clock():8.3f} {what}")

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

    def number(self, path: str, number: int, emitter: Emitter | None = None) -> None:
        """Take the number of an event or call, which nobody may get twice, or too late.

        Args:
            path: where it came.
            number: which only grows.
            emitter: who counts, if that may be killed.
        """
        seen = self._at(path)
        self.note(f"{path} {number}")
        if seen and number <= seen[-1] and not self._may_forget(path, emitter, seen[-1] - number):
            self.violate(f"{path} got {number} after {seen[-1]}")
        if seen and self.calm and number > seen[-1] + 1:
            self.violate(f"{path} got {number} after {seen[-1]}, though no connection broke")
        self._see(path, number)

    def value(self, path: str, value: Any, emitter: Emitter | None = None) -> None:
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
        elif known and value < known[-1] and not self._may_forget(path, emitter, known[-1] - value):
            self.violate(f"{path} is {value} after {known[-1]}")
        self._see(path, value)

    def once(self, path: str, number: int, runner: str) -> None:
        """Take the number of a call that may be made twice only if its process was killed."""
        seen = self._at(path)
        self.note(f"{path} {number}")
        if number in seen and not self.kills.get(runner):
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

    def _see(self, path: str, what: Any) -> None:
        self._at(path).append(what)
        self._seen_at[path] = self._clock()

    def _may_forget(self, path: str, emitter: Emitter | None, numbers: int) -> bool:
        """Whether a kill since what came last explains that a number was taken back by so many."""
        if emitter is None:
            return False
        since = self._seen_at[path] - _IN_FLIGHT
        was_killed = any(kill >= since for kill in self.kills.get(emitter.runner, ()))
        return was_killed and (self.disk_failed or numbers <= emitter.rate * _OLDEST + 1)
