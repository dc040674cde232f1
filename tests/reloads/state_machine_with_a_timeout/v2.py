from eshet import yarp
from eshet_rules import rule


NOTE = 2


def step(state, timeout, motions):
    if motions:
        return "on", 30
    if timeout == 0 or state is yarp.FSM.START:
        return "off", None
    return state, timeout


@rule
async def machine():
    motion = await yarp.event_listen("/motion")
    await yarp.state_register("/light", yarp.FSM(step, [motion]).state)
