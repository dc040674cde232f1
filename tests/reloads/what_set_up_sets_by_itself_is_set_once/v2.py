from eshet import yarp
from eshet_rules import rule


NOTE = 2


@rule
async def heater(client):
    await client.set("/heater", 1)
