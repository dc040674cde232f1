from eshet import yarp
from eshet_rules import rule


@rule
async def light():
    motion = await yarp.event_listen("/motion")
    also = yarp.time_window(motion, 60)
    await yarp.state_register("/count", yarp.len(also))
    moved = yarp.len(yarp.time_window(motion, 60)) > 0
    await yarp.state_register("/light", moved)
