"""Front door: a message when it has been open for five minutes, and for each hour after that."""

from eshet import yarp
from eshet_rules import rule


@rule
async def front_door():
    is_open = await yarp.state_observe("/front_door/open")
    for minutes in (5, 60, 120, 180):
        too_long = yarp.rising(yarp.for_duration(is_open, 60 * minutes))
        text = f"the front door has been open for {minutes} minutes"
        await yarp.action_call("/notify/phone", yarp.map_to(too_long, text))
