from eshet import yarp
from eshet_rules import rule


@rule.each("/level", "/light")
async def light(path):
    motion = await yarp.event_listen("/motion")
    await yarp.state_register(path, yarp.len(yarp.time_window(motion, 60)))
