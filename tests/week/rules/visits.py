"""How often the door was opened, ever."""

from eshet import yarp
from eshet_rules import keep, rule


@rule
async def count():
    visits = keep("visits", 0)
    opened = yarp.rising(await yarp.state_observe("/door"))

    @opened.on_event
    def count(_):
        visits.value += 1

    await yarp.state_register("/visits", visits)
