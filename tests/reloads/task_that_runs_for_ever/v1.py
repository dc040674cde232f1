import asyncio

from eshet import yarp
from eshet_rules import rule


@rule
async def bell(client):
    ring = await client.event_register("/bell")
    while True:
        await ring("v1")
        await asyncio.sleep(10)
