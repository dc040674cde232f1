import asyncio
import signal

import pytest

from eshet import Client, ErrorValue
from eshet.server import Server
from eshet_rules.exceptions import NoRules, RulesFolderError
from eshet_rules.runner import run
from eshet_rules.signals import until_signalled

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
    assert log.events() == ["using a running server", "loaded", "running", "stopped"]


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


async def test_once_returns_zero_when_all_is_set_up(folder, log, start):
    folder.write("hall.py", LEVEL.format(level=1))
    assert await (await start(once=True)) == 0
    assert log.events()[-1] == "stopped"


@pytest.mark.parametrize("broken", ["a = = 1", LEVEL.format(level="1 / 0")])
async def test_once_returns_one_when_something_could_not_be(folder, start, broken):
    folder.write("hall.py", LEVEL.format(level=1))
    folder.write("bath.py", broken)
    assert await (await start(once=True)) == 1


async def test_a_folder_that_does_not_exist_is_an_error(folder, log, server):
    with pytest.raises(RulesFolderError):
        await run(folder.path / "gone", log.logger, server=server)


@pytest.mark.parametrize("content", [{}, {"lights.py": "warm = 2700"}])
async def test_a_folder_without_rules_is_an_error(folder, content, start):
    for name, text in content.items():
        folder.write(name, text)
    with pytest.raises(NoRules, match="there is no rule in this folder"):
        await (await start())


async def test_a_folder_with_nothing_but_broken_files_waits_for_their_repair(folder, log, start):
    folder.write("hall.py", "a = = 1")
    runner = await start()
    assert log.events()[-2:] == ["import failed", "running"]
    await stop(runner)


@pytest.mark.parametrize("number", [signal.SIGINT, signal.SIGTERM])
async def test_a_signal_ends_the_work_and_gives_zero(number):
    cleaned_up = []

    async def work():
        try:
            signal.raise_signal(number)
            await asyncio.get_running_loop().create_future()
        finally:
            signal.raise_signal(number)
            await asyncio.sleep(0)
            await asyncio.sleep(0)
            cleaned_up.append(True)

    assert await until_signalled(work()) == 0
    assert cleaned_up == [True]


async def test_without_a_signal_the_work_gives_its_result_or_its_error():
    async def work():
        return 3

    async def fail():
        raise NoRules(None)

    assert await until_signalled(work()) == 3
    with pytest.raises(NoRules):
        await until_signalled(fail())
