"""Hall light: on while somebody moves in the dark, dimmed at night; by hand, for an hour."""

from eshet import yarp
from eshet_rules import rule


@rule
async def hall_light():
    motion = await yarp.event_listen("/hall/motion")
    switch = await yarp.event_listen("/hall/switch")  # True or False, by hand
    bright = yarp.hysteresis(await yarp.state_observe("/hall/lux"), 40, 200)

    moved_in_the_dark = yarp.hold(motion, 120) & yarp.not_(yarp.default(bright, False))
    level = yarp.plan({"06:30": 100, "22:30": 10})  # percent
    automatic = yarp.when(level, moved_in_the_dark, otherwise=0)

    by_hand = yarp.latest(switch) * 100
    light = yarp.when(by_hand, yarp.hold(switch, 3600), otherwise=automatic)
    await yarp.set_value("/hall/light", yarp.no_repeat(light))
