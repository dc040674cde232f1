from eshet import yarp
from eshet_rules import rule


NOTE = 2


@rule
async def level():
    lux = await yarp.state_observe("/lux")
    await yarp.state_register("/level", yarp.delay(lux, 30))
