"""Night mode: the button begins it, a second press or eight hours end it."""

from eshet import yarp
from eshet_rules import rule


def press(mode, _):
    return "day" if mode == "night" else "night"


@rule
async def mode():
    button = await yarp.event_listen("/bedroom/button")
    mode = yarp.fold_state(button, press, "day", timeouts={"night": (8 * 3600, "day")})
    await yarp.state_register("/night/mode", mode)
    await yarp.set_value("/bedroom/lamp", yarp.no_repeat(mode == "day"))
