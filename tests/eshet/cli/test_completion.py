"""Completion of paths in a shell, also of those that aliases give to devices."""

import pytest
from click.testing import CliRunner

from eshet.cli import main
from eshet.cli.completion import paths_below
from tests.support.bridged import bridged_house
from tests.support.processes import line, running

LAMP = {
    "ieee_address": "0x1",
    "friendly_name": "Hall lamp",
    "definition": {
        "exposes": [
            {"type": "numeric", "name": "power", "property": "power", "access": 1},
            {"type": "enum", "name": "action", "property": "action", "access": 1, "values": ["a"]},
        ]
    },
}


def complete(*typed, **surroundings):
    """Return what the shell would offer for the last word."""
    variables = {
        "_ESHET_COMPLETE": "bash_complete",
        "COMP_WORDS": " ".join(["eshet", *typed]),
        "COMP_CWORD": str(len(typed)),
        **surroundings,
    }
    result = CliRunner(env=variables).invoke(main, prog_name="eshet")
    return [each.partition(",")[2] for each in result.output.splitlines() if each]


@pytest.fixture(scope="module")
def server():
    """The address of a server with a state and an observed state."""
    with running("eshet", "serve", "--listen", "127.0.0.1:0") as serving:
        address = line(serving).split()[-1]
        with (
            running("eshet", "publish", "/hall/light", "1", server=address),
            running("eshet", "observe", "/hall/light", server=address) as observer,
        ):
            while line(observer) != "1":
                pass
            yield address


def test_paths_of_the_kind_that_a_command_needs_are_completed(server):
    assert complete("get", "/ha", ESHET_SERVER=server) == ["/hall/light"]
    assert complete("set", "/", ESHET_SERVER=server) == ["/hall/light"]
    assert complete("listen", "/hall", ESHET_SERVER=server) == []
    assert complete("listen", "/", ESHET_SERVER=server) == ["/meta/changed"]
    assert complete("call", "/meta/l", ESHET_SERVER=server) == ["/meta/ls"]
    assert complete("ls", "/", ESHET_SERVER=server) == ["/hall", "/meta"]
    assert complete("--server", server, "observe", "/h") == ["/hall/light"]


def test_without_a_server_nothing_is_completed():
    assert complete("get", "/ha", ESHET_SERVER="127.0.0.1:1") == []
    assert complete("get", "/ha", ESHET_SERVER="no address:x") == []


async def test_paths_of_aliases_are_completed(advance):
    aliases = {"Hall lamp": "/house/hall/lamp", "Hall lamp/action": "/house/button"}
    async with bridged_house(advance, aliases=aliases) as house:
        await house.publish("zigbee2mqtt/bridge/devices", [LAMP], retained=True)
        states = await paths_below(house.client, "/house/", ["state"])
        assert states == [f"/house/hall/lamp/{name}" for name in ("info", "online", "power")]
        assert await paths_below(house.client, "/house/", ["event"]) == ["/house/button"]
        directories = await paths_below(house.client, "/house", ["dir"])
        assert directories == ["/house", "/house/hall", "/house/hall/lamp"]
