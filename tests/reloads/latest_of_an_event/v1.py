from eshet import yarp
from eshet_rules import rule


@rule
async def level():
    motion = await yarp.event_listen("/motion")
    await yarp.state_register("/level", yarp.event_to_value(motion))
