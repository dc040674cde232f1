from eshet import yarp
from eshet_rules import rule

VERSION = 0


@rule
async def double():
    """Answer calls."""
    await yarp.state_register("/version/double", yarp.Value(VERSION))
    client = await yarp.get_default_eshet_client()
    await client.action_register("/out/double", lambda number: 2 * number)
