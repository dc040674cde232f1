"""The delays between attempts to connect."""

import itertools

import pytest

from eshet.client.connection_manager import Backoff, backoff


@pytest.mark.parametrize(
    ("options", "delays"),
    [
        ({}, [0, 0.25, 0.5, 1, 2, 4, 5, 5]),
        ({"start": 1.0}, [0, 1, 2, 4, 5, 5]),
        ({"end": 1.0}, [0, 0.25, 0.5, 1, 1]),
        ({"multiplier": 3.0}, [0, 0.25, 0.75, 2.25, 5]),
    ],
)
def test_delays_grow_from_the_first_to_the_longest(
    options: dict[str, float], delays: list[float]
) -> None:
    assert list(itertools.islice(backoff(jitter=0, **options), len(delays))) == delays


@pytest.mark.parametrize("jitter", [0.1, 0.2, 0.5])
def test_delays_vary_by_the_jitter_and_no_more(jitter: float) -> None:
    third = [next(itertools.islice(backoff(jitter=jitter), 2, None)) for _ in range(400)]
    assert all(0.5 * (1 - jitter) <= delay <= 0.5 * (1 + jitter) for delay in third)
    assert min(third) < 0.5 * (1 - jitter * 0.8)
    assert max(third) > 0.5 * (1 + jitter * 0.8)
    default = [next(itertools.islice(backoff(), 2, None)) for _ in range(400)]
    assert 0.4 <= min(default) < 0.42
    assert 0.58 < max(default) <= 0.6


@pytest.mark.parametrize(("seconds", "is_reset"), [(0.0, False), (1.0, False), (1.01, True)])
def test_a_first_connection_that_lasted_over_a_second_resets_the_delays(
    seconds: float, is_reset: bool
) -> None:
    tries = Backoff()
    tries.lasted(seconds)
    assert tries.next_delay() == 0
    tries.lasted(seconds)
    assert (tries.next_delay() == 0) is is_reset


def test_after_a_long_delay_a_connection_has_to_last_longer() -> None:
    tries = Backoff()
    last = [tries.next_delay() for _ in range(8)][-1]
    tries.lasted(1.0 + 2 * last)
    assert tries.next_delay() > 0
    last = tries.next_delay()
    tries.lasted(1.01 + 2 * last)
    assert tries.next_delay() == 0
