"""Heating: up to the target, which anybody can set."""

from eshet import yarp
from eshet.utils import RunSerially
from eshet_rules import keep, rule


@rule(strategy=RunSerially(only_latest=True, retry=True))
async def heater():
    target = keep("target", 21.0)
    await yarp.state_register("/heating/target", target, settable=True)
    cold = yarp.hysteresis(target - await yarp.state_observe("/temperature"), -0.2, 0.2)
    await yarp.set_value("/heating/heater", yarp.no_repeat(yarp.default(cold, False)))
