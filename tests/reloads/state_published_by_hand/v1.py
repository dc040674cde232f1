from eshet import yarp
from eshet_rules import rule


@rule
async def level(client):
    level = await client.state_register("/level")
    await client.event_listen_cb("/motion", level.changed)
