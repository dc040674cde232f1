"""The mean of the last six temperatures."""

from eshet import yarp
from eshet_rules import rule


@rule
async def mean():
    temperature = await yarp.state_observe("/temperature")
    mean = yarp.average(yarp.window(temperature, 6))
    await yarp.state_register("/mean_temperature", mean)
