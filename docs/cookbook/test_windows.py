import pytest


@pytest.mark.parametrize(("room", "minutes"), [("attic", 10), ("bath", 20), ("study", 10)])
async def test_a_window_is_reported_in_the_cold(house, room, minutes):
    outside = house.device("/weather/temperature", 20, settable=False)
    window = house.device(f"/{room}/window_open", False, settable=False)
    await house.load("windows.py")
    await window.report(True)
    await house.advance(hours=1)
    await outside.report(5)
    await house.advance(minutes=minutes, seconds=-1)
    assert house.messages == []
    await house.advance(1)
    assert house.messages == [f"the window is open: {room}"]


async def test_each_room_has_a_rule_of_its_own(house):
    house.device("/weather/temperature", 5, settable=False)
    kitchen, hall = (house.device(f"/{room}/window_open", False) for room in ("kitchen", "hall"))
    await house.load("windows.py")
    for each in (kitchen, hall):
        await each.report(True)
    await house.advance(minutes=5)
    await kitchen.report(False)
    await house.advance(minutes=5)
    assert house.messages == ["the window is open: hall"]
