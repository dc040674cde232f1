"""A house to try rules on: its sensors measure, its lamps and its heater do as they are told.

Nobody lives in it, but its evening takes two minutes only. Delete this file when your house is
real, or leave out of it what you have.
"""

import asyncio
import logging

from eshet import yarp
from eshet_rules import rule

log = logging.getLogger(__name__)


@rule
async def hall():
    """Somebody passes now and then. It gets dark, and light again."""
    await device("/house/hall/light")
    motion = yarp.Event()
    lux = yarp.Value(25)
    await yarp.event_register("/house/hall/motion", motion)
    await yarp.state_register("/house/hall/lux", lux)
    while True:
        for lux.value in (25, 15, 10, 90):
            await asyncio.sleep(5)
            log.info("somebody passes through the hall")
            motion.emit("passed")
            await asyncio.sleep(40)


@rule
async def living_room():
    """It cools down slowly, and is heated faster."""
    heater = await device("/house/living_room/heater")
    temperature = yarp.Value(20.5)
    await yarp.state_register("/house/living_room/temperature", temperature)
    while True:
        await asyncio.sleep(1)
        temperature.value = round(temperature.value + (0.1 if heater.value else -0.05), 2)


@rule
async def kitchen():
    """The cook switches the light on and forgets it."""
    light = await device("/house/kitchen/light")
    while True:
        await asyncio.sleep(15)
        light.value = True


@rule
async def front_door():
    """Somebody comes home, and closes the door behind them; the next one does not."""
    is_open = yarp.Value(False)
    await yarp.state_register("/house/front_door/open", is_open)
    while True:
        for how_long in (2, 30):
            await asyncio.sleep(10)
            log.info("the front door opens")
            is_open.value = True
            await asyncio.sleep(how_long)
            log.info("the front door closes")
            is_open.value = False


@rule
async def bedroom():
    """Somebody goes to bed."""
    button = yarp.Event()
    await yarp.event_register("/house/bedroom/button", button)
    while True:
        await asyncio.sleep(45)
        log.info("somebody presses the button beside the bed")
        button.emit("pressed")


async def device(path):
    """Publish something that can be switched, and tell what it does."""
    is_on = yarp.Value(False)
    await yarp.state_register(path, is_on, settable=True)
    yarp.on_value(
        yarp.no_repeat(is_on), lambda on: log.info("%s is %s", path, "on" if on else "off")
    )
    return is_on
