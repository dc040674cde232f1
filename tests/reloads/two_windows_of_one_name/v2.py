from eshet import yarp
from eshet_rules import rule


@rule
async def light():
    motion = await yarp.event_listen("/motion")
    other = yarp.time_window(motion, 60, name="moved")
    await yarp.state_register("/count", yarp.len(other))
    moved = yarp.len(yarp.time_window(motion, 60, name="moved")) > 0
    await yarp.state_register("/light", moved)
