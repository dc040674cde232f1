from eshet import yarp
from eshet.utils import RunSerially
from eshet_rules import rule


NOTE = 2


@rule(strategy=RunSerially(retry=True))
async def lamp():
    motion = await yarp.event_listen("/motion")
    await yarp.action_call("/lamp", motion)
