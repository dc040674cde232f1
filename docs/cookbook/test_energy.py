async def test_each_day_counts_from_midnight(house):
    house.at("2026-12-01 12:00")
    meter = house.device("/meter/total", 100.0, settable=False)
    await house.load("energy.py")
    for total, hours in ((103.0, 12), (105.5, 12), (109.0, 12), (111.25, 1)):
        await house.advance(hours=hours)
        await meter.report(total)
    assert await house.get("/energy/today") == 5.75
    assert await house.get("/energy/yesterday") == 5.5


async def test_an_outage_and_a_restart_over_midnight_lose_nothing(house):
    meter = house.device("/meter/total", 100.0, settable=False)
    await house.load("energy.py")
    await house.advance(hours=24)
    await meter.report(104.0)
    await meter.offline()
    await house.advance(hours=23)
    assert await house.get("/energy/today") == 4
    await house.restart(hours=2)
    await meter.online()
    assert await house.get("/energy/yesterday") == 4
