from eshet import yarp
from eshet_rules import rule


@rule
async def outputs():
    on = yarp.Value(False)
    await yarp.state_register("/light", on)
    await yarp.set_value("/heater", on)
    await yarp.action_call("/lamp", on)
