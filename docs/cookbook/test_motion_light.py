import pytest


@pytest.mark.parametrize(("at", "level"), [("18:00", 100), ("23:00", 10), ("05:00", 10)])
async def test_it_is_on_for_two_minutes_and_dimmed_at_night(house, at, level):
    house.at(f"2026-12-01 {at}")
    house.device("/hall/lux", 5, settable=False)
    lamp = house.device("/hall/light", 0)
    await house.load("motion_light.py")
    await house.emit("/hall/motion")
    assert lamp.value == level
    await house.advance(minutes=2)
    assert lamp.value == 0


async def test_it_stays_off_by_day(house):
    house.device("/hall/lux", 500, settable=False)
    lamp = house.device("/hall/light", 0)
    await house.load("motion_light.py")
    await house.emit("/hall/motion")
    assert lamp.value == 0


async def test_the_switch_decides_for_an_hour(house):
    lamp = house.device("/hall/light", 0)
    await house.load("motion_light.py")
    await house.emit("/hall/switch", True)
    assert lamp.value == 100
    await house.advance(minutes=30)
    await house.emit("/hall/switch", False)
    await house.emit("/hall/motion")
    assert lamp.value == 0
    await house.advance(minutes=60)
    await house.emit("/hall/motion")
    assert lamp.value == 10  # it is night, and nothing says how bright it is


async def test_who_sets_the_lamp_decides_for_an_hour(house):
    lamp = house.device("/hall/light", 0)
    await house.load("motion_light.py")
    await house.emit("/hall/motion")
    await house.set("/hall/light", 40)
    await house.advance(minutes=59)
    await house.emit("/hall/motion")
    assert lamp.value == 40
    await house.advance(minutes=1)
    assert lamp.value == 10
