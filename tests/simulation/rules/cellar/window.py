from eshet import yarp
from eshet_rules import rule

VERSION = 0


@rule
async def window():
    """Publish how many ticks came in the last three seconds."""
    await yarp.state_register("/version/window", yarp.Value(VERSION))
    recent = yarp.time_window(await yarp.event_listen("/sim/tick"), 3)
    await yarp.state_register("/out/recent", yarp.len(recent))
