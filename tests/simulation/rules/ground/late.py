from eshet import yarp
from eshet_rules import rule

VERSION = 0


@rule
async def late():
    """Sound the siren a second after each tenth tick."""
    await yarp.state_register("/version/late", yarp.Value(VERSION))
    tick = await yarp.event_listen("/sim/tick")
    tenth = yarp.filter(tick, lambda number: number % 10 == 0)
    await yarp.action_call("/device/siren", yarp.delay(tenth, 1))
