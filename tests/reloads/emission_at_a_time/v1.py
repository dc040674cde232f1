import asyncio

from eshet import yarp
from eshet_rules import rule


@rule
async def bell():
    in_half_a_minute = asyncio.get_running_loop().time() + 30
    await yarp.event_register("/bell", yarp.emit_at((in_half_a_minute, "ding")))
