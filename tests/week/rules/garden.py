"""Garden: water at six, for ten minutes, unless it has rained in the last day."""

from eshet import yarp
from eshet_rules import rule


@rule
async def valve():
    rained = yarp.hold(await yarp.event_listen("/rain"), 86400)
    six = yarp.when(yarp.schedule("0 6 * * *", tz="Europe/Berlin"), yarp.not_(rained))
    await yarp.set_value("/garden/valve", yarp.no_repeat(yarp.hold(six, 600)))
