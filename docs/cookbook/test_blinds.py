async def test_they_follow_the_sun(house):
    house.at("2026-06-21 00:00", tz="Europe/Berlin")
    house.device("/weather/gusts", 3, settable=False)
    house.device("/living_room/blinds", 0)
    await house.load("blinds.py")
    await house.advance(days=1)
    moves = house.history("/living_room/blinds")[1:]
    assert [round(time / 3600, 1) for time, _ in moves] == [0, 4.2, 10.6, 15.7, 22.1]
    assert [position for _, position in moves] == [100, 0, 60, 0, 100]


async def test_a_storm_comes_first_and_for_a_quarter_of_an_hour(house):
    house.at("2026-06-21 13:00", tz="Europe/Berlin")
    gusts = house.device("/weather/gusts", 3, settable=False)
    blinds = house.device("/living_room/blinds", 0)
    await house.load("blinds.py")
    for speed, minutes, position in ((3, 0, 60), (13, 5, 0), (3, 9, 0), (3, 1, 60)):
        await gusts.report(speed)
        await house.advance(minutes=minutes)
        assert blinds.value == position
    await gusts.offline()
    assert blinds.value == 0
