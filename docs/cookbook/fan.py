"""Bath fan: by humidity, on for ten minutes and off for five at least, so that it lasts."""

from eshet import yarp
from eshet_rules import rule

AT_LEAST = {True: 600, False: 300}  # seconds on, seconds off


def with_minimum_times(on, left, wanted):
    if left or wanted == on:  # the minimum is not over, or nothing has to change
        return on, left or None
    return wanted, AT_LEAST[wanted]


@rule
async def fan():
    humid = yarp.hysteresis(await yarp.state_observe("/bath/humidity"), 60, 70)
    machine = yarp.FSM(with_minimum_times, [yarp.default(humid, False)])
    await yarp.set_value("/bath/fan", machine.state)
