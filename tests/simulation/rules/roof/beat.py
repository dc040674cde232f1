import asyncio

from eshet import yarp
from eshet_rules import keep, rule

VERSION = 0


@rule
async def beat():
    """Emit a number twice a second, from a task."""
    await yarp.state_register("/version/beat", yarp.Value(VERSION))
    number = keep("number", 0)
    beat = yarp.Event()
    await yarp.event_register("/out/beat", beat)
    while True:
        await asyncio.sleep(0.5)
        number.value += 1
        beat.emit(number.value)
