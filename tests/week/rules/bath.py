"""Bath: the fan runs while it is damp, and for ten minutes at least."""

from eshet import yarp
from eshet_rules import rule


@rule
async def fan():
    damp = yarp.hysteresis(await yarp.state_observe("/bath/humidity"), 60, 75)
    await yarp.set_value("/bath/fan", yarp.no_repeat(yarp.hold(yarp.default(damp, False), 600)))
