from eshet import yarp
from eshet_rules import rule

VERSION = 0


@rule.each("bath", "hall")
async def room(name):
    """Publish the level for each room."""
    await yarp.state_register(f"/version/rooms_{name}", yarp.Value(VERSION))
    level = await yarp.state_observe("/sim/level")
    await yarp.state_register(f"/out/room_{name}", level)
