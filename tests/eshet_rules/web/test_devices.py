"""The devices of bridges, as the page lists them."""

import msgspec

from eshet_rules.audit.redaction import Redaction
from eshet_rules.web import schema
from eshet_rules.web.devices import Devices
from tests.support.bridged import bridged_house


class View:
    redaction = Redaction()

    def __init__(self, client):
        self.client = client

    def bridges(self):
        return [
            {
                "bridge": "z2m",
                "server": "127.0.0.1:1883",
                "connected": True,
                "devices": 1,
                "problem": None,
            }
        ]


async def test_the_devices_of_a_bridge_are_listed(advance):
    async with bridged_house(advance) as house:
        for number in range(600):
            config = {
                "stat_t": f"t{number}",
                "dev": {"ids": f"d{number:03}", "name": f"Device {number:03}"},
            }
            house.publish_now(f"homeassistant/sensor/d{number:03}/config", config)
        await house.settle()
        answer = await Devices(View(house.client)).now()
        msgspec.convert(answer, schema.BridgesAnswer)
        assert answer["bridges"][0]["problem"] == ""
        assert (len(answer["devices"]), answer["more"]) == (500, 100)
        first = answer["devices"][0]
        assert first["name"] == "Device 000"
        assert first["kind"] == "discovery"
        assert first["nodes"] >= 1
