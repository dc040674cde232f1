async def test_an_open_door_is_reported_again_and_again(house):
    door = house.device("/front_door/open", False, settable=False)
    await house.load("front_door.py")
    await door.report(True)
    await house.advance(minutes=125)
    minutes = [each.split()[-2] for each in house.messages]
    assert minutes == ["5", "60", "120"]


async def test_a_closed_door_and_an_outage_are_not_reported(house):
    door = house.device("/front_door/open", False, settable=False)
    await house.load("front_door.py")
    for is_open in (True, False, True):
        await door.report(is_open)
        await house.advance(minutes=4)
    await door.offline()
    await house.advance(hours=1)
    assert house.messages == []
