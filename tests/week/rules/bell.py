"""Door bell: chimes, but not again within half a minute."""

from eshet import yarp
from eshet_rules import rule


@rule
async def chime():
    await yarp.action_call("/chime", yarp.throttle(await yarp.event_listen("/bell"), 30))
