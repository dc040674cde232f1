"""Thermostat: heats the living room up to the target, which anybody can set.

eshet set /house/thermostat/target 23
"""

from eshet import Unknown, yarp
from eshet.utils import RunSerially
from eshet_rules import keep, rule

HYSTERESIS = 0.2  # degrees to either side of the target in which the heater is left as it is


@yarp.fn
def needs_heat(temperature, target):
    if temperature is Unknown:
        return False  # nobody can say how warm it is: rather cold than on fire
    if temperature < target - HYSTERESIS:
        return True
    if temperature > target + HYSTERESIS:
        return False
    return yarp.NoChange


@rule(strategy=RunSerially(only_latest=True, retry=True))
async def thermostat():
    target = keep("target", 21.0)  # which outlives edits of this file, and restarts
    await yarp.state_register("/house/thermostat/target", target, settable=True)
    temperature = await yarp.state_observe("/house/living_room/temperature")
    heat = yarp.no_repeat(needs_heat(temperature, target))
    await yarp.set_value("/house/living_room/heater", heat)
