import asyncio
from textwrap import dedent

import pytest

from eshet import Client, Unknown
from eshet_rules.modules.discovery import version_of
from eshet_rules.runner.probation import Probation
from eshet_rules.runner.roll_backs import RollBacks
from eshet_rules.runner.rolling_back import RollingBack
from eshet_rules.threads import RunnerThreads
from tests.support.waiting import passing_time

GOOD = """
    import asyncio
    from eshet import yarp
    from eshet_rules import keep, rule

    @rule
    async def light():
        motions = keep("motions", [])
        motion = await yarp.event_listen("/motion")
        moved = yarp.time_window(motion, 60)
        await yarp.state_register("/light", yarp.len(moved))
        await yarp.set_value("/lamp", yarp.len(moved) > 0)
        await yarp.state_register("/motions", yarp.fn(list)(motions))
        await yarp.state_register("/version", yarp.Value({version}))

        @motion.on_event
        def add(number):
            motions.value = [*motions.value, number]

    @rule
    async def fan():
        await yarp.state_register("/fan", yarp.Value({version}))
    """

ADD = """
        @motion.on_event
        def add(number):
            motions.value = [*motions.value, number]
"""

FAILS_LATER = """
        if not runs:  # else this is a restart
            runs.append(True)
            await asyncio.sleep({seconds})
            motions.value.append("wrong")
        raise NameError("the lamp is upside down")
"""


def bad(version=2, seconds=11):
    """Return a version of which a rule fails some time after the beginning of its set-up.

    After ten seconds the runner does not wait for the set-up any more, and the version is live.
    """
    text = GOOD.format(version=version).replace(ADD, ADD + FAILS_LATER.format(seconds=seconds))
    return text.replace("    @rule", "    runs = []\n\n    @rule", 1)


@pytest.fixture
async def threads():
    threads = RunnerThreads()
    yield threads
    threads.close()


@pytest.fixture
def roll_backs(house):
    return RollBacks(None, house.log.logger)


@pytest.fixture
async def probation(house, roll_backs, threads):
    rolling_back = RollingBack(
        house.reloader,
        roll_backs,
        None,
        threads,
        house.log.logger,
        find=house.folder.look,
        admit=roll_backs.apply,
    )
    probation = Probation(house.reloader, rolling_back, 120)
    house.reloader.on_take_over = probation.begin
    running = asyncio.create_task(probation.run())
    yield probation
    running.cancel()


@pytest.fixture
def save(house, roll_backs, probation):
    """Save a version of a module, and let the runner see it as it does."""

    async def save(text, name="hall.py"):
        house.write(name, text)
        sources = roll_backs.apply(house.folder.sources())
        await passing_time(house.reloader.update(sources), house.advance)
        await house.advance(0)
        return version_of(dedent(text).encode())

    return save


@pytest.fixture
async def lamp(house):
    """A lamp that nobody else has, and all that it is set to."""
    return await house.sets("/lamp")


@pytest.fixture
async def move(house):
    return await house.viewer.event_register("/motion")


def states(house):
    return {report.rule: str(report.status.state) for report in house.reloader.reports()}


async def test_a_version_that_fails_soon_is_taken_back_with_the_state_of_the_old_one(
    house, save, roll_backs, lamp, move
):
    good = await save(GOOD.format(version=1))
    await move(1)
    await house.advance(10)
    failing = await save(bad())
    assert await house.get("/version") == 2
    await move(2)
    await house.advance(100)
    assert (await house.get("/version"), await house.get("/fan")) == (1, 1)
    assert states(house) == {"hall.light": "running", "hall.fan": "running"}
    record = house.log.find("module.rolled_back")
    assert (record["version"], record["replaced"]) == (good, failing)
    assert (record["by"], record["level"]) == ("probation", "warning")
    assert record["why"].startswith("hall.light has failed ")
    assert record["why"].endswith(" s after the new version became live: "
                                  "NameError: the lamp is upside down")  # fmt: skip
    assert await house.get("/motions") == [1]
    assert roll_backs.all()["hall"].file_version == failing
    await house.advance(300)
    assert await house.get("/version") == 1


async def test_windows_go_on_from_before_and_end_at_their_times(house, save, lamp, move):
    await save(GOOD.format(version=1))
    await move(1)
    await house.advance(10)
    await save(bad())
    await house.advance(10)
    assert await house.get("/version") == 1
    assert await house.get("/light") == 1
    assert lamp == [False, True, False, True]  # the restart has begun with an empty window
    await house.advance(25)
    assert await house.get("/light") == 1
    await house.advance(10)
    assert await house.get("/light") == 0
    assert lamp[4:] == [False]


async def test_a_lamp_that_the_new_version_has_set_is_set_again(house, save, lamp, move):
    await save(GOOD.format(version=1))
    await move(1)
    await house.advance(1)
    await save(bad().replace("yarp.len(moved) > 0", "yarp.Value('red')"))
    assert lamp == [False, True, "red"]
    await house.viewer.state_changed("/lamp", "red")
    await house.advance(20)
    assert lamp == [False, True, "red", "red", True]  # the restart has set it as well


async def test_the_next_change_of_the_file_ends_it(house, save, roll_backs, lamp, move):
    await save(GOOD.format(version=1))
    await save(bad())
    await house.advance(110)
    assert await house.get("/version") == 1
    await save(GOOD.format(version=3))
    assert await house.get("/version") == 3
    assert roll_backs.all() == {}


async def test_a_version_that_fails_after_its_probation_stays(house, save, lamp, move):
    await save(GOOD.format(version=1))
    await save(bad(seconds=135))
    await house.advance(1000)
    assert states(house)["hall.light"] == "failed"
    assert "module.rolled_back" not in house.log.events()


async def test_the_first_version_of_a_module_stays(house, save, lamp, move):
    await save(bad())
    await house.advance(110)
    assert states(house)["hall.light"] == "failed"
    assert "module.rolled_back" not in house.log.events()


async def test_a_rule_that_was_not_running_before_takes_nothing_back(house, save, lamp, move):
    await save(bad())
    await house.advance(110)
    await save(bad(version=3))
    await house.advance(110)
    assert await house.get("/fan") == 3
    await save(GOOD.format(version=4))
    new = "@rule\nasync def new():\n    await asyncio.sleep(2)\n    raise NameError\n"
    await save(dedent(GOOD.format(version=5)) + new)
    await house.advance(110)
    assert states(house)["hall.new"] == "failed"
    assert "module.rolled_back" not in house.log.events()


async def test_errors_of_callbacks_and_restarts_take_nothing_back(house, save, lamp, move):
    await save(GOOD.format(version=1))
    callback = GOOD.format(version=2).replace("[*motions.value, number]", "1 / 0")
    await save(callback)
    await move(1)
    await house.advance(110)
    assert await house.get("/version") == 2
    assert "rule.failed" in house.log.events()


async def test_without_probation_a_failed_version_stays(house, save, probation, lamp, move):
    probation.configure(0)
    await save(GOOD.format(version=1))
    await save(bad())
    await house.advance(110)
    assert states(house)["hall.light"] == "failed"


READS = """
    import asyncio
    from eshet_rules import rule

    @rule
    async def light(client):
        await client.get("/lux")
        await asyncio.sleep({seconds})
        while True:
            await client.get("{path}")
            await asyncio.sleep(1)
    """


@pytest.mark.parametrize(("path", "is_taken_back"), [("/lux", False), ("/luks", True)])
async def test_the_absence_of_a_device_that_the_old_version_used_takes_nothing_back(
    house, save, path, is_taken_back
):
    device = Client(server=house.server)
    await device.state_register("/lux")
    await device.state_changed("/lux", 3)
    await save(READS.format(seconds=1, path="/lux"))
    await house.advance(5)
    await save(READS.format(seconds=2, path=path))
    if not is_taken_back:
        await device.close()
    await house.advance(110)
    assert ("module.rolled_back" in house.log.events()) is is_taken_back
    assert "rule.stays_failed" in house.log.events()
    await device.close()


async def test_a_helper_that_is_the_reason_is_taken_back(house, save, roll_backs, lamp, move):
    await save("SECONDS = 10**6", "_settings.py")
    text = bad(version="SECONDS").replace("sleep(11)", "sleep(SECONDS)")
    await save("from _settings import SECONDS\n" + dedent(text))
    await move(1)
    await house.advance(1)
    good = version_of(b"SECONDS = 10**6")
    await save("SECONDS = 11", "_settings.py")
    assert await house.get("/version") == 11
    await house.advance(100)
    assert await house.get("/version") == 10**6
    assert list(roll_backs.all()) == ["_settings"]
    assert roll_backs.all()["_settings"].version == good


async def test_a_reload_by_command_does_not_begin_the_time_again(house, save, lamp, move):
    await save(GOOD.format(version=1))
    await save(bad(seconds=25))
    await house.advance(10)
    house.reloader.renew(["hall"])
    await save(bad(seconds=25))
    await house.advance(40)
    assert await house.get("/version") == 1
    assert await house.get("/motions") == []


async def test_a_version_that_was_rolled_back_to_is_not_on_probation(house, save, lamp, move):
    await save(bad(seconds=200))
    await save(bad(version=3))
    await house.advance(110)
    assert await house.get("/version") == 2
    await house.advance(200)
    assert states(house)["hall.light"] == "failed"
    assert await house.get("/fan") == 2


async def test_an_earlier_version_that_can_not_be_used_any_more_leaves_the_new_one(
    house, save, roll_backs, lamp, move
):
    house.write("_settings.py", "")
    await save("import _settings\n" + dedent(GOOD.format(version=1)))
    await save(bad())
    house.folder.remove("_settings.py")
    await house.advance(110)
    assert states(house)["hall.light"] == "failed"
    assert "_settings" in house.log.find("module.not_taken_back")["error"]
    assert roll_backs.all() == {}


async def test_the_server_away_takes_nothing_back(house, save, lamp, move):
    await save(GOOD.format(version=1))
    await save(GOOD.format(version=2))
    house.cables["hall"].cut()
    await house.advance(110)
    assert await house.get("/version") in (2, Unknown)
    assert "module.rolled_back" not in house.log.events()
