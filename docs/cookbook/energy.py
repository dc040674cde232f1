"""Energy: kilowatt hours of this day and of the last one, from a meter that only counts up."""

from eshet import Unknown, yarp
from eshet_rules import rule


@rule
async def energy():
    total = await yarp.state_observe("/meter/total")
    known = yarp.filter(total, lambda kwh: kwh is not Unknown)  # the last one that was known
    midnight = yarp.schedule("00:00", missed="emit")
    at_midnight = yarp.latest(yarp.sample(known, midnight))
    last_two = yarp.window(at_midnight, 2)

    today = known - yarp.replace_novalue(at_midnight, known)
    await yarp.state_register("/energy/today", round(today, 3))
    await yarp.state_register("/energy/yesterday", round(last_two[-1] - last_two[0], 3))
