"""Irrigation: twenty minutes each morning, unless it rained; a missed run is made up."""

from eshet import yarp
from eshet_rules import rule


@rule
async def irrigation():
    rain = yarp.default(await yarp.state_observe("/weather/rain_24h"), 0)  # millimetres
    due = yarp.schedule("05:30", missed="emit")  # emitted later if the runner was down
    watering = yarp.hold(yarp.when(due, rain < 4), 1200)
    await yarp.set_value("/garden/valve", yarp.no_repeat(watering))
