from eshet import yarp
from eshet_rules import rule
from _lengths import LENGTH


@rule
async def level():
    await yarp.state_register("/level", yarp.Value(LENGTH))
