"""Hall light: on while somebody moved in the last half minute and it is dark."""

from eshet import yarp
from eshet.utils import RunSerially
from eshet_rules import rule


@rule(strategy=RunSerially(only_latest=True, retry=True))
async def hall_light():
    motion = await yarp.event_listen("/house/hall/motion")
    lux = await yarp.state_observe("/house/hall/lux")
    moved = yarp.len(yarp.time_window(motion, 30)) > 0
    await yarp.set_value("/house/hall/light", yarp.no_repeat(moved & (lux < 40)))
