from eshet import yarp
from eshet_rules import keep, rule


NOTE = 2


@rule
async def count():
    total = keep("total", 0)
    await yarp.state_register("/count", total)
    motion = await yarp.event_listen("/motion")

    @motion.on_event
    def add(_):
        total.value += 1
