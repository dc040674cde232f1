"""Whole houses in which all fails now and then: nothing is lost, stale or done twice.

A seed that fails is printed with its options and what happened, and kept in `failed-seeds.txt`:
it is tried again each time, until somebody takes it out. `ESHET_SEEDS=500` tries so many.
"""

import os
from pathlib import Path
from tempfile import TemporaryDirectory
from unittest import mock

import pytest

from tests.simulation.loop import SimulatedLoop
from tests.simulation.options import Options
from tests.simulation.simulation import simulate

SEEDS = int(os.environ.get("ESHET_SEEDS", "20"))
FAILED = Path(__file__).with_name("failed-seeds.txt")


def kept_seeds():
    return [int(line) for line in FAILED.read_text().split()] if FAILED.exists() else []


def run(seed):
    loop = SimulatedLoop()
    try:
        # Not in a folder of pytest, as the length of its name is a part of what is sent.
        with TemporaryDirectory() as place, mock.patch("os.getpid", return_value=1):
            return loop.run_until_complete(simulate(seed, Options.of(seed), Path(place)))
    finally:
        loop.close()


@pytest.mark.parametrize("seed", sorted({*range(SEEDS), *kept_seeds()}))
def test_nothing_is_lost_stale_or_done_twice(seed):
    history = run(seed)
    if history.violations:
        if seed not in kept_seeds():
            with FAILED.open("a") as file:
                file.write(f"{seed}\n")
        print("\n".join(history.trace))
        pytest.fail(f"seed {seed} with {Options.of(seed)}:\n" + "\n".join(history.violations))


def test_a_seed_gives_the_same_again():
    first, second = run(3), run(3)
    assert first.trace == second.trace
