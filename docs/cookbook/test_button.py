import pytest


@pytest.mark.parametrize(
    ("seconds", "gesture"),
    [
        ([0.1], ["single"]),
        ([0.1, 0.2, 0.1], ["double"]),
        ([0.1, 1, 0.1], ["single", "single"]),
        ([1.5, 1, 0.1], ["long", "single"]),
        ([0.1, 0.2, 0.1, 1, 0.1], ["double", "single"]),
        ([0.1, 0.2, 1], ["double"]),
    ],
)
async def test_gestures(house, seconds, gesture):
    button = house.device("/bedroom/button_pressed", False, settable=False)
    await house.load("button.py")
    for place, duration in enumerate([*seconds, 2]):
        await button.report(place % 2 == 0)
        await house.advance(duration)
    assert house.emitted("/bedroom/gesture") == gesture
