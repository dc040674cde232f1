from eshet import yarp
from eshet_rules import rule


@rule
async def light():
    lux = await yarp.state_observe("/lux")
    await yarp.state_register("/light", yarp.delay(lux < 10, 30))
