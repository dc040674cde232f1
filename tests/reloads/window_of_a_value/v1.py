from eshet import Unknown, yarp
from eshet_rules import rule


@rule
async def level():
    lux = await yarp.state_observe("/lux")
    await yarp.state_register("/level", yarp.fn(lambda all: [x for x in all if x is not Unknown])(yarp.time_window(lux, 30)))
