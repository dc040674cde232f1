from eshet import yarp
from eshet_rules import rule

VERSION = 0


@rule
async def mirror():
    """Publish the level again."""
    await yarp.state_register("/version/mirror", yarp.Value(VERSION))
    await yarp.state_register("/out/mirror", await yarp.state_observe("/sim/level"))
