"""Front door: a message when it has been open for five minutes."""

from eshet import yarp
from eshet_rules import rule


@rule
async def left_open():
    is_open = await yarp.state_observe("/door")
    too_long = yarp.rising(yarp.for_duration(is_open, 300))
    await yarp.action_call("/phone", "the door is open", too_long)
