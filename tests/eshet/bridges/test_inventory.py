"""The devices of a bridge as data, in pages."""

import pytest

from eshet import codec
from eshet.bridges.device import Action, Device, Property
from eshet.bridges.inventory import page
from eshet.bridges.kinds import Flag, Number, Text
from eshet.bridges.tree import DeviceTree


@pytest.fixture
async def tree():
    """A tree without a server: only its declarations matter here."""
    from eshet import Client
    from eshet.server import Server

    async with Server() as server, Client(server=server) as client:
        tree = DeviceTree(client, "/mqtt/z2m")
        yield tree
        await tree.close()


async def nothing(*_):
    """Do nothing."""


def lamp(number=1, **more):
    properties = (Property("on", Flag(), nothing), Property("power", Number(unit="W")))
    declared = {"properties": properties, "info": {"kind": "zigbee", "model": "M"}, **more}
    return Device(f"0x{number:04x}", f"Lamp {number}", **declared)


async def test_a_device_is_described(tree):
    published = tree.put(lamp(events=("action",), actions=(Action("identify", nothing),)))
    published.set_online(True)
    published.report({"on": True})
    (row,) = page(tree)["devices"]
    assert row == {
        "directory": "/mqtt/z2m/Lamp_1",
        "id": "0x0001",
        "name": "Lamp 1",
        "kind": "zigbee",
        "model": "M",
        "online": True,
        "seen": published.seen,
        "battery": None,
        "states": {
            "/mqtt/z2m/Lamp_1/on": {"type": "bool", "settable": True},
            "/mqtt/z2m/Lamp_1/power": {"type": "float", "unit": "W", "settable": False},
        },
        "events": ["/mqtt/z2m/Lamp_1/action"],
        "actions": ["/mqtt/z2m/Lamp_1/identify"],
        "unlisted": 0,
    }


async def test_parts_of_the_bridge_itself_are_not_listed(tree):
    tree.put(Device("bridge", "bridge"))
    assert page(tree) == {"devices": [], "next": None}


async def test_many_devices_are_listed_in_pages_that_fit_into_a_message(tree):
    for number in range(1000):
        tree.put(lamp(number))
    names, start, pages = [], 0, 0
    while start is not None:
        part = page(tree, start)
        assert len(codec.pack(part)) < 40_000
        names += [row["name"] for row in part["devices"]]
        start, pages = part["next"], pages + 1
    assert sorted(names) == sorted(f"Lamp {number}" for number in range(1000))
    assert pages > 3


async def test_some_states_of_a_device_with_very_many_are_not_listed(tree):
    choices = Property("choices", Text(tuple(map(str, range(10_000)))))
    numbers = (Property(f"p{number}", Number()) for number in range(2000))
    events = tuple(f"e{number}" for number in range(1000))
    tree.put(lamp(1, properties=(choices, *numbers), events=events))
    (row,) = page(tree)["devices"]
    assert len(codec.pack(row)) < 60_000
    assert row["unlisted"] == 3001 - len(row["states"]) - len(row["events"])
    assert len(row["states"]) > 100


@pytest.mark.parametrize(
    ("name", "value", "battery"),
    [
        ("battery", 80, 80),
        ("sensor_battery", 81, 81),
        ("devicepower/0/battery", 82, 82),
        ("Battery_level", 83, 83),
        ("battery_low", True, None),
        ("battery_state", "low", None),
        ("battery_voltage", 2900, None),
    ],
)
async def test_the_level_of_a_battery_is_found(tree, name, value, battery):
    kind = {bool: Flag(), int: Number(), str: Text()}[type(value)]
    published = tree.put(lamp(properties=(Property(name, kind),)))
    assert page(tree)["devices"][0]["battery"] is None
    published.report({name: value})
    assert page(tree)["devices"][0]["battery"] == battery
