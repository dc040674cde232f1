import pytest

from eshet import ErrorValue


@pytest.fixture
def heater(house):
    house.at("2026-12-01 06:00")  # a Tuesday
    return house.device("/living_room/heater", False)


@pytest.fixture
def thermometer(house):
    return house.device("/living_room/temperature", 19, settable=False)


async def test_it_heats_by_the_plan_of_the_week(house, heater, thermometer):
    await house.load("thermostat.py")
    assert heater.value is False
    await house.advance(minutes=30)
    assert heater.value is True
    await thermometer.report(21.3)
    assert heater.value is False
    await house.restart(days=4)
    assert await house.get("/living_room/target") == 17  # Saturday, 06:30


async def test_a_boost_lasts_for_half_an_hour(house, heater, thermometer):
    await house.load("thermostat.py")
    await house.emit("/living_room/boost")
    assert heater.value is True
    await house.advance(minutes=29)
    assert house.history("/living_room/target") == [(0, 17), (0, 23)]
    await house.advance(minutes=1)
    assert await house.get("/living_room/target") == 21


async def test_it_pauses_while_a_window_is_open(house, heater, thermometer):
    window = house.device("/living_room/window_open", False, settable=False)
    house.at("2026-12-01 07:00")
    await house.load("thermostat.py")
    for is_open in (True, False):
        await window.report(is_open)
        assert heater.value is not is_open


async def test_it_is_off_without_a_thermometer(house, heater, thermometer):
    house.at("2026-12-01 07:00")
    await house.load("thermostat.py")
    await thermometer.offline()
    assert heater.value is False
    await thermometer.online()
    assert heater.value is True
    await house.advance(hours=1)  # without a report
    assert heater.value is False


async def test_comfort_is_set_with_an_app_and_outlives_a_restart(house, heater, thermometer):
    await house.load("thermostat.py")
    await house.set("/living_room/comfort", 19.5)
    with pytest.raises(ErrorValue, match="write a number from 15 to 25, not 35"):
        await house.set("/living_room/comfort", 35)
    await house.restart(hours=1)
    assert await house.get("/living_room/target") == 19.5
