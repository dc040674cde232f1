"""Waits after wrong tokens."""

from eshet.gateway.guesses import Guesses


def test_the_first_five_are_free_and_the_waits_double() -> None:
    guesses = Guesses()
    waits = [guesses.failed("a", 0.1 * number) for number in range(14)]
    assert waits == [0, 0, 0, 0, 0, 2, 4, 8, 16, 32, 60, 60, 60, 60]


def test_each_peer_has_waits_of_its_own() -> None:
    guesses = Guesses()
    for _ in range(10):
        guesses.failed("a", 0)
    assert guesses.failed("b", 0) == 0
    assert guesses.failed("a", 0) == 60


def test_two_minutes_of_silence_end_the_waits() -> None:
    guesses = Guesses()
    for _ in range(10):
        guesses.failed("a", 0)
    assert guesses.failed("a", 120) == 60
    assert guesses.failed("a", 241) == 0


def test_the_memory_is_bounded() -> None:
    guesses = Guesses()
    for number in range(10_100):
        guesses.failed(str(number), 0)
    assert len(guesses._peers) == 10_000
