from eshet import yarp
from eshet_rules import rule


@rule
async def light():
    motion = await yarp.event_listen("/motion")
    long = yarp.time_window(motion, 60)
    short = yarp.time_window(motion, 20)
    await yarp.state_register("/light", yarp.len(short) > 0)
    await yarp.state_register("/count", yarp.len(long))
