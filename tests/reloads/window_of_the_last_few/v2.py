from eshet import yarp
from eshet_rules import rule


NOTE = 2


@rule
async def level():
    motion = await yarp.event_listen("/motion")
    await yarp.state_register("/level", yarp.window(motion, 2))
