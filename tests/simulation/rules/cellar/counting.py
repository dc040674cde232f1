from eshet import yarp
from eshet_rules import keep, rule

VERSION = 0


@rule
async def counting():
    """Count ticks, over saves and restarts."""
    await yarp.state_register("/version/counting", yarp.Value(VERSION))
    seen = keep("seen", 0)
    tick = await yarp.event_listen("/sim/tick")
    yarp.on_value(tick, lambda _: setattr(seen, "value", seen.value + 1))
    await yarp.state_register("/out/count", seen)
