"""Vacation: lights the living room in the evening, never at the same minute, for burglars."""

import random

from eshet import yarp
from eshet_rules import rule

BERLIN = {"latitude": 52.5, "longitude": 13.4, "tz": "Europe/Berlin"}


@yarp.fn
def jitter(evening):
    """Return up to 40 minutes, the same on one day: a restart does not change it."""
    return random.Random(evening.toordinal()).uniform(0, 2400)


@rule
async def vacation():
    on_vacation = await yarp.state_observe("/house/vacation")
    evening = yarp.sun("sunset", **BERLIN)
    night = yarp.schedule("22:15", tz="Europe/Berlin")
    lit = yarp.latest(yarp.map_to(evening, True), yarp.map_to(night, False), initial=False)
    late = yarp.delay(lit, yarp.latest(jitter(evening), initial=0))
    await yarp.set_value("/living_room/lamp", yarp.no_repeat(yarp.when(late, on_vacation)))
