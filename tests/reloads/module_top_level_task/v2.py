import asyncio

from eshet import yarp
from eshet_rules import rule


NOTE = 2


ticks = yarp.Value(0)


async def tick():
    while True:
        await asyncio.sleep(10)
        ticks.value += 1


asyncio.get_running_loop().create_task(tick())


@rule
async def level():
    await yarp.state_register("/level", ticks)
