import asyncio
import os
import subprocess
import sys

import pytest

from eshet import Client, ErrorValue
from eshet.server import Server
from eshet_rules.config import ClusterSettings, Configuration, ConfigurationFile
from eshet_rules.exceptions import NoNatsServer, NoRules, RulesFolderError, StateInUse, UnknownName
from eshet_rules.runner.main import run
from eshet_rules.runner.state_folder import state_folder
from tests.support.waiting import passing_time, until

LEVEL = """
from eshet import yarp
from eshet_rules import rule

@rule
async def level():
    await yarp.state_register("/level", yarp.Value({level}))
"""


@pytest.fixture
async def server():
    async with Server() as server:
        yield server


@pytest.fixture
def start(folder, log, server, advance):
    """Start the runner, and let it come to rest."""

    async def start(**options):
        runner = asyncio.create_task(run(folder.path, log.logger, server=server, **options))
        await advance(2)
        return runner

    return start


async def stop(runner):
    runner.cancel()
    with pytest.raises(asyncio.CancelledError):
        await runner


async def test_rules_run_until_the_runner_is_cancelled(folder, log, server, start):
    folder.write("hall.py", LEVEL.format(level=1))
    runner = await start(reload=False)
    async with Client(server=server) as viewer:
        assert await viewer.get("/level") == 1
        await stop(runner)
        with pytest.raises(ErrorValue):
            await viewer.get("/level")
    assert log.events() == ["server.named", "module.loaded", "runner.started", "runner.stopped"]


async def test_a_saved_edit_is_live(folder, server, start):
    folder.write("hall.py", LEVEL.format(level=1))
    runner = await start()
    changed = asyncio.Event()
    async with Client(server=server) as viewer:
        await viewer.state_observe("/level", lambda value: value == 2 and changed.set())
        folder.write("hall.py", LEVEL.format(level=2))
        await changed.wait()
        assert await viewer.get("/level") == 2
    await stop(runner)


@pytest.fixture
def deployed(folder, tmp_path):
    """A link to the rules folder, and two folders to which it may lead."""
    for number, release in enumerate(["one", "two"], start=1):
        folder.write(f"releases/{release}/hall.py", LEVEL.format(level=number))
    link = tmp_path / "current"
    link.symlink_to("releases/one")

    def swap():
        (tmp_path / "next").symlink_to("releases/two")
        (tmp_path / "next").replace(link)

    folder.path = link
    return swap


async def test_a_link_to_the_folder_that_is_swapped_is_followed(
    folder, log, server, start, deployed, tmp_path
):
    state = tmp_path / "state"
    runner = await start(state=state)
    changed = asyncio.Event()
    async with Client(server=server) as viewer:
        await viewer.state_observe("/level", lambda value: value == 2 and changed.set())
        deployed()
        await changed.wait()
    await stop(runner)
    assert "module.reloaded" in log.events()
    runner = await start(state=state)
    await stop(runner)
    assert len(list(state.iterdir())) == 1


async def test_a_state_folder_that_was_named_by_where_a_link_leads_is_taken_over(
    folder, start, deployed, tmp_path
):
    state = tmp_path / "state"
    earlier = state_folder(state, folder.path.resolve())
    earlier.mkdir(parents=True)
    (earlier / "switches.json").write_text('{"hall.level": false}')
    await stop(await start(state=state, reload=False))
    [taken_over] = state.iterdir()
    assert taken_over == state_folder(state, folder.path)
    assert (taken_over / "switches.json").exists()


async def test_copies_that_tools_leave_do_not_run_and_are_logged_once(folder, log, start):
    folder.write("hall.py", LEVEL.format(level=1))
    copy = folder.write("hall - Copy.py", LEVEL.format(level=2))
    runner = await start()
    await stop(runner)
    assert log.find("file.excluded")["file"] == str(copy)
    assert log.find("module.loaded")["module"] == "hall"


async def test_once_returns_zero_when_all_is_set_up(folder, log, start):
    folder.write("hall.py", LEVEL.format(level=1))
    assert await (await start(once=True)) == 0
    assert log.events()[-1] == "runner.stopped"


@pytest.mark.parametrize("broken", ["a = = 1", LEVEL.format(level="1 / 0")])
async def test_once_returns_one_when_something_could_not_be(folder, start, broken):
    folder.write("hall.py", LEVEL.format(level=1))
    folder.write("bath.py", broken)
    assert await (await start(once=True)) == 1


async def test_a_folder_that_does_not_exist_is_an_error(folder, log, server):
    with pytest.raises(RulesFolderError):
        await run(folder.path / "gone", log.logger, server=server)


async def test_a_path_that_is_taken_is_logged_before_a_single_load_ends(folder, log, server):
    folder.write("hall.py", LEVEL.format(level=1))
    async with Client(server=server, client_id="old") as old:
        await old.state_register("/level")
        code = await run(folder.path, log.logger, server=server, once=True)
    assert (code, log.find("path.taken")["owner"]) == (1, "client old")


@pytest.mark.parametrize("content", [{}, {"lights.py": "warm = 2700"}])
async def test_a_folder_without_rules_is_an_error(folder, content, start):
    for name, text in content.items():
        folder.write(name, text)
    with pytest.raises(NoRules, match="there is no rule in this folder"):
        await (await start())


async def test_a_folder_with_nothing_but_broken_files_waits_for_their_repair(folder, log, start):
    folder.write("hall.py", "a = = 1")
    runner = await start()
    assert log.events()[-2:] == ["module.import_failed", "runner.started"]
    await stop(runner)


@pytest.mark.parametrize("with_state", [True, False])
async def test_two_runners_of_the_same_rules_do_not_throw_each_other_out(
    folder, log, start, server, tmp_path, advance, with_state
):
    folder.write("hall.py", LEVEL.format(level=1))
    first = await start(reload=False, state=tmp_path / "one" if with_state else None)
    second = await start(reload=False, state=tmp_path / "two" if with_state else None)
    assert "connection.lost" not in log.events()
    await advance(1)
    conflict = log.find("path.taken")
    assert conflict["owner"] == f"the runner of {folder.path}, process {os.getpid()}"
    assert conflict["conflicts"] == [f"/level: hall.level at {folder.path / 'hall.py'}:7"]
    async with Client(server=server) as viewer:
        assert await viewer.get("/level") == 1
    await stop(second)
    await stop(first)


# --- the configuration ----------------------------------------------------------------------------

CONFIGURED = """
from eshet import yarp
from eshet_rules import rule

@rule
async def level(config):
    await yarp.state_register("/level", yarp.Value(config.level))
"""


@pytest.fixture
def configure(folder):
    def configure(text):
        return ConfigurationFile(folder.write("eshet-rules.toml", text))

    return configure


@pytest.fixture
async def told(server, advance):
    """Wait until a state has a value."""

    async with Client(server=server) as viewer:

        async def told(path, wanted):
            arrived = asyncio.Event()

            def compare(value):
                if value == wanted:
                    arrived.set()

            compare(await viewer.state_observe(path, compare))
            await passing_time(arrived.wait(), advance, step=0.1)

        yield told


async def test_a_saved_edit_of_the_configuration_is_live(folder, log, start, configure, told):
    folder.write("hall.py", CONFIGURED)
    file = configure("[rules.hall]\nparameters.level = 1")
    runner = await start(configuration=file.read(), file=file)
    await told("/level", 1)
    configure("[rules.hall]\nparameters.level = 2")
    await told("/level", 2)
    assert log.find("config.reloaded")["modules"] == ["hall"]
    await stop(runner)


async def test_an_edit_of_it_while_the_rules_are_loaded_is_not_lost(folder, start, configure, told):
    folder.write("hall.py", CONFIGURED)
    file = configure("[rules.hall]\nparameters.level = 1")
    configuration = file.read()
    configure("[rules.hall]\nparameters.level = 2")
    runner = await start(configuration=configuration, file=file)
    await told("/level", 2)
    await stop(runner)


async def test_a_mistake_in_it_is_told_and_the_old_one_stays(
    folder, log, start, configure, told, advance
):
    folder.write("hall.py", CONFIGURED)
    file = configure("[rules.hall]\nparameters.level = 1")
    runner = await start(configuration=file.read(), file=file)
    configure("[rules.hall]\nparameter.level = 2\n[lgo]")
    await until(
        lambda: log.events().count("config.invalid") == 2,
        advance,
        step=0.1,
    )
    first, second = (r for r in log.records if r["event"] == "config.invalid")
    assert (first["line"], first["key"]) == (2, "rules.hall.parameter")
    assert (second["line"], second["key"]) == (3, "lgo")
    await told("/level", 1)
    await stop(runner)


async def test_how_the_rules_are_is_published_under_the_name_that_is_configured(
    folder, start, configure, server
):
    folder.write("hall.py", LEVEL.format(level=1))
    configuration = configure('[server]\nname = "upstairs"').read()
    runner = await start(configuration=configuration, reload=False)
    async with Client(server=server) as viewer:
        assert (await viewer.get("/eshet_rules/upstairs/runner"))["rules"] == {"running": 1}
    await stop(runner)


async def test_a_second_runner_of_the_same_rules_is_refused(folder, start, tmp_path):
    folder.write("hall.py", LEVEL.format(level=1))
    runner = await start(state=tmp_path / "state", reload=False)
    with pytest.raises(StateInUse):
        await (await start(state=tmp_path / "state", reload=False))
    await stop(runner)
    runner = await start(state=tmp_path / "state", reload=False)
    await stop(runner)


async def test_only_those_that_are_asked_for_run(folder, start, server):
    folder.write("hall.py", LEVEL.format(level=1))
    folder.write("bath.py", LEVEL.format(level=2))
    runner = await start(only="bath", reload=False)
    async with Client(server=server) as viewer:
        assert await viewer.get("/level") == 2
    await stop(runner)


async def test_a_name_that_no_rule_has_can_not_be_asked_for(folder, start):
    folder.write("hall.py", LEVEL.format(level=1))
    with pytest.raises(UnknownName, match="hal"):
        await (await start(only="hal", once=True))


async def test_a_start_without_a_server_goes_on_with_what_is_kept_when_that_is_there(
    folder, log, server, start, tmp_path, advance
):
    folder.write(
        "hall.py",
        """
        from eshet import yarp
        from eshet_rules import keep, rule

        @rule
        async def starts():
            await yarp.state_register("/starts", count := keep("starts", 0))
            count.value += 1
        """,
    )
    await stop(await start(state=tmp_path / "state"))

    class Late:
        is_there = False

        async def connect(self, factory):
            if not self.is_there:
                raise ConnectionRefusedError("not yet")
            return await server.connect(factory)

    late = Late()
    runner = asyncio.create_task(
        run(folder.path, log.logger, server=late, state=tmp_path / "state")
    )
    await advance(20)
    assert "runner.start_slow" in log.events()
    late.is_there = True
    await advance(10)
    async with Client(server=server) as viewer:
        assert await viewer.get("/starts") == 2
    await stop(runner)
    log.check()


def test_without_a_cluster_nothing_of_it_is_imported():
    script = (
        "import sys, eshet_rules.cli.run, eshet_rules.runner.main\n"
        "known = {m for m in sys.modules if '.audit.records.' not in m}\n"  # the schema of the log
        "print([m for m in known if 'cluster' in m or m.partition('.')[0] == 'nats'"
        " or m == 'eshet.nats.joined'])"
    )
    done = subprocess.run(  # noqa: S603 - a fixed command
        [sys.executable, "-c", script], capture_output=True, text=True, check=True
    )
    assert done.stdout == "[]\n"


async def test_a_cluster_needs_nats(folder, log, server):
    settings = Configuration(cluster=ClusterSettings(name="house"))
    with pytest.raises(NoNatsServer, match="below \\[cluster\\]"):
        await run(folder.path, log.logger, server=server, configuration=settings)
    assert log.events() == []


async def test_a_runner_that_stops_when_all_is_set_up_ignores_its_cluster(folder, log, start):
    folder.write("hall.py", LEVEL.format(level=1))
    settings = Configuration(cluster=ClusterSettings(name="house"))
    assert await (await start(once=True, configuration=settings)) == 0
    assert "module.loaded" in log.events()
