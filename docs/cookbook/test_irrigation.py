import pytest


@pytest.mark.parametrize(("rain", "runs"), [(0, [False, True, False]), (6, [False])])
async def test_it_runs_unless_it_rained(house, rain, runs):
    house.device("/weather/rain_24h", rain, settable=False)
    house.device("/garden/valve", False)
    await house.load("irrigation.py")
    await house.advance(hours=12)
    assert house.sets("/garden/valve") == runs


async def test_a_missed_run_is_made_up(house):
    house.device("/garden/valve", False)
    await house.load("irrigation.py")
    await house.restart(hours=8)
    await house.advance(hours=1)
    assert house.history("/garden/valve")[1:] == [(8 * 3600, True), (8 * 3600 + 1200, False)]


async def test_a_run_ends_in_time_after_a_restart(house):
    valve = house.device("/garden/valve", False)
    await house.load("irrigation.py")
    await house.advance(hours=5, minutes=31)
    await house.restart(minutes=5)
    assert valve.value is True
    await house.restart(hours=1)
    assert valve.value is False
