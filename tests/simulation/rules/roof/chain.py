from eshet import yarp
from eshet_rules import rule

VERSION = 0


@rule
async def chain():
    """Publish what another runner publishes."""
    await yarp.state_register("/version/chain", yarp.Value(VERSION))
    await yarp.state_register("/out/chain", await yarp.state_observe("/out/mirror"))
