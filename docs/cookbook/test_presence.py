async def test_the_house_is_empty_ten_minutes_after_the_last_one_left(house):
    anna, ben = (house.device(f"/phones/{name}", True) for name in ("anna", "ben"))
    await house.load("presence.py")
    await anna.report(False)
    await house.advance(hours=1)
    await ben.report(False)
    await house.advance(minutes=10)
    assert house.history("/presence/anybody") == [(0, True), (4200, False)]
    await anna.report(True)
    assert await house.get("/presence/anybody") is True


async def test_a_short_absence_and_an_outage_are_no_departure(house):
    anna, _ = (house.device(f"/phones/{name}", False) for name in ("anna", "ben"))
    await house.load("presence.py")
    await house.advance(minutes=9)
    await anna.offline()
    await house.advance(hours=1)
    assert house.history("/presence/anybody") == [(0, True)]
