"""Front door: says so when it has been open for too long."""

import logging

from eshet import yarp
from eshet_rules import rule

TOO_LONG = 20  # seconds

log = logging.getLogger(__name__)


@rule
async def left_open():
    is_open = await yarp.state_observe("/house/front_door/open")
    # A window holds what the door was in that time: it was open all along if that is only True.
    lately = yarp.time_window(is_open, TOO_LONG, initial_value=False)
    too_long = yarp.no_repeat(yarp.all(lately))
    await yarp.state_register("/house/front_door/left_open", too_long)
    yarp.on_value(too_long, warn)


def warn(too_long):
    if too_long:
        log.warning("the front door has been open for %s s", TOO_LONG)
