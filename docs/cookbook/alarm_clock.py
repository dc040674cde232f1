"""Alarm clock: a lamp that gets brighter for twenty minutes on workdays, if it is armed."""

from eshet import yarp
from eshet_rules import keep, rule


@rule
async def alarm_clock():
    armed = keep("armed", True)
    await yarp.state_register("/alarm/armed", armed, settable=True, options=[True, False])
    stop = await yarp.event_listen("/bedroom/button")

    wake = yarp.when(yarp.schedule("30 6 * * mon-fri"), armed)
    ringing = yarp.latest(yarp.map_to(wake, True), yarp.map_to(stop, False), initial=False)
    steps = [yarp.map_to(yarp.delay(wake, 120 * n), 10 * n) for n in range(1, 11)]
    fade = yarp.when(yarp.merge(*steps), ringing)
    off = yarp.map_to(yarp.falling(ringing), 0)
    await yarp.set_value("/bedroom/lamp", yarp.merge(fade, off))
