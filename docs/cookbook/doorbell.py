"""Doorbell: flashes the lamp twice, for whoever wears headphones, and leaves it as it was."""

from eshet import yarp
from eshet_rules import rule


@rule
async def doorbell():
    bell = yarp.throttle(await yarp.event_listen("/front_door/bell"), 5)
    before = yarp.sample(await yarp.state_observe("/study/lamp"), bell)
    flash = yarp.not_(before)
    restored = yarp.delay(before, 1.5, missed="emit")  # also after a restart in between
    flashes = yarp.merge(flash, yarp.delay(before, 0.5), yarp.delay(flash, 1), restored)
    await yarp.set_value("/study/lamp", flashes)
