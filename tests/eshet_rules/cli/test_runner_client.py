"""How commands ask a running runner."""

import asyncio

import pytest

from eshet import Client
from eshet.exceptions import ErrorValue
from eshet.server import Server
from eshet_rules.cli.runner_client import Runner, connect_and_run
from eshet_rules.exceptions import NoRunner, ServerUnreachable
from tests.support.processes import line, running


@pytest.mark.parametrize(("action", "seconds"), [("list", 5), ("reload", 120)])
async def test_a_runner_that_does_not_answer_is_told_of(advance, action, seconds):
    async with Server() as server, Client(server=server) as stuck, Client(server=server) as client:
        await stuck.action_register(f"/eshet_rules/house/{action}", lambda: asyncio.sleep(3600))
        asked = asyncio.create_task(Runner(client, "house", "here").call(action))
        await advance(seconds - 0.1)
        assert not asked.done()
        await advance(0.2)
        with pytest.raises(NoRunner, match=f"'house' at here has not answered {action} for"):
            await asked


async def test_a_path_is_provided_by_who_owns_it_not_by_who_observes_it():
    async with Server() as server, Client(server=server) as owner, Client(server=server) as client:
        for number in range(300):
            await owner.state_register(f"/room_{number}/{'x' * 200}")
        await client.state_observe("/lux", print)
        provided = await Runner(client, "house", "here").provided()
        assert {path for path in provided if not path.startswith("/meta")} == {
            f"/room_{number}/{'x' * 200}" for number in range(300)
        }


async def test_of_a_server_that_can_not_tell_nothing_is_said():
    async with Server() as server, Client(server=server) as client:
        client.action_call = _refuse
        assert await Runner(client, "house", "here").provided() is None


async def _refuse(path, *args):
    raise ErrorValue("no_such_node", f"call {path}")


@pytest.mark.parametrize(
    "configuration",
    [
        '[server]\naddress = "127.0.0.1:{port}"\n[cluster]\nlisten = "127.0.0.1:1"',
        '[cluster]\nname = "house"\nlisten = "127.0.0.1:{port}"\nserver = "nats://127.0.0.1:1"',
    ],
    ids=["address", "listen"],
)
def test_a_command_uses_the_server_of_the_configuration(tmp_path, configuration):
    with running("eshet", "serve", "--listen", "127.0.0.1:0") as process:
        server = line(process).removeprefix("listening on ")
        config = tmp_path / "attic.toml"
        config.write_text(configuration.format(port=server.rpartition(":")[2]))
        assert connect_and_run(_address, None, config) == server


def test_a_command_uses_nats_where_the_port_of_the_runner_is_not_known(tmp_path):
    config = tmp_path / "attic.toml"
    config.write_text('[cluster]\nlisten = "127.0.0.1:0"\nserver = "nats://127.0.0.1:1/flat"')
    with pytest.raises(ServerUnreachable, match=r"nats://127.0.0.1:1/flat"):
        connect_and_run(_address, None, config)


async def _address(client, address, configured):
    return address
