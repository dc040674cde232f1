from eshet import yarp
from eshet_rules import rule


@rule
async def heater(client):
    await client.set("/heater", 2)
