from eshet import yarp
from eshet.utils import RunSerially
from eshet_rules import rule

VERSION = 0


@rule(strategy=RunSerially(only_latest=True, retry=True, retry_start=0.5, retry_end=2))
async def lamp():
    """Switch the lamp on while it is dark."""
    await yarp.state_register("/version/lamp", yarp.Value(VERSION))
    dark = await yarp.state_observe("/sim/dark")
    await yarp.set_value("/device/lamp", yarp.no_repeat(dark))
