async def test_it_is_done_when_it_stays_off_for_two_minutes(house):
    power = house.device("/washing_machine/power", 0, settable=False)
    await house.load("washing_machine.py")
    for watts, seconds in ((400, 600), (2, 60), (300, 600), (0, 119)):
        await power.report(watts)
        await house.advance(seconds)
    assert house.messages == []
    await house.advance(1)
    assert house.messages == ["the washing is done"]


async def test_an_outage_and_a_restart_do_not_hide_the_end(house):
    power = house.device("/washing_machine/power", 400, settable=False)
    await house.load("washing_machine.py")
    await house.advance(minutes=10)
    await power.offline()
    await house.restart(minutes=10)
    await power.report(0)
    await power.online()
    await house.advance(minutes=2)
    assert house.messages == ["the washing is done"]
