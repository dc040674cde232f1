from eshet import yarp
from eshet_rules import keep, rule


NOTE = 2


@rule
async def level():
    await yarp.state_register("/level", keep("level", 1), settable=True)
