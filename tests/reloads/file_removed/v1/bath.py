from eshet import yarp
from eshet_rules import rule


@rule
async def level():
    await yarp.state_register("/level", yarp.Value(1))
