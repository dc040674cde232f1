from eshet import yarp
from eshet_rules import keep, rule


def as_list(old, old_version):
    return old if isinstance(old, list) else [old]


@rule
async def count():
    total = keep("total", [], migrate=as_list)
    await yarp.state_register("/count", total)
    motion = await yarp.event_listen("/motion")

    @motion.on_event
    def add(_):
        total.value += [7]
