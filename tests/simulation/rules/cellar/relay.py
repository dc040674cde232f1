from eshet import yarp
from eshet_rules import rule

VERSION = 0


@rule
async def relay():
    """Emit each tick again."""
    await yarp.state_register("/version/relay", yarp.Value(VERSION))
    await yarp.event_register("/out/relay", await yarp.event_listen("/sim/tick"))
