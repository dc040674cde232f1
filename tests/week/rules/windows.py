"""A window that is open for ten minutes while it is cold outside: a message for each room."""

from eshet import yarp
from eshet_rules import keep, rule


@rule.each("bath", "kitchen", "bedroom")
async def window(room):
    is_open = await yarp.state_observe(f"/{room}/window")
    cold = await yarp.state_observe("/outside") < 10
    too_long = yarp.rising(yarp.for_duration(is_open & cold, 600))
    told = keep("told", 0)
    too_long.on_event(lambda _: setattr(told, "value", told.value + 1))
    await yarp.state_register(f"/{room}/told", told)
    await yarp.action_call("/phone", f"window in the {room}", too_long)
