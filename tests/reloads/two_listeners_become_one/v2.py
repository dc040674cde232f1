from eshet import yarp
from eshet_rules import rule


@rule
async def bells(client):
    ring = await client.event_register("/bell")
    await client.event_listen_cb("/motion", ring)
