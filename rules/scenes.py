"""All off: by the button beside the bed, or from anywhere.

eshet call /house/scenes/all_off
"""

from eshet import yarp
from eshet.utils import RunSerially
from eshet_rules import rule

LIGHTS = ["/house/hall/light", "/house/kitchen/light"]


@rule(strategy=RunSerially(only_latest=True, retry=True))
async def all_off():
    client = await yarp.get_default_eshet_client()
    off = yarp.Event()
    await client.action_register("/house/scenes/all_off", lambda: off.emit(False))

    button = await yarp.event_listen("/house/bedroom/button")
    button.on_event(lambda _: off.emit(False))

    for light in LIGHTS:
        await yarp.set_value(light, off)
