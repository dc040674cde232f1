"""A rule that ends the process of its runner does not end the others of the cluster."""

import contextlib
from collections.abc import Callable, Iterator

import pytest

from tests.support.nats import NatsServer
from tests.support.processes import command
from tests.support.rules import Folder
from tests.support.runner import Runner, runner

Start = Callable[..., "contextlib.AbstractContextManager[Runner]"]

BAD = """
import ctypes
from eshet_rules import rule

@rule
async def bad(client):
    await client.action_register("/bad/end", lambda: ctypes.string_at(0))

@rule
async def good(client):
    await client.action_register("/good/ask", lambda: "here")
"""


@pytest.fixture
def rules(tmp_path_factory: pytest.TempPathFactory) -> Folder:
    folder = Folder(tmp_path_factory.mktemp("rules"))
    folder.write("bad.py", BAD)
    return folder


@pytest.fixture
def start(nats: NatsServer, rules: Folder, tmp_path_factory: pytest.TempPathFactory) -> Start:
    """Start a runner, again with its state."""
    places = {name: tmp_path_factory.mktemp(name) for name in ("attic", "cellar")}

    @contextlib.contextmanager
    def start(name: str) -> Iterator[Runner]:
        config = places[name] / "eshet-rules.toml"
        config.write_text(
            f"""
            [cluster]
            name = "house"
            server = "{nats.url}"
            listen = "127.0.0.1:0"
            runner = "{name}"
            weight = {100 if name == "attic" else 0.01}
            """
        )
        options = ["--config", str(config), "--state-dir", str(places[name] / "state")]
        with runner(rules, "", *options) as running:
            yield running

    return start


def server_of(runner: Runner) -> str:
    return str(runner.records[0]["address"])


def test_a_rule_that_has_ended_a_runner_is_off_at_the_others(start: Start) -> None:
    with start("attic") as attic:
        attic.wait_for("module.loaded", module="bad")
        with start("cellar") as cellar:
            cellar.wait_for("cluster.joined", others=["attic"])
            server = server_of(cellar)
            assert command("eshet", "call", "/bad/end", server=server).returncode != 0
            assert attic.wait() != 0
            cellar.wait_for("module.loaded", module="bad")
            with start("attic") as again:
                again.wait_for("rule.quarantined", rule="bad.bad")
                off = cellar.wait_for("rule.quarantined", rule="bad.bad")
                assert off["why"].startswith("it ended the runner attic at ")
                again.wait_for("module.loaded", module="bad")
                assert command("eshet", "call", "/bad/end", server=server).returncode != 0
                assert command("eshet", "call", "/good/ask", server=server).stdout == '"here"\n'
                enabled = command("eshet-rules", "enable", "bad.bad", "--server", server)
                assert enabled.stdout == "enabled bad.bad at attic, cellar\n"
                assert "/bad/end" in command("eshet", "ls", "-r", "/", server=server).stdout
                assert again.stop() == 0
            cellar.wait_for("module.loaded", module="bad")
            assert "/bad/end" in command("eshet", "ls", "-r", "/", server=server).stdout
            assert cellar.stop() == 0
