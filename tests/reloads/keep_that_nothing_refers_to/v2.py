import asyncio

from eshet import yarp
from eshet_rules import keep, rule


# Another line.
@rule
async def boots():
    number = keep("boots", 0)
    await asyncio.sleep(0.5)
    number.value += 1
    await yarp.state_register("/count", yarp.Value(number.value))
