import asyncio
from textwrap import dedent

import pytest

from eshet import Client, ErrorValue, Unknown
from eshet_rules.audit.redaction import REDACTED, Redaction
from eshet_rules.config import Configuration
from eshet_rules.exceptions import NotReloaded, NotRolledBack, NotWritten, VersionNotFound
from eshet_rules.modules.discovery import version_of
from eshet_rules.reload.version_store import VersionStore
from eshet_rules.runner.control import Control
from eshet_rules.runner.publisher import Publisher
from eshet_rules.runner.roll_backs import RollBacks
from eshet_rules.runner.rolling_back import RollingBack
from eshet_rules.runner.switches import RuleSwitches
from eshet_rules.runner.version_writer import VersionWriter
from eshet_rules.threads import RunnerThreads
from tests.support.house import LEVEL

KEEPS = """
    from eshet import yarp
    from eshet_rules import keep, rule

    @rule
    async def count():
        total = keep("total", 0)
        door = await yarp.event_listen("/door")
        await yarp.state_register("/total", total)
        await yarp.state_register("/version", yarp.Value({version}))

        @door.on_event
        def add(_):
            total.value += 1
    """


@pytest.fixture
async def threads():
    threads = RunnerThreads()
    yield threads
    threads.close()


@pytest.fixture
def roll_backs(house, tmp_path):
    return RollBacks(tmp_path / "state" / "roll-backs.json", house.log.logger)


@pytest.fixture
def store(tmp_path):
    return VersionStore(tmp_path / "state" / "versions")


@pytest.fixture
def writer(house, store, threads):
    writer = VersionWriter(store, house.log.logger, threads)
    house.reloader.on_take_over = lambda old, new: writer.add(new.version)
    return writer


@pytest.fixture
def make(house, roll_backs, threads):
    def make(store):
        return RollingBack(
            house.reloader,
            roll_backs,
            store,
            threads,
            house.log.logger,
            find=house.folder.look,
            admit=roll_backs.apply,
        )

    return make


@pytest.fixture
def rolling_back(make, store):
    return make(store)


@pytest.fixture
def save(house, roll_backs, writer):
    """Save a version of a module, and let the runner see it as it does."""

    async def save(name, text):
        house.write(name, text)
        await house.reloader.update(roll_backs.apply(house.folder.sources()))
        await writer.written()
        return version_of(dedent(text).encode())

    return save


def names(folder):
    return sorted(path.name for path in folder.iterdir())


def level(number, name="hall"):
    return LEVEL.format(name=name, level=number)


async def test_the_version_that_was_live_before_runs_again_until_the_file_changes(
    house, save, rolling_back, roll_backs
):
    one, two = await save("hall.py", level(1)), await save("hall.py", level(2))
    done = await rolling_back.roll_back("hall", by="anna@house", why="too bright")
    assert await house.get("/hall/level") == 1
    assert done == {
        "module": "hall",
        "version": one,
        "replaced": two,
        "file": str(house.folder.path / "hall.py"),
        "is_of_file": False,
        "written": False,
    }
    record = house.log.find("module.rolled_back")
    assert (record["version"], record["replaced"]) == (one, two)
    assert (record["by"], record["why"]) == ("anna@house", "too bright")
    assert roll_backs.all()["hall"].file_version == two
    await house.reloader.update(roll_backs.apply(house.folder.sources()))  # nothing has changed
    assert await house.get("/hall/level") == 1
    await save("hall.py", level(3))
    assert await house.get("/hall/level") == 3
    assert roll_backs.all() == {}


async def test_the_state_is_handed_over(house, save, rolling_back):
    await save("hall.py", KEEPS.format(version=1))
    emit = await house.viewer.event_register("/door")
    await house.advance(0)
    await emit(None)
    await save("hall.py", KEEPS.format(version=2))
    await emit(None)
    await house.advance(0)
    await rolling_back.roll_back("hall")
    await house.advance(0)
    assert await house.get("/version") == 1
    assert await house.get("/total") == 2


async def test_a_second_roll_back_goes_further_back_and_not_to_the_version_of_the_file(
    house, save, rolling_back, writer
):
    for number in (1, 2, 3):
        await save("hall.py", level(number))
    await rolling_back.roll_back("hall")
    assert await house.get("/hall/level") == 2
    await writer.written()
    await rolling_back.roll_back("hall")
    assert await house.get("/hall/level") == 1


async def test_the_version_of_the_file_ends_a_roll_back(house, save, rolling_back, roll_backs):
    await save("hall.py", level(1))
    two = await save("hall.py", level(2))
    await rolling_back.roll_back("hall")
    done = await rolling_back.roll_back(f"hall@{two[:5]}")
    assert done["is_of_file"]
    assert await house.get("/hall/level") == 2
    assert roll_backs.all() == {}


async def test_a_module_whose_file_is_broken_since_the_start_can_be_rolled_back(
    house, save, rolling_back, writer
):
    await save("hall.py", level(1))
    house.folder.remove("hall.py")
    await house.reload()
    await save("hall.py", "a = = 1")
    assert await house.get("/hall/level") is Unknown
    assert (await rolling_back.roll_back("hall"))["replaced"] is None
    assert await house.get("/hall/level") == 1


async def test_a_helper_is_rolled_back_on_its_own_for_all_that_import_it(
    house, save, rolling_back, roll_backs
):
    uses = "from _settings import LEVEL\n"
    await save("_settings.py", "LEVEL = 1")
    for name in ("hall", "bath"):
        await save(f"{name}.py", uses + dedent(level("LEVEL", name)))
    await save("_settings.py", "LEVEL = 2")
    assert await house.get("/hall/level") == 2
    await rolling_back.roll_back("_settings")
    assert [await house.get(f"/{name}/level") for name in ("hall", "bath")] == [1, 1]
    assert list(roll_backs.all()) == ["_settings"]


async def test_a_version_that_can_not_be_set_up_any_more_is_refused_and_nothing_changes(
    house, save, rolling_back, roll_backs
):
    house.write("_settings.py", "LEVEL = 1")
    await save("hall.py", "from _settings import LEVEL\n" + dedent(level("LEVEL")))
    await save("hall.py", level(2))
    house.folder.remove("_settings.py")
    with pytest.raises(NotReloaded, match=r"not reloaded: hall: .*_settings"):
        await rolling_back.roll_back("hall")
    assert await house.get("/hall/level") == 2
    assert roll_backs.all() == {}
    assert "module.rolled_back" not in house.log.events()


async def test_what_can_not_be_rolled_back_is_refused_with_the_reason(
    house, save, rolling_back, make
):
    await save("hall.py", level(1))
    with pytest.raises(VersionNotFound, match="there is no earlier version"):
        await rolling_back.roll_back("hall")
    with pytest.raises(VersionNotFound, match="no kept version begins like this"):
        await rolling_back.roll_back("hall@zz")
    with pytest.raises(NotRolledBack, match="without a state folder"):
        await make(None).roll_back("hall")
    house.folder.remove("hall.py")
    await house.reload()
    with pytest.raises(NotRolledBack, match=r"has no file; `eshet-rules show hall@"):
        await rolling_back.roll_back("hall")


async def test_the_version_is_written_to_the_file_with_its_permissions(
    house, save, rolling_back, roll_backs
):
    await save("hall.py", level(1))
    await save("hall.py", level(2))
    file = house.folder.path / "hall.py"
    target = file.rename(house.folder.path / "hall.txt")
    file.symlink_to(target.name)
    target.chmod(0o640)
    done = await rolling_back.roll_back("hall", write=True)
    assert done["written"]
    assert file.read_text() == dedent(level(1))
    assert file.is_symlink()
    assert target.stat().st_mode & 0o777 == 0o640
    assert roll_backs.all() == {}
    assert names(house.folder.path) == ["hall.py", "hall.txt", "state"]
    house.log.clear()
    await house.reload()
    assert house.log.events() == []


async def test_the_version_that_runs_after_a_roll_back_is_written_to_the_file(
    house, save, rolling_back, roll_backs
):
    for number in (1, 2, 3):
        await save("hall.py", level(number))
    await rolling_back.roll_back("hall")
    house.log.clear()
    done = await rolling_back.roll_back("hall", write=True)
    assert (done["written"], done["replaced"]) == (True, None)
    assert (house.folder.path / "hall.py").read_text() == dedent(level(2))
    assert await house.get("/hall/level") == 2
    assert roll_backs.all() == {}
    assert house.log.events() == ["module.file_written"]


async def test_a_module_that_is_rolled_back_to_its_first_version_can_be_written(
    house, save, rolling_back
):
    one, two = await save("hall.py", level(1)), await save("hall.py", level(2))
    await rolling_back.roll_back("hall")
    with pytest.raises(VersionNotFound) as caught:
        await rolling_back.roll_back("hall")
    assert f"`eshet-rules rollback hall@{one} --write` writes that to the file" in str(caught.value)
    assert {one, two} == set(caught.value.candidates)
    assert (await rolling_back.roll_back(f"hall@{one}", write=True))["written"]


async def test_a_file_that_can_not_be_written_leaves_the_module_rolled_back(
    house, save, rolling_back, roll_backs, monkeypatch
):
    await save("hall.py", level(1))
    await save("hall.py", level(2))

    def refuse(self, target):
        raise OSError(28, "No space left on device")

    with monkeypatch.context() as patch:
        patch.setattr("pathlib.Path.replace", refuse)
        with pytest.raises(NotWritten, match="No space left on device: the version runs until"):
            await rolling_back.roll_back("hall", write=True)
    assert await house.get("/hall/level") == 1
    assert "hall" in roll_backs.all()
    assert names(house.folder.path) == ["hall.py", "state"]


async def test_a_runner_publishes_which_modules_are_rolled_back(house, save, rolling_back):
    log = house.log.logger
    overrides = RuleSwitches(None, log)
    control = Control(
        house.reloader,
        Configuration(),
        overrides,
        log,
        scan=house.folder.look,
        rolling_back=rolling_back,
    )
    one, two = await save("hall.py", level(1)), await save("hall.py", level(2))
    client = Client(server=house.server)
    redaction = Redaction(["/alarm/*"])
    redaction.hide("s3cret")
    publisher = Publisher(
        client, "home", house.reloader, control, log, house.folder.path, redaction
    )
    running = asyncio.create_task(publisher.run())
    await house.advance(1)
    call = house.viewer.action_call
    done = await call("/eshet_rules/home/rollback", f"hall@{one[:6]}", False, "anna", "s3cret")
    assert (done["version"], done["replaced"]) == (one, two)
    assert (await house.get("/eshet_rules/home/runner"))["rolled_back"] == ["hall"]
    listed = (await call("/eshet_rules/home/list"))["rolled_back"]["hall"]
    assert listed.pop("since").endswith("Z")
    assert listed == {"version": one, "file_version": two, "by": "anna", "why": REDACTED}
    with pytest.raises(ErrorValue, match="hall@zz: no kept version begins like this; kept: "):
        await call("/eshet_rules/home/rollback", "hall@zz")
    await call("/eshet_rules/home/rollback", f"hall@{two}")
    assert (await house.get("/eshet_rules/home/runner"))["rolled_back"] == []
    running.cancel()
    await publisher.close()
