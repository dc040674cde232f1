"""`eshet-rules devices`: the table, JSON, and a module with all paths."""

import asyncio
import json
import subprocess
import sys
import types

import pytest
from click.testing import CliRunner

from eshet.bridges.device_list import devices_of
from eshet_rules.cli import main
from eshet_rules.cli.device_table import describe, device_table
from eshet_rules.cli.devices import _is_named
from eshet_rules.cli.stubs import stubs_of
from tests.support.bridged import bridged_house

HALL = "/house/hall/lamp"


def device(directory=HALL, name="Hall lamp", **more):
    return {
        "directory": directory,
        "id": "0x1",
        "name": name,
        "kind": "zigbee",
        "model": "M1",
        "online": True,
        "seen": None,
        "battery": 80.0,
        "states": {
            f"{directory}/on": {"type": "bool", "settable": True},
            f"{directory}/brightness": {"type": "float", "min": 0, "max": 1, "settable": True},
            f"{directory}/power": {"type": "float", "unit": "W", "settable": False},
        },
        "events": [f"{directory}/action"],
        "actions": [f"{directory}/identify"],
        **more,
    }


def test_the_table_has_a_line_for_each_device_and_its_nodes():
    lines = device_table([device(), device("/x", online=None, battery=None, kind=None)])
    assert lines.splitlines()[:7] == [
        "\x1b[1mDEVICE            KIND    MODEL  ONLINE  SEEN   BATTERY\x1b[0m",
        "/house/hall/lamp  zigbee  M1     yes     never  80 %",
        "\x1b[2m    on =  bool\x1b[0m",
        "\x1b[2m    brightness =  float from 0 to 1\x1b[0m",
        "\x1b[2m    power  float W\x1b[0m",
        "\x1b[2m    action !\x1b[0m",
        "\x1b[2m    identify()\x1b[0m",
    ]
    assert lines.splitlines()[7].rstrip() == "/x                        M1     ?       never"


def test_the_table_says_when_a_device_was_seen():
    assert " 2001-09-0" in device_table([device(seen=1e9)])


def test_what_a_device_says_can_not_control_the_terminal():
    assert "\x1b[31m" not in device_table([device("/x\x1b[31m", model="\x1b[31m")])


@pytest.mark.parametrize(
    ("kind", "text"),
    [
        ({"type": "bool"}, "bool"),
        ({"type": "float", "min": 5, "unit": "°C"}, "float from 5 to ∞ °C"),
        ({"type": "float", "min": 5, "max": 30, "step": 0.5}, "float from 5 to 30 by 0.5"),
        ({"type": "str", "choices": ["a", "b"]}, "'a' | 'b'"),
        ({"type": "map", "fields": {"x": {}, "y": {}}}, "map of x, y"),
        ({}, ""),
    ],
)
def test_a_kind_is_described_in_words(kind, text):
    assert describe(kind) == text


def test_devices_are_named_by_globs_of_names_or_paths():
    assert _is_named(device(), [])
    assert _is_named(device(), ["Hall*"])
    assert _is_named(device(), ["nothing", "/house/hall/*"])
    assert not _is_named(device(), ["hall*", "/house"])


async def test_the_devices_of_all_bridges_are_found(advance):
    async with bridged_house(advance) as house:
        for number in range(300):
            config = {"stat_t": "x", "dev": {"ids": f"d{number}", "name": f"Device {number}"}}
            house.publish_now(f"homeassistant/sensor/d{number}/config", config)
        await house.settle()
        found = [each async for each in devices_of(house.client)]
        assert len(found) == 300
        assert {each["kind"] for each in found} == {"discovery"}


# --- the generated module -----------------------------------------------------------------------


def imported(source):
    module = types.ModuleType("house")
    exec(source, module.__dict__)  # noqa: S102 - what a rule does when it imports the module
    return module


def test_the_module_has_the_paths_of_all_nodes():
    house = imported(stubs_of([device(), device("/mqtt/z2m/0x12")]))
    assert house.house.hall.lamp.brightness == f"{HALL}/brightness"
    assert house.house.hall.lamp.action == f"{HALL}/action"
    assert house.house.hall.lamp.identify == f"{HALL}/identify"
    assert house.house.hall.lamp.online == f"{HALL}/online"
    assert house.house.hall.lamp.info == f"{HALL}/info"
    assert house.mqtt.z2m._0x12.on == "/mqtt/z2m/0x12/on"


ODD = ["/a/class", "/a/class_", "/a/0x1", "/a/_0x1", "/Final/_Final", "/a/__init__", "/a/None"]


def test_odd_names_and_texts_are_a_valid_module(tmp_path):
    evil = 'W"""\nimport os\nraise SystemExit\n\\'
    states = {
        "/a/evil/x": {"type": "float", "unit": evil},
        "/a/evil/y": {"type": "str", "choices": [evil, "\\", "'"]},
    }
    devices = [*map(device, ODD), device("/a/evil", states=states)]
    source = stubs_of(devices)
    house = imported(source)
    assert house.a.class_.on == "/a/class/on"
    assert house.a.class__.on == "/a/class_/on"
    assert {house.a._0x1.on, house.a._0x1_.on} == {"/a/0x1/on", "/a/_0x1/on"}
    assert house.Final._Final_.on == "/Final/_Final/on"
    assert house.a.n__init__.on == "/a/__init__/on"
    assert house.a.evil.x == "/a/evil/x"
    file = tmp_path / "house.py"
    file.write_text(source)
    user = tmp_path / "user.py"
    user.write_text(
        "from house import a\n\n"
        "path: str = a.class_.on\n"
        "reveal_type(a.class_.on)\n"
        "a.class_.gone\n"
        "a.class_.on = 'x'\n"
    )
    # In a process of its own, as mypy raises the recursion limit.
    command = [sys.executable, "-m", "mypy", "--strict", "--no-incremental", str(user)]
    out = subprocess.run(command, capture_output=True, text=True, cwd=tmp_path).stdout  # noqa: S603
    assert [line.partition("user.py:")[2].split("  [")[0] for line in out.splitlines()[:-1]] == [
        "4: note: Revealed type is \"Literal['/a/class/on']?\"",
        '5: error: "type[class_]" has no attribute "gone"',
        '6: error: Cannot assign to final attribute "on"',
    ]


def test_a_house_without_devices_is_an_empty_module():
    imported(stubs_of([]))


# --- the command --------------------------------------------------------------------------------


class Bridge:
    """A client whose server has one bridge, by default with one device."""

    def __init__(self, devices=None):
        self.devices = [device()] if devices is None else devices

    async def action_call(self, path, *arguments):
        if path == "/meta/tree":
            nodes = [("/mqtt/z2m/bridge/devices", "action", "z2m"), ("/house/x", "state", "z2m")]
            return {"nodes": nodes, "next": None}
        assert (path, arguments) == ("/mqtt/z2m/bridge/devices", (0,))
        return {"devices": self.devices, "next": None}


@pytest.fixture
def run(monkeypatch):
    def run(*arguments, devices=None):
        def ask(request, server, config):
            asyncio.run(request(Bridge(devices)))

        monkeypatch.setattr("eshet_rules.cli.runner_client.ask_server", ask)
        return CliRunner().invoke(main, ["devices", *arguments])

    return run


def test_the_command_prints_a_table_without_colours(run):
    assert run().output.splitlines()[1].split() == [HALL, "zigbee", "M1", "yes", "never", "80", "%"]


def test_the_command_prints_json(run):
    assert json.loads(run("--json").output) == [device()]
    assert json.loads(run("--json", "/other/*").output) == []


def test_the_command_says_what_to_do_without_devices(run):
    result = run("/other/*", devices=[])
    assert (result.exit_code, result.output) == (
        0,
        "no devices; configure a bridge: see docs/howto/devices.md\n",
    )


def test_the_command_says_that_no_device_matches(run):
    result = run("/other/*", "nonsense")
    assert (result.exit_code, result.output) == (
        0,
        "none of the 1 devices matches /other/* or nonsense; "
        "write globs of names or paths, such as 'Hall lamp'\n",
    )


def test_the_command_writes_a_module(run, tmp_path):
    file = tmp_path / "house.py"
    assert run("--stubs", str(file)).output == f"wrote {file}\n"
    assert imported(file.read_text()).house.hall.lamp.on == f"{HALL}/on"
    result = run("--stubs", str(tmp_path / "no/house.py"))
    assert result.exit_code == 1
    assert "can't write" in result.output
