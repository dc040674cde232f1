from eshet import yarp
from eshet_rules import rule


@rule
async def who(client):
    await client.action_register("/who", lambda: "v2")
