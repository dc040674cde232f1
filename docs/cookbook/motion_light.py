"""Hall light: on while somebody moves in the dark, dimmed at night; by hand, for an hour."""

from eshet import yarp
from eshet_rules import rule


@rule
async def hall_light():
    motion = await yarp.event_listen("/hall/motion")
    bright = yarp.hysteresis(await yarp.state_observe("/hall/lux"), 40, 200)

    moved_in_the_dark = yarp.hold(motion, 120) & yarp.not_(yarp.default(bright, False))
    level = yarp.plan({"06:30": 100, "22:30": 10})  # percent
    automatic = yarp.when(level, moved_in_the_dark, otherwise=0)
    await yarp.drive("/hall/light", automatic, override="1h")  # whoever sets it, in an app or there

    switch = await yarp.event_listen("/hall/switch")  # True or False, by hand
    by_hand = yarp.when(yarp.latest(switch) * 100, yarp.hold(switch, 3600))
    await yarp.drive("/hall/light", by_hand, priority=1)
