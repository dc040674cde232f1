from eshet import yarp
from eshet_rules import rule


@rule
async def count():
    button = await yarp.event_listen("/button")
    await yarp.state_register("/count", yarp.len(yarp.time_window(button, 60)))
