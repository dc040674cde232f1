"""Water on the floor: sound the siren, by a callback."""

from eshet import yarp
from eshet.utils import in_task
from eshet_rules import rule


@rule
async def siren(client):
    async def sound(_):
        await client.action_call("/siren", "water")

    water = await yarp.state_observe("/cellar/water")
    yarp.rising(water).on_event(in_task(sound))
