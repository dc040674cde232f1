async def test_the_lamp_gets_brighter_on_workdays(house):
    house.at("2026-12-04 06:00")  # a Friday
    house.device("/bedroom/lamp", 0)
    await house.load("alarm_clock.py")
    await house.advance(days=3)
    fade = [(1800 + 120 * n, 10 * n) for n in range(1, 11)]
    assert house.history("/bedroom/lamp") == [(0, 0), *fade]


async def test_the_button_stops_it(house):
    house.at("2026-12-04 06:00")
    lamp = house.device("/bedroom/lamp", 0)
    await house.load("alarm_clock.py")
    await house.advance(minutes=36)
    assert lamp.value == 30
    await house.emit("/bedroom/button")
    await house.advance(hours=1)
    assert lamp.sets == [10, 20, 30, 0]


async def test_it_stays_dark_when_it_is_not_armed(house):
    house.at("2026-12-04 06:00")
    lamp = house.device("/bedroom/lamp", 0)
    await house.load("alarm_clock.py")
    await house.set("/alarm/armed", False)
    await house.restart(minutes=10)
    await house.advance(hours=1)
    await house.emit("/bedroom/button")
    assert lamp.sets == []
    await house.set("/alarm/armed", True)
    await house.advance(days=3)
    assert lamp.value == 100
