async def test_the_lamp_is_on_each_evening_at_other_times(house):
    house.at("2026-12-01 12:00", tz="Europe/Berlin")
    house.device("/house/vacation", True)
    house.device("/living_room/lamp", False)
    await house.load("vacation.py")
    await house.advance(days=3)
    changes = [12 + time / 3600 for time, _ in house.history("/living_room/lamp")[1:]]
    assert all(15.85 < hour % 24 < 16.6 for hour in changes[::2])  # sunset is at 15:54
    assert all(22.25 < hour % 24 < 23 for hour in changes[1::2])
    assert len({round(hour % 24, 2) for hour in changes}) == 6


async def test_nothing_is_lit_while_somebody_is_at_home(house):
    house.device("/house/vacation", False)
    lamp = house.device("/living_room/lamp", False)
    await house.load("vacation.py")
    await house.advance(days=2)
    assert lamp.sets == []
