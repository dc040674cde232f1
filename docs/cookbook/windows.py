"""Open windows: one function for eight rooms, each of which reminds of its window in the cold."""

from eshet import yarp
from eshet_rules import rule

ROOMS = ["attic", "bath", "bedroom", "hall", "kitchen", "living_room", "nursery", "study"]


@rule.each(*ROOMS)
async def window(room, config):
    is_open = await yarp.state_observe(f"/{room}/window_open")
    cold = await yarp.state_observe("/weather/temperature") < 12
    too_long = yarp.for_duration(is_open & cold, 60 * config.get("minutes", 10))
    text = f"the window is open: {room}"
    await yarp.action_call("/notify/phone", yarp.map_to(yarp.rising(too_long), text))
