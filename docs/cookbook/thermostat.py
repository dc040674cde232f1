"""Thermostat: a plan of the week, a boost button, a pause while windows are open."""

from eshet import yarp
from eshet_rules import keep, rule

PLAN = {"mo-fr 06:30": True, "sa,su 08:00": True, "22:30": False}  # when to be comfortable


@rule
async def thermostat():
    comfort = keep("comfort", 21)  # degrees
    await yarp.state_register(
        "/living_room/comfort", comfort, settable=True, minimum=15, maximum=25
    )
    temperature = await yarp.state_observe("/living_room/temperature")
    window_open = yarp.default(await yarp.state_observe("/living_room/window_open"), False)
    boost = yarp.hold(await yarp.event_listen("/living_room/boost"), 1800)

    by_plan = yarp.when(comfort, yarp.plan(PLAN), otherwise=17)
    target = yarp.when(23, boost, otherwise=by_plan)
    too_cold = yarp.hysteresis(target - temperature, -0.2, 0.2)
    prevented = window_open | yarp.stale(temperature, 3600)
    heat = yarp.when(too_cold, yarp.not_(prevented), otherwise=False)
    await yarp.state_register("/living_room/target", target)
    await yarp.set_value("/living_room/heater", yarp.no_repeat(heat))
