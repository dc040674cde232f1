async def test_it_is_on_and_off_for_a_minimum_time(house):
    humidity = house.device("/bath/humidity", 50, settable=False)
    house.device("/bath/fan", False)
    await house.load("fan.py")
    for percent in (80, 50, 80, 50):
        await humidity.report(percent)
        await house.advance(minutes=1)
    await humidity.report(80)
    await house.advance(hours=1)
    await humidity.report(50)
    assert house.history("/bath/fan") == [(0, False), (300, True), (3840, False)]


async def test_a_minimum_time_continues_after_a_restart(house):
    humidity = house.device("/bath/humidity", 80, settable=False)
    fan = house.device("/bath/fan", False)
    await house.load("fan.py")
    await humidity.offline()
    await house.restart(minutes=9)
    assert fan.value is True
    await house.advance(minutes=1)
    assert fan.value is False
