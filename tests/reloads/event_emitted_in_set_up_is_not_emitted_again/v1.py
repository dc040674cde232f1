from eshet import yarp
from eshet_rules import rule


@rule
async def bell():
    ding = yarp.Event()
    await yarp.event_register("/bell", ding)
    ding.emit("set up")
