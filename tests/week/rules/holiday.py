"""Nobody for six hours: the lamp of the living room is on from 19 to 23."""

from eshet import yarp
from eshet_rules import rule


@rule
async def lamp():
    present = await yarp.state_observe("/presence")
    away = yarp.for_duration(yarp.not_(yarp.default(present, True)), 6 * 3600)
    evening = yarp.latest(
        yarp.when(yarp.schedule("0 19 * * *", tz="Europe/Berlin"), True), initial=None
    )
    hours = yarp.hold(yarp.value_to_event(evening), 4 * 3600)
    await yarp.set_value("/living_room/lamp", yarp.no_repeat(away & hours))
