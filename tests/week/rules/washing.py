"""Washing machine: a message when it has used no power for two minutes after it ran."""

from eshet import yarp
from eshet_rules import rule


@rule
async def done():
    power = await yarp.state_observe("/washing/power")
    done = yarp.rising(yarp.for_duration(power < 5, 120))
    await yarp.action_call("/phone", "the washing is done", yarp.when(done, power < 5))
