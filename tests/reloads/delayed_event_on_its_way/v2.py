from eshet import yarp
from eshet_rules import rule


NOTE = 2


@rule
async def bell():
    motion = await yarp.event_listen("/motion")
    await yarp.event_register("/bell", yarp.delay(motion, 30))
