"""What the house notices of a reload: nothing."""

import pytest

MOTION_LIGHT = """
    from eshet import yarp
    from eshet_rules import rule

    NOTE = {note!r}

    @rule
    async def light():
        motion = await yarp.event_listen("/hall/motion")
        on = yarp.len(yarp.time_window(motion, 60)) > 0
        await yarp.state_register("/hall/light", on)
        await yarp.action_call("/lamp/switch", yarp.no_repeat(on))
        {end}
    """


@pytest.fixture
async def hall(house):
    """A house whose hall light has gone on at 0 s; its log of calls and of states."""
    house.lamp = await house.calls("/lamp/switch")
    house.moves = await house.viewer.event_register("/hall/motion")
    house.write("hall.py", MOTION_LIGHT.format(note="first", end=""))
    await house.reload()
    house.lamp.clear()
    house.light = await house.watch("/hall/light")
    await house.moves("somebody")
    await house.advance(0)
    assert house.light == [False, True]
    return house


async def test_a_light_does_not_notice_an_edit_of_another_line(hall):
    await hall.advance(10)
    hall.write("hall.py", MOTION_LIGHT.format(note="second", end=""))
    assert await hall.reload()
    await hall.advance(49)
    assert hall.light == [False, True]
    await hall.advance(1)
    assert hall.light == [False, True, False]
    assert hall.lamp == [[True], [False]]


async def test_a_light_does_not_notice_an_edit_that_fails(hall):
    await hall.advance(10)
    hall.write("hall.py", MOTION_LIGHT.format(note="second", end="raise OSError('no line')"))
    assert not await hall.reload()
    await hall.advance(49)
    assert hall.light == [False, True]
    await hall.advance(1)
    assert hall.light == [False, True, False]
    assert hall.lamp == [[True], [False]]


async def test_the_log_tells_per_rule_what_was_kept(hall):
    hall.write("hall.py", MOTION_LIGHT.format(note="second", end=""))
    await hall.reload()
    record = hall.log.find("handed over")
    assert record["rule"] == "hall.light"
    assert record["kept"] == ["time_window of /hall/motion", "no_repeat of /hall/motion"]
    assert "afresh" not in record
    assert hall.log.events("hall") == ["loaded", "handed over", "reloaded"]
