"""Blinds: up at seven, down at eight in the evening."""

from eshet import yarp
from eshet_rules import rule


@rule
async def morning_and_evening():
    morning = yarp.str(yarp.schedule("0 7 * * *", tz="Europe/Berlin"))
    await yarp.action_call("/blinds", "up", morning)
    evening = yarp.str(yarp.schedule("0 20 * * *", tz="Europe/Berlin"))
    await yarp.action_call("/blinds", "down", evening)
