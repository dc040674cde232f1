"""Button: single, double and long presses as an event, for a button that only says up and down."""

from eshet import yarp
from eshet_rules import rule

NEXT = {
    ("idle", True): "down",
    ("down", False): "up",
    ("up", True): "double",
    ("double", False): "idle",
    ("long", False): "idle",
}
TIMEOUTS = {"down": (0.8, "long"), "up": (0.4, "single"), "single": (0, "idle")}


@rule
async def button():
    pressed = await yarp.state_observe("/bedroom/button_pressed")
    states = yarp.fold_state(
        pressed, lambda state, on: NEXT.get((state, on), yarp.NoChange), "idle", timeouts=TIMEOUTS
    )
    gestures = yarp.filter(yarp.changes(states), {"single", "double", "long"}.__contains__)
    await yarp.event_register("/bedroom/gesture", gestures)
