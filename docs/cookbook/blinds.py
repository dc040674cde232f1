"""Blinds of the south window: up in a storm, else down at night, and half down in the sun."""

from eshet import yarp
from eshet_rules import rule

BERLIN = {"latitude": 52.5, "longitude": 13.4, "tz": "Europe/Berlin"}
UP, HALF, DOWN = 0, 60, 100  # percent


@rule
async def blinds():
    gusts = await yarp.state_observe("/weather/gusts")  # metres per second
    high, direction = yarp.sun_elevation(**BERLIN), yarp.sun_azimuth(**BERLIN)

    storm = yarp.hold(yarp.default(yarp.hysteresis(gusts, 8, 12), True), 900)
    dazzles = (high > 10) & (direction > 120) & (direction < 240)
    by_the_sun = yarp.when(DOWN, high < -4, otherwise=yarp.when(HALF, dazzles, otherwise=UP))
    position = yarp.when(UP, storm, otherwise=by_the_sun)
    await yarp.set_value("/living_room/blinds", yarp.no_repeat(position))
