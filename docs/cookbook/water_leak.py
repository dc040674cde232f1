"""Water leak: closes the valve, and says so if it does not close; only people open it again."""

from eshet import yarp
from eshet.utils import RunSerially
from eshet_rules import rule


@rule
async def water_leak():
    leak = await yarp.state_observe("/cellar/leak")
    is_open = yarp.default(await yarp.state_observe("/cellar/valve_open"), True)
    until_it_obeys = RunSerially(retry=True)
    closed = yarp.when(False, leak)  # has no value without a leak, so nothing is set then
    await yarp.set_value("/cellar/valve_open", closed, strategy=until_it_obeys)

    stuck = yarp.for_duration(leak & is_open, 30)
    alarm = yarp.map_to(yarp.rising(leak), "water in the cellar: closing the valve")
    help_ = yarp.map_to(yarp.rising(stuck), "water in the cellar: the valve does not close")
    await yarp.action_call("/notify/phone", yarp.merge(alarm, help_), "Water", "error")
