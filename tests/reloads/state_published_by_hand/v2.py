from eshet import yarp
from eshet_rules import rule


NOTE = 2


@rule
async def level(client):
    level = await client.state_register("/level")
    await client.event_listen_cb("/motion", level.changed)
