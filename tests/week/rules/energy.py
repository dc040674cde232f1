"""Cheap power: the boiler is on while a kilowatt hour costs less than 20 cents."""

from eshet import yarp
from eshet_rules import rule


@rule
async def boiler():
    price = await yarp.state_observe("/price")
    cheap = yarp.rate_limit(yarp.no_repeat(price < 20), 900)
    await yarp.set_value("/boiler", yarp.default(cheap, False))
