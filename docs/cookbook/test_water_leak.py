async def test_a_leak_closes_the_valve_which_stays_closed(house):
    leak = house.device("/cellar/leak", False, settable=False)
    valve = house.device("/cellar/valve_open", True, fails=1)
    await house.load("water_leak.py")
    await house.advance(hours=1)
    await leak.report(True)
    await house.advance(10)
    await leak.report(False)
    await house.advance(hours=1)
    assert "/cellar/valve_open fails" in house.errors.pop()
    assert valve.sets == [False, False]
    assert house.messages == ["water in the cellar: closing the valve"]


async def test_a_valve_that_does_not_close_is_reported(house):
    leak = house.device("/cellar/leak", False, settable=False)
    valve = house.device("/cellar/valve_open", True)
    await house.load("water_leak.py")
    await leak.report(True)
    await valve.report(True)  # it moved back
    await house.advance(30)
    assert house.messages[-1] == "water in the cellar: the valve does not close"


async def test_a_valve_that_is_offline_is_reported(house):
    leak = house.device("/cellar/leak", False, settable=False)
    valve = house.device("/cellar/valve_open", True)
    await house.load("water_leak.py")
    await valve.offline()
    await leak.report(True)
    await house.advance(30)
    assert house.messages[-1] == "water in the cellar: the valve does not close"
    assert "/cellar/valve_open is offline" in house.errors[0]
    house.errors.clear()


async def test_an_outage_of_the_sensor_is_no_second_leak(house):
    leak = house.device("/cellar/leak", False, settable=False)
    house.device("/cellar/valve_open", True)
    await house.load("water_leak.py")
    await leak.report(True)
    await leak.offline()
    await leak.online()
    assert len(house.messages) == 1
