"""The log of refused requests."""

import logging

import pytest

from eshet.gateway.refusals import RefusalLog


class Clock:
    now = 0.0


@pytest.fixture
def refusals(caplog: pytest.LogCaptureFixture) -> RefusalLog:
    caplog.set_level(logging.WARNING)
    return RefusalLog(logging.getLogger("eshet.gateway"), lambda: Clock.now)


def test_a_line_says_who_and_what(refusals: RefusalLog, caplog: pytest.LogCaptureFixture) -> None:
    refusals.refused("192.0.2.7", "403 foreign_origin", "POST /set/hall/light")
    assert caplog.messages == [
        "refused POST /set/hall/light from 192.0.2.7: 403 foreign_origin",
    ]


def test_a_value_can_not_forge_a_line(
    refusals: RefusalLog, caplog: pytest.LogCaptureFixture
) -> None:
    refusals.refused("192.0.2.7", "404", "GET /a\r\nrefused \x1b[2J " + "x" * 1000)
    [line] = caplog.messages
    assert line.isprintable()
    assert len(line) < 300


def test_a_flood_is_one_line_a_minute(
    refusals: RefusalLog, caplog: pytest.LogCaptureFixture
) -> None:
    for _ in range(1000):
        refusals.refused("a", "why", "what")
    refusals.refused("b", "why", "what")
    Clock.now += 60
    refusals.refused("a", "why", "what")
    assert caplog.messages == [
        "refused what from a: why",
        "refused what from b: why",
        "refused what from a: why (999 more since the last line)",
    ]


def test_the_memory_is_bounded(refusals: RefusalLog) -> None:
    for number in range(10_100):
        refusals.refused(str(number), "why", "what")
    assert len(refusals._last) == 10_000
