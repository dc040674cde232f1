from eshet import yarp
from eshet_rules import rule
from _lengths import LENGTH


@rule
async def light():
    motion = await yarp.event_listen("/motion")
    moved = yarp.len(yarp.time_window(motion, LENGTH)) > 0
    await yarp.state_register("/light", moved)
