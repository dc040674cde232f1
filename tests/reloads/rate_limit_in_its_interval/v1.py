from eshet import yarp
from eshet_rules import rule


@rule
async def bell():
    motion = await yarp.event_listen("/motion")
    await yarp.event_register("/bell", yarp.rate_limit(motion, 30))
