import pytest


@pytest.mark.parametrize("on", [True, False])
async def test_the_lamp_flashes_and_is_as_before(house, on):
    house.device("/study/lamp", on)
    await house.load("doorbell.py")
    await house.emit("/front_door/bell")
    await house.advance(0.2)
    await house.emit("/front_door/bell")  # impatient
    await house.advance(10)
    times = [0, 0.5, 1, 1.5]
    assert house.history("/study/lamp")[1:] == list(zip(times, [not on, on] * 2, strict=True))


async def test_the_lamp_is_restored_after_a_restart(house):
    lamp = house.device("/study/lamp", False)
    await house.load("doorbell.py")
    await house.emit("/front_door/bell")
    await house.restart(minutes=1)
    assert lamp.value is False
