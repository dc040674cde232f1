"""Washing machine: a message when it is done, for whoever would forget the laundry."""

from eshet import yarp
from eshet_rules import rule


@rule
async def washing_machine():
    power = await yarp.state_observe("/washing_machine/power")  # watts
    running = yarp.debounce(yarp.hysteresis(power, 5, 50), 120)  # a programme has pauses
    done = yarp.falling(running)
    await yarp.action_call("/notify/phone", yarp.map_to(done, "the washing is done"))
