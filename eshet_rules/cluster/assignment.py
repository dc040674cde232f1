"""Which runner of a cluster runs a module: weighted rendezvous hashing.

Each pair of a module and a runner has a *score*, computed from a hash of their names and the weight
of the runner. The candidate with the lowest score of a module ranks first. So all runners that know
the same candidates agree without a message; of two runners, one with twice the weight ranks first
for twice as many modules; and when a runner goes, only its own modules move, each to its second.

The score is -ln(u) / weight, where u is the hash as a number in (0, 1): an exponentially
distributed number with the weight as its rate. The probability that it is the lowest of several is
the share of its rate in their sum.
"""

import hashlib
import math
from collections.abc import Callable, Collection, Iterable, Mapping
from typing import Final, NamedTuple

__all__ = ["Assignment", "Candidate", "rank"]

_BITS: Final = 52
"""Bits of a hash that are used: a float holds them, and a half, exactly."""

_SPAN: Final = float(1 << _BITS)


class Candidate(NamedTuple):
    """A runner that may run modules.

    Args:
        runner: its name.
        weight: its share of the modules, relative to that of others; above 0.
    """

    runner: str
    weight: float = 1.0


def rank(module: str, candidates: Iterable[Candidate]) -> list[str]:
    """Return the names of runners in the order in which they are to run a module, best first.

    Args:
        module: the name of the module.
        candidates: the runners that may run it.
    """
    encoded = module.encode(errors="surrogatepass")
    scores = [(_scorer(each)(encoded), each.runner) for each in candidates]
    return [runner for _, runner in sorted(scores)]


class Assignment:
    """The runner that ranks first for each module, kept up to date while runners come and go.

    A change of a runner costs a hash for each module that it may run; the end of one costs a
    comparison for each runner and each of its modules.
    """

    def __init__(self) -> None:
        self._weights: dict[str, float] = {}
        self._scores: dict[str, dict[str, float]] = {}  # by runner and module
        self._first: dict[str, str] = {}

    @property
    def first(self) -> Mapping[str, str]:
        """The runner that ranks first, by the names of the modules that have a candidate."""
        return self._first

    def put(self, candidate: Candidate, modules: Collection[str]) -> bool:
        """Add a runner, or change its weight or its modules.

        Args:
            candidate: the runner.
            modules: the names of the modules that it may run.

        Returns:
            Whether that has changed anything.
        """
        runner, weight = candidate
        if self._weights.get(runner) != weight:
            self.remove(runner)
        is_new = runner not in self._weights
        self._weights[runner] = weight
        scores = self._scores.setdefault(runner, {})
        gone, added = scores.keys() - modules, set(modules) - scores.keys()
        for module in gone:
            del scores[module]
            self._replace(module, runner)
        score = _scorer(candidate)
        for module in added:
            value = scores[module] = score(module.encode(errors="surrogatepass"))
            first = self._first.get(module)
            if first is None or (value, runner) < (self._scores[first][module], first):
                self._first[module] = runner
        return is_new or bool(gone or added)

    def remove(self, runner: str) -> None:
        """Remove a runner, if it is a candidate: each of its modules goes to its second."""
        self._weights.pop(runner, None)
        for module in self._scores.pop(runner, ()):
            self._replace(module, runner)

    def first_without(self, module: str, runner: str | None = None) -> str | None:
        """Return the runner that ranks first for a module among all but one.

        Returns:
            None if there is no other candidate.
        """
        scores = [
            (of_runner[module], name)
            for name, of_runner in self._scores.items()
            if name != runner and module in of_runner
        ]
        return min(scores)[1] if scores else None

    def _replace(self, module: str, runner: str) -> None:
        """Let the second be the first for a module, if this runner was."""
        if self._first[module] != runner:
            return
        first = self.first_without(module, runner)
        if first is None:
            del self._first[module]
        else:
            self._first[module] = first


def _scorer(candidate: Candidate) -> Callable[[bytes], float]:
    """Return a function that returns the score of a candidate for a module."""
    # Of fixed length, so that no two pairs of names have the same text.
    runner = hashlib.sha256(candidate.runner.encode(errors="surrogatepass")).digest()
    weight, blake2b, log, number_of = candidate.weight, hashlib.blake2b, math.log, int.from_bytes

    def score(module: bytes) -> float:
        digest = blake2b(runner + module, digest_size=8).digest()
        number = number_of(digest, "big") >> (64 - _BITS)
        return -log((number + 0.5) / _SPAN) / weight

    return score
