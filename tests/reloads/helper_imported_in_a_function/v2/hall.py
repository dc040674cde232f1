from eshet import yarp
from eshet_rules import rule


def length():
    from _lengths import LENGTH

    return LENGTH


@rule
async def light():
    motion = await yarp.event_listen("/motion")
    moved = yarp.len(yarp.time_window(motion, length())) > 0
    await yarp.state_register("/light", moved)
