from eshet import yarp
from eshet_rules import rule


@rule
async def light():
    motion = await yarp.event_listen("/motion")
    short = yarp.time_window(motion, 30)
    long = yarp.time_window(motion, 60)
    await yarp.state_register("/light", yarp.len(short) > 0)
    await yarp.state_register("/count", yarp.len(long))
