"""Which faults a simulation has, and how many of them: all chosen by its seed."""

import random
from dataclasses import dataclass, fields

__all__ = ["Options", "rates"]


@dataclass(frozen=True)
class Options:
    """The faults of one simulation.

    A rate is how often something happens in a second, on average over the whole house; 0 means
    never. Each kind of fault is left out of about a third of all simulations, so that what one kind
    hides is found without it.
    """

    longest_delay: float
    """Seconds that a piece of a message takes at most, each way."""
    slices: bool
    """Whether messages arrive in pieces."""
    cuts: float
    """One connection breaks; one end of it may notice later."""
    silences: float
    """One connection carries nothing any more, and nobody is told."""
    takeovers: float
    """Somebody else connects with the id of a client, and leaves."""
    server_crashes: float
    runner_crashes: float
    client_crashes: float
    disk_failures: float
    """Of one runner: a call on its way to the disk fails, and maybe those after it."""
    disk_crashes: float
    """Of one runner: it is killed in the middle of a write."""
    saves: float
    """A module is saved with another version number."""
    broken_saves: float
    """A module is saved with a syntax error, or in two parts."""
    lost_hints: float
    """The chance that the system does not report a save."""

    @classmethod
    def of(cls, seed: int) -> "Options":
        """Return the options of a seed."""
        chance = random.Random(f"options {seed}")  # noqa: S311 - to get the same again

        def rate(*choices: float) -> float:
            return chance.choice((0.0, *choices))

        return cls(
            longest_delay=rate(0.002, 0.05, 0.3),
            slices=chance.random() < 0.3,
            cuts=rate(0.05, 0.3, 1.0),
            silences=rate(0.02, 0.1),
            takeovers=rate(0.05, 0.2),
            server_crashes=rate(0.02, 0.1),
            runner_crashes=rate(0.02, 0.1),
            client_crashes=rate(0.02, 0.1),
            disk_failures=rate(0.05, 0.3),
            disk_crashes=rate(0.02, 0.05),
            saves=rate(0.2, 1.0),
            broken_saves=rate(0.05, 0.2),
            lost_hints=rate(0.3, 1.0),
        )


def rates(options: Options) -> dict[str, float]:
    """Return the rates of what happens now and then, by its name."""
    timed = ("cuts", "silences", "takeovers", "saves", "broken_saves")
    names = [
        f.name
        for f in fields(options)
        if f.name in timed or f.name.endswith(("crashes", "failures"))
    ]
    return {name: getattr(options, name) for name in names}
