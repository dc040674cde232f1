"""The two kinds of time come from the running loop."""

import asyncio
import time
from datetime import UTC, datetime, timedelta, timezone

from eshet.clock import wall_now, wall_time
from eshet_rules.virtual_time import VirtualLoop
from tests.conftest import Advance


async def test_a_loop_with_a_wall_clock_of_its_own_decides(advance: Advance) -> None:
    before = wall_time()
    await advance(3600)
    assert wall_time() == before + 3600


async def test_the_wall_clock_is_a_date_in_the_zone_asked_for() -> None:
    tokyo = timezone(timedelta(hours=9))
    assert wall_now(UTC) == datetime(2026, 1, 1, tzinfo=UTC)
    assert wall_now(tokyo).hour == 9
    assert wall_now().tzinfo is None


async def test_a_loop_can_be_named() -> None:
    other = VirtualLoop(start=datetime(2000, 1, 1, tzinfo=UTC))
    assert wall_now(UTC, other).year == 2000
    other.close()


def test_without_a_loop_it_is_the_system_that_says() -> None:
    assert asyncio._get_running_loop() is None
    before = time.time()
    assert before <= wall_time() <= time.time()
