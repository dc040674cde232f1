from eshet import yarp
from eshet_rules import rule


@rule
async def light():
    motion = await yarp.event_listen("/motion")
    moved = yarp.len(yarp.time_window(motion, 60)) > 0
    await yarp.state_register("/light", moved)
