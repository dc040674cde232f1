"""Hall light: on while somebody moved in the last two minutes and it is dark."""

from eshet import yarp
from eshet_rules import rule


@rule
async def light():
    motion = await yarp.event_listen("/hall/motion")
    lux = await yarp.state_observe("/lux")
    moved = yarp.len(yarp.time_window(motion, 120)) > 0
    await yarp.set_value("/hall/light", yarp.no_repeat(moved & (lux < 40)))
