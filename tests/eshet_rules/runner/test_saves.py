import asyncio
from textwrap import dedent

import pytest

from eshet import Client, ErrorValue, Unknown
from eshet_rules.config import Configuration
from eshet_rules.exceptions import NotReloaded, UnknownName
from eshet_rules.modules.discovery import version_of
from eshet_rules.reload.version_store import VersionStore
from eshet_rules.runner.committed import Committed
from eshet_rules.runner.control import Control
from eshet_rules.runner.publisher import Publisher
from eshet_rules.runner.roll_backs import RollBacks
from eshet_rules.runner.rolling_back import RollingBack
from eshet_rules.runner.saves import Saves
from eshet_rules.runner.switches import RuleSwitches
from eshet_rules.runner.version_writer import VersionWriter
from eshet_rules.threads import RunnerThreads
from tests.support.house import LEVEL


class Replays:
    """The versions that are to be compared."""

    def __init__(self):
        self.started = []

    def start(self, before, after, *, adds=False):
        pairs = {n: (text_of(before, n), text_of(after, n)) for n in sorted({*before, *after})}
        self.started.append({name: pair for name, pair in pairs.items() if pair[0] != pair[1]})


def text_of(sources, name):
    return sources[name].data.decode() if name in sources else None


@pytest.fixture
async def threads():
    threads = RunnerThreads()
    yield threads
    threads.close()


@pytest.fixture
def replays():
    return Replays()


@pytest.fixture
def roll_backs(house, tmp_path):
    return RollBacks(tmp_path / "state" / "roll-backs.json", house.log.logger)


@pytest.fixture
def committed(house, tmp_path):
    return Committed(tmp_path / "state" / "committed.json", house.log.logger)


@pytest.fixture
def make(house, roll_backs, replays, threads):
    def make(committed):
        return Saves(
            house.reloader,
            committed,
            roll_backs,
            replays,
            threads,
            house.log.logger,
            find=house.folder.look,
            admit=roll_backs.apply,
        )

    return make


@pytest.fixture
def saves(make, committed):
    return make(committed)


@pytest.fixture
def save(house, saves):
    """Save files, and let the runner see them as it does."""

    async def save(**texts):
        for name, text in texts.items():
            house.write(f"{name}.py", text)
        await saves.on_save(house.folder.sources())

    return save


@pytest.fixture
def store(tmp_path):
    return VersionStore(tmp_path / "state" / "versions")


@pytest.fixture
def writer(house, store, threads):
    writer = VersionWriter(store, house.log.logger, threads)
    house.reloader.on_take_over = lambda old, new: writer.add(new.version)
    return writer


@pytest.fixture
async def rolling_back(house, saves, roll_backs, threads, store, writer):
    rolling_back = RollingBack(
        house.reloader,
        roll_backs,
        store,
        threads,
        house.log.logger,
        find=saves.find,
        admit=roll_backs.apply,
        on_written=saves.written,
        kept=writer.written,
    )
    yield rolling_back
    await writer.close()


def level(number, name="hall"):
    return LEVEL.format(name=name, level=number)


def version(text):
    return version_of(dedent(text).encode())


async def test_a_change_waits_and_is_replayed_until_it_is_committed(house, save, saves, replays):
    await save(hall=level(1))
    house.log.clear()
    await save(hall=level(2))
    assert await house.get("/hall/level") == 1
    assert house.log.events() == ["module.changes_wait"]
    record = house.log.find("module.changes_wait")
    assert (record["modules"], record["advice"]) == (
        ["hall"],
        "`eshet-rules commit` applies them",
    )
    assert replays.started == [{"hall": (dedent(level(1)), dedent(level(2)))}]
    assert await saves.commit([]) == ["hall"]
    assert await house.get("/hall/level") == 2
    assert saves.waiting == {}
    assert house.log.find("control.commit_requested")["modules"] == ["hall"]
    assert await saves.commit([]) == []


async def test_each_save_is_logged_once(house, save):
    await save(hall=level(1), bath=level(1, "bath"))
    await save(hall=level(2))
    house.log.clear()
    await save()
    assert house.log.events() == []
    await save(bath=level(2, "bath"))
    assert house.log.find("module.changes_wait")["modules"] == ["bath", "hall"]


async def test_an_edit_that_is_undone_does_not_wait_and_its_replay_ends(
    house, save, saves, replays
):
    await save(hall=level(1))
    await save(hall=level(2))
    house.log.clear()
    await save(hall=level(1))
    assert saves.waiting == {}
    assert house.log.events() == ["module.no_change_waits"]
    assert house.log.find("module.no_change_waits")["modules"] == ["hall"]
    assert replays.started[-1] == {}
    assert await saves.commit([]) == []
    await save(hall=level(3))
    await saves.commit([])
    house.log.clear()
    await save()  # was committed, and not undone
    assert house.log.events() == []


async def test_new_and_deleted_files_wait(house, save, saves):
    await save(hall=level(1))
    house.folder.remove("hall.py")
    await save(bath=level(1, "bath"))
    assert await house.get("/hall/level") == 1
    assert await house.get("/bath/level") is Unknown
    assert await saves.commit([]) == ["bath", "hall"]
    assert await house.get("/hall/level") is Unknown
    assert await house.get("/bath/level") == 1


async def test_names_choose_what_is_committed(house, save, saves):
    await save(hall=level(1), bath=level(1, "bath"), door=level(1, "door"))
    await save(hall=level(2), bath=level(2, "bath"), door=level(2, "door"), new=level(1, "new"))
    assert await saves.commit(["hall.level"]) == ["hall"]
    assert await saves.commit(["ba*", "n*"]) == ["bath", "new"]
    assert await saves.commit(["hall"]) == []
    with pytest.raises(UnknownName, match="did you mean door"):
        await saves.commit(["doors"])
    assert list(saves.waiting) == ["door"]


async def test_a_change_that_can_not_be_used_waits_on_and_the_others_are_applied(
    house, save, saves, committed
):
    await save(hall=level(1), bath=level(1, "bath"))
    await save(hall="import nothing_like_this\n", bath=level(2, "bath"))
    house.log.clear()
    text = r"^committed bath; not reloaded: hall: .*nothing_like_this"
    with pytest.raises(NotReloaded, match=text) as error:
        await saves.commit([])
    assert error.value.committed == ["bath"]
    assert "module.repaired" not in house.log.events()  # the file is as it was
    assert await house.get("/hall/level") == 1
    assert await house.get("/bath/level") == 2
    assert list(saves.waiting) == ["hall"]
    assert house.reloader.broken == {}
    await save(hall=level(3))
    assert await saves.commit([]) == ["hall"]
    assert await house.get("/hall/level") == 3


async def test_invalid_syntax_is_reported_at_the_save(house, save, replays):
    await save(hall=level(1))
    house.log.clear()
    await save(hall="a = = 1\n", new="return\n")
    record = house.log.find("module.import_failed_again")
    assert (record["module"], record["line"], record["source"]) == ("hall", 1, "a = = 1")
    assert record["version"] == version(level(1))
    assert "outside function" in house.log.find("module.import_failed")["error"]
    assert replays.started == []
    await save(bath=level(1, "bath"))  # is replayed without them
    assert [list(each) for each in replays.started] == [["bath"]]
    assert house.log.events().count("module.import_failed") == 1
    assert await house.get("/hall/level") == 1


async def test_a_helper_is_committed_for_all_that_import_it_or_not_at_all(house, save, saves):
    uses = "from _settings import LEVEL\n"
    texts = {name: uses + dedent(level("LEVEL", name)) for name in ("hall", "bath")}
    await save(_settings="LEVEL = 1\n", **texts)
    await save(_settings="LEVEL = 2\n", bath=uses + dedent(level("LEVEL + no", "bath")))
    with pytest.raises(NotReloaded):
        await saves.commit([])
    assert [await house.get(f"/{name}/level") for name in ("hall", "bath")] == [1, 1]
    assert list(saves.waiting) == ["_settings", "bath"]
    assert await saves.commit(["_settings"]) == ["_settings"]
    assert [await house.get(f"/{name}/level") for name in ("hall", "bath")] == [2, 2]
    assert list(saves.waiting) == ["bath"]


SLOW = """
    import asyncio
    from eshet import yarp
    from eshet_rules import rule

    @rule
    async def level():
        await asyncio.sleep(0.5)
        await yarp.state_register("/hall/level", yarp.Value({level}))
    """


async def test_a_save_during_a_commit_waits(house, save, saves):
    await save(hall=level(1))
    await save(hall=SLOW.format(level=2))
    committing = asyncio.create_task(saves.commit([]))
    while "control.commit_requested" not in house.log.events():
        await house.advance(0)
    await save(hall=level(3))
    await house.advance(1)
    assert await committing == ["hall"]
    assert await house.get("/hall/level") == 2
    assert saves.waiting["hall"].file_version == version(level(3))


async def test_a_change_is_committed_once_it_is_live(
    house, save, saves, rolling_back, roll_backs, writer, make, tmp_path
):
    def after_a_kill():
        """Return the version that a runner would start that was killed now."""
        log = house.log.logger
        committed = Committed(tmp_path / "state" / "committed.json", log)
        started = RollBacks(tmp_path / "state" / "roll-backs.json", log)
        return started.apply(committed.apply(house.folder.sources()))["hall"].version

    house.reloader.on_take_over = lambda old, new: (writer.add(new.version), saves.on_take_over())
    await save(hall=level(1))
    await save(hall=level(2))
    await saves.commit([])
    await writer.written()
    await rolling_back.roll_back("hall")
    slow = SLOW.format(level=3)
    await save(hall=slow)
    committing = asyncio.create_task(saves.commit([]))
    while "control.commit_requested" not in house.log.events():
        await house.advance(0)
    await house.advance(0.1)
    assert after_a_kill() == version(level(1))
    kept = []
    house.reloader.on_take_over = lambda old, new: (
        saves.on_take_over(),
        asyncio.get_running_loop().call_soon(lambda: kept.append(after_a_kill())),
    )
    await house.advance(1)
    assert await committing == ["hall"]
    assert kept == [version(slow)]  # even before the old instance has ended
    assert roll_backs.all() == {}


async def test_a_commit_that_is_interrupted_leaves_what_runs(
    house, save, saves, rolling_back, roll_backs, writer
):
    await save(hall=level(1))
    await save(hall=level(2))
    await saves.commit([])
    await writer.written()
    await rolling_back.roll_back("hall")
    await save(hall=SLOW.format(level=3))
    committing = asyncio.create_task(saves.commit([]))
    while "control.commit_requested" not in house.log.events():
        await house.advance(0)
    await house.advance(0.1)
    committing.cancel()
    with pytest.raises(asyncio.CancelledError):
        await committing
    assert roll_backs.all()["hall"].version == version(level(1))
    await save()
    assert list(saves.waiting) == ["hall"]
    assert await house.get("/hall/level") == 1


async def test_a_commit_that_is_superseded_is_tried_again(house, save, saves):
    await save(hall=level(1))
    await save(hall=SLOW.format(level=2))
    committing = asyncio.create_task(saves.commit([]))
    while "control.commit_requested" not in house.log.events():
        await house.advance(0)
    await house.advance(0.1)
    updating = asyncio.create_task(house.reloader.update(dict(house.reloader.newest)))
    await house.advance(2)
    assert await committing == ["hall"]
    await updating
    assert await house.get("/hall/level") == 2


async def test_after_a_restart_the_committed_version_starts(house, save, make, tmp_path):
    await save(hall=level(1))
    await save(hall=level(2), new=level(1, "new"))
    await house.reloader.close()
    restarted = make(Committed(tmp_path / "state" / "committed.json", house.log.logger))
    found = house.folder.sources()
    started = restarted.of_files(found)
    assert {name: each.version for name, each in started.items()} == {"hall": version(level(1))}
    house.log.clear()
    await restarted.report(found)
    assert house.log.find("module.changes_wait")["modules"] == ["hall", "new"]


async def test_a_roll_back_is_one_of_the_committed_version(
    house, save, saves, rolling_back, roll_backs, writer
):
    await save(hall=level(1))
    await save(hall=level(2))
    await saves.commit([])
    await save(hall=level(3))
    done = await rolling_back.roll_back("hall")
    assert done["version"] == version(level(1))
    await save(hall=level(4))  # the roll-back goes on
    assert await house.get("/hall/level") == 1
    assert saves.waiting["hall"].version == version(level(2))
    await saves.commit([])
    assert await house.get("/hall/level") == 4
    assert roll_backs.all() == {}


async def test_a_failed_commit_does_not_end_a_roll_back(
    house, save, saves, rolling_back, roll_backs, writer
):
    await save(hall=level(1))
    await save(hall=level(2))
    await saves.commit([])
    await writer.written()
    await rolling_back.roll_back("hall")
    await save(hall="import nothing_like_this\n")
    with pytest.raises(NotReloaded):
        await saves.commit([])
    assert await house.get("/hall/level") == 1
    assert roll_backs.all()["hall"].version == version(level(1))
    assert list(saves.waiting) == ["hall"]
    assert "module.roll_back_ended" not in house.log.events()
    await save(hall=level(4))
    assert await saves.commit([]) == ["hall"]
    assert house.log.find("module.roll_back_ended")["version"] == version(level(4))


async def test_a_version_on_probation_is_taken_back_while_an_edit_waits(
    house, save, saves, rolling_back, roll_backs
):
    await save(hall=level(1))
    source, snapshot = house.reloader.sources["hall"], house.reloader.snapshot("hall")
    await save(hall=level(2))
    await saves.commit([])
    await save(hall=level(3))
    failed = {"hall": version(level(2))}
    await rolling_back.take_back("hall", {"hall": source}, failed, snapshot, "it has failed")
    assert await house.get("/hall/level") == 1
    assert roll_backs.all()["hall"].file_version == version(level(2))
    await saves.commit([])
    assert await house.get("/hall/level") == 3


async def test_a_roll_back_that_is_written_is_committed(house, save, saves, rolling_back, writer):
    await save(hall=level(1))
    await save(hall=level(2))
    await saves.commit([])
    await writer.written()
    await rolling_back.roll_back("hall", write=True)
    await save()
    assert saves.waiting == {}
    assert await house.get("/hall/level") == 1


async def test_a_runner_publishes_which_changes_wait_and_commits_them(house, save, saves):
    log = house.log.logger
    overrides = RuleSwitches(None, log)
    control = Control(house.reloader, Configuration(), overrides, log, scan=saves.find, saves=saves)
    await save(hall=level(1))
    await save(hall=level(2), new=level(1, "new"))
    client = Client(server=house.server)
    publisher = Publisher(client, "home", house.reloader, control, log, house.folder.path)
    running = asyncio.create_task(publisher.run())
    await house.advance(1)
    call = house.viewer.action_call
    assert (await house.get("/eshet_rules/home/runner"))["waiting"] == ["hall", "new"]
    assert (await call("/eshet_rules/home/list"))["waiting"] == {
        "hall": {"version": version(level(1)), "file_version": version(level(2))},
        "new": {"version": None, "file_version": version(level(1, "new"))},
    }
    await call("/eshet_rules/home/reload")  # does not commit anything
    assert await house.get("/hall/level") == 1
    assert await call("/eshet_rules/home/commit", "new") == ["new"]
    assert (await house.get("/eshet_rules/home/runner"))["waiting"] == ["hall"]
    with pytest.raises(ErrorValue, match="there is no rule and no module 'attic'"):
        await call("/eshet_rules/home/commit", "attic")
    assert await call("/eshet_rules/home/commit") == ["hall"]
    assert await house.get("/hall/level") == 2
    running.cancel()
    await publisher.close()


async def test_without_waiting_a_save_is_applied_and_then_replayed(house, make, replays):
    saves = make(None)
    house.write("hall.py", level(1))
    await saves.on_save(house.folder.sources())
    house.write("hall.py", level(2))
    house.write("bath.py", "a = = 1")
    await saves.on_save(house.folder.sources())
    assert await house.get("/hall/level") == 2
    assert replays.started[-1] == {"hall": (dedent(level(1)), dedent(level(2)))}
    assert (saves.waiting, await saves.commit([])) == ({}, [])
