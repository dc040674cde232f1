from eshet import Unknown, yarp
from eshet_rules import rule


NOTE = 2


@yarp.fn
def needs_heat(temperature):
    if temperature is Unknown or temperature > 22:
        return False
    return True if temperature < 20 else yarp.NoChange


@rule
async def heat():
    temperature = await yarp.state_observe("/temperature")
    heat = yarp.no_repeat(needs_heat(temperature))
    await yarp.set_value("/heater", heat)
    await yarp.state_register("/light", heat)
