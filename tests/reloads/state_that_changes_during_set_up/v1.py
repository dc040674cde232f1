from eshet import yarp
from eshet_rules import rule


@rule
async def level():
    lux = await yarp.state_observe("/lux")
    await yarp.state_register("/level", lux)
