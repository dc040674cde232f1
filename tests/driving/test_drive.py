"""`yarp.drive` in rules, with devices, people, reloads and restarts, in virtual time."""

import asyncio

import pytest

from eshet import Client, Unknown, yarp
from eshet.utils import RunSerially
from eshet_rules import rule
from eshet_rules.exceptions import NotDriven
from eshet_rules.testing.exceptions import NotSetUp

RETRY = RunSerially(only_latest=True, retry=True, retry_start=2, retry_end=2)

MOTION = """
from eshet import yarp
from eshet_rules import rule


@rule
async def light():
    motion = yarp.hold(await yarp.event_listen("/hall/motion"), 120)
    await yarp.drive("/hall/light", yarp.when(100, motion, otherwise=0), override="2h")
"""

FAILING = """
from pathlib import Path

from eshet import yarp
from eshet_rules import rule


@rule
async def light():
    if Path({fails!r}).exists():
        raise OSError("the bridge is not there yet")
    await yarp.drive("/hall/light", 100, override={override})
"""

LOW = """
from eshet import yarp
from eshet_rules import rule


@rule
async def other():
    await yarp.drive("/hall/light", 2, priority=-1)
"""

SAFETY = """
from eshet import yarp
from eshet_rules import rule


@rule
async def alarm():
    smoke = await yarp.state_observe("/smoke")
    await yarp.drive(
        "/hall/light", yarp.when(100, smoke, otherwise=yarp.NoValue), priority=100, verify=5
    )
"""


@pytest.fixture
def files(tmp_path, house):
    """Write modules of a rules folder, and load them."""

    async def load(**sources):
        for name, source in sources.items():
            (tmp_path / f"{name}.py").write_text(source)
        await house.load(*(tmp_path / f"{name}.py" for name in sources))

    load.folder = tmp_path
    return load


def drives(house):
    [report] = house.drives.report()
    return report


async def test_motion_and_a_person_to_the_instant(house, files):
    house.device("/hall/light", 0)
    await files(hall=MOTION)
    await house.emit("/hall/motion")
    await house.advance(minutes=1)
    await house.set("/hall/light", 30)
    await house.advance(minutes=10)
    await house.emit("/hall/motion")
    await house.advance(hours=2)
    assert house.history("/hall/light") == [(0, 0), (0, 100), (60, 30), (60 + 7200, 0)]


async def test_a_switch_at_the_device_counts_as_a_person(house, files):
    lamp = house.device("/hall/light", 0)
    await files(hall=MOTION)
    await house.emit("/hall/motion")
    await lamp.report(0)
    await house.advance(minutes=1)
    await house.emit("/hall/motion")
    await house.advance(minutes=60)
    assert house.history("/hall/light") == [(0, 0), (0, 100), (0, 0)]
    assert drives(house)["override"] == {
        "value": 0,
        "since": "2026-01-01T00:00:00Z",
        "until": "2026-01-01T02:00:00Z",
    }


async def test_a_person_may_set_a_state_that_a_rule_owns(house):
    @rule
    async def lamp():
        await yarp.state_register("/hall/light", yarp.Value(0), settable=True)

    @rule
    async def light():
        await yarp.drive("/hall/light", 10, override="1h")

    await house.rule(lamp)
    await house.rule(light)
    assert await house.get("/hall/light") == 10
    assert drives(house)["decides"] == "test1.light"
    await house.set("/hall/light", 30)
    assert drives(house)["decides"] == "person"


async def test_values_that_change_in_one_turn_are_one_setting_and_are_forgotten(house):
    lamp = house.device("/hall/light", 0)
    level = yarp.Value(10)

    @rule
    async def light():
        await yarp.drive("/hall/light", level, override="1h")

    await house.rule(light)
    for value in (20, 30, 40):
        level.value = value
    await house.settle()
    assert lamp.sets == [10, 40]
    await house.advance(minutes=30)
    await house.set("/hall/light", 20)
    assert drives(house)["decides"] == "person"


async def test_safety_in_another_module_decides_over_a_person_and_gives_back(house, files):
    lamp = house.device("/hall/light", 0)
    smoke = house.device("/smoke", False, settable=False)
    await files(hall=MOTION, smoke=SAFETY)
    await house.set("/hall/light", 30)
    await house.advance(minutes=1)
    await smoke.report(True)
    assert lamp.value == 100
    assert drives(house)["decides"] == "smoke.alarm"
    await smoke.report(False)
    assert lamp.value == 30
    assert drives(house)["decides"] == "person"


async def test_a_verified_value_is_sent_again_if_others_change_it(house, files):
    lamp = house.device("/hall/light", 0)
    smoke = house.device("/smoke", False, settable=False)
    await files(smoke=SAFETY)
    await smoke.report(True)
    await lamp.report(0)
    assert lamp.value == 100
    assert house.history("/hall/light") == [(0, 0), (0, 100), (0, 0), (0, 100)]


async def test_safety_without_verify_decides_over_a_person_who_repeats(house, files):
    lamp = house.device("/hall/light", 0)
    house.device("/smoke", True, settable=False)
    await files(hall=MOTION, smoke=SAFETY.replace(", verify=5", ""))
    await house.advance(minutes=1)
    for _ in range(10):
        await house.set("/hall/light", 30)
        await house.advance(seconds=1)
    assert lamp.value == 30
    assert lamp.sets.count(100) == 1 + 3
    assert drives(house)["contested"]
    await house.advance(minutes=1)
    assert lamp.value == 100
    assert house.timeline().count("others change a driven path again and again") == 1
    await house.advance(minutes=10)
    assert not drives(house)["contested"]


async def test_a_start_sends_one_value_whatever_the_order_of_the_modules(house, files):
    lamp = house.device("/hall/light", 50)
    house.device("/smoke", True, settable=False)
    await files(hall=MOTION, smoke=SAFETY)
    assert lamp.sets == [100]


async def test_the_next_driver_decides_when_the_rule_of_the_decider_is_removed(house, files):
    lamp = house.device("/hall/light", 0)
    house.device("/smoke", True, settable=False)
    await files(hall=MOTION, smoke=SAFETY)
    await house.reload(files.folder / "smoke.py", "# nothing")
    assert lamp.sets == [100, 0]


async def test_a_new_version_that_fails_does_not_change_who_decides(house, files):
    lamp = house.device("/hall/light", 0)
    house.device("/smoke", True, settable=False)
    await files(hall=MOTION, smoke=SAFETY)
    with pytest.raises(NotSetUp):
        await house.reload(files.folder / "smoke.py", SAFETY + "    raise ValueError('x')\n")
    assert lamp.sets == [100]
    assert drives(house)["decides"] == "smoke.alarm"


async def test_another_priority_after_a_reload_decides_at_once(house, files):
    lamp = house.device("/hall/light", 0)
    house.device("/smoke", True, settable=False)
    await files(hall=MOTION, smoke=SAFETY)
    await house.reload(files.folder / "smoke.py", SAFETY.replace("priority=100", "priority=-1"))
    assert lamp.sets == [100, 0]
    assert drives(house)["decides"] == "hall.light"


async def test_a_reload_of_the_decider_sends_nothing(house, files):
    lamp = house.device("/hall/light", 50)
    house.device("/smoke", True, settable=False)
    await files(hall=MOTION, smoke=SAFETY)
    before = drives(house)["since"]
    await house.advance(minutes=5)
    await house.reload(files.folder / "smoke.py")
    await house.reload(files.folder / "hall.py")
    assert lamp.sets == [100]
    assert drives(house)["since"] == before


async def test_an_override_outlasts_a_reload(house, files):
    lamp = house.device("/hall/light", 0)
    await files(hall=MOTION)
    await house.emit("/hall/motion")
    await house.advance(minutes=1)
    await house.set("/hall/light", 30)
    await house.advance(minutes=60)
    await house.reload(files.folder / "hall.py")
    await house.emit("/hall/motion")
    await house.advance(minutes=59.5)
    assert lamp.value == 30
    await house.advance(minutes=0.5)
    assert lamp.sets[-1] == 0


async def test_an_override_outlasts_a_restart_of_the_runner(house, files):
    house.device("/hall/light", 0)
    house.device("/smoke", False, settable=False)
    await files(hall=MOTION, smoke=SAFETY)
    await house.emit("/hall/motion")
    await house.advance(minutes=1)
    await house.set("/hall/light", 30)
    await house.advance(minutes=60)
    await house.restart(minutes=10)
    assert drives(house)["override"] == {
        "value": 30,
        "since": "2026-01-01T00:01:00Z",
        "until": "2026-01-01T02:01:00Z",
    }
    await house.emit("/hall/motion")
    await house.advance(minutes=60)
    assert house.history("/hall/light")[2:] == [(60, 30), (60 + 7200, 0)]


@pytest.mark.parametrize("others", [{}, {"low": LOW}, {"smoke": SAFETY}], ids=["", "low", "smoke"])
async def test_an_override_outlasts_a_restart_in_which_its_rule_fails_first(house, files, others):
    lamp = house.device("/hall/light", 0)
    house.device("/smoke", False, settable=False)
    fails = files.folder / "fails"
    await files(hall=FAILING.format(fails=str(fails), override="'2h'"), **others)
    await house.set("/hall/light", 30)
    await house.advance(minutes=1)
    fails.touch()
    with pytest.raises(NotSetUp):
        await house.restart(minutes=1)
    fails.unlink()
    house.errors.clear()
    assert lamp.value == 30
    await house.advance(minutes=1)
    assert drives(house)["override"] == {
        "value": 30,
        "since": "2026-01-01T00:00:00Z",
        "until": "2026-01-01T02:00:00Z",
    }
    await house.advance(hours=2)
    assert house.history("/hall/light") == [(0, 0), (0, 100), (0, 30), (7200, 100)]


async def test_an_override_as_long_as_a_value_outlasts_the_same(house, files):
    lamp = house.device("/hall/light", 0)
    fails = files.folder / "fails"
    await files(hall=FAILING.format(fails=str(fails), override="yarp.Value(True)"), low=LOW)
    await house.set("/hall/light", 30)
    await house.advance(minutes=1)
    fails.touch()
    with pytest.raises(NotSetUp):
        await house.restart(minutes=1)
    fails.unlink()
    house.errors.clear()
    assert lamp.value == 2  # nobody knows whether the condition still holds
    await house.advance(minutes=1)
    assert lamp.value == 30
    assert drives(house)["decides"] == "person"


async def test_an_override_that_ends_while_the_runner_is_down_is_over_after_the_restart(
    house, files
):
    lamp = house.device("/hall/light", 0)
    await files(hall=MOTION)
    await house.set("/hall/light", 30)
    await house.advance(minutes=1)
    await house.restart(hours=3)
    assert lamp.value == 0


async def test_a_restart_of_the_runner_sends_nothing_if_all_is_so(house, files):
    lamp = house.device("/hall/light", 50)
    house.device("/smoke", True, settable=False)
    await files(hall=MOTION, smoke=SAFETY)
    before = drives(house)
    await house.advance(minutes=5)
    await house.restart(minutes=5)
    assert lamp.sets == [100]
    after = drives(house)
    assert (after["decides"], after["since"]) == (before["decides"], before["since"])


async def test_what_a_device_has_lost_while_the_runner_was_down_is_sent(house, files):
    lamp = house.device("/hall/light", 0)
    house.device("/smoke", True, settable=False)
    await files(hall=MOTION, smoke=SAFETY)
    await lamp.power_cut()
    restarting = asyncio.ensure_future(house.restart(minutes=5))
    await asyncio.sleep(60)
    await lamp.power_back()
    await restarting
    assert lamp.sets == [100, 100]


async def test_a_rule_that_restarts_after_a_failure_takes_part_again(house):
    lamp = house.device("/hall/light", 0)

    @rule
    async def low():
        await yarp.drive("/hall/light", 10)

    @rule
    async def high(scope):
        crash = await yarp.event_listen("/crash")
        await yarp.drive("/hall/light", 90, priority=1)
        crashed = asyncio.Event()
        crash.on_event(lambda _: crashed.set())
        await crashed.wait()
        raise ValueError("crashed")

    await house.rule(low)
    await house.rule(high)
    assert lamp.value == 90
    await house.emit("/crash")
    assert lamp.value == 10
    house.errors.clear()
    await house.advance(seconds=5)
    assert lamp.value == 90
    house.errors.clear()


@pytest.mark.parametrize(
    "other", [None, {"value": yarp.NoValue, "priority": 9}, {"value": 2, "priority": -1}]
)
async def test_what_a_person_sets_while_the_rule_restarts_is_that_of_the_person(house, other):
    lamp = house.device("/hall/light", 0)

    @rule
    async def light():
        crash = await yarp.event_listen("/crash")
        await yarp.drive("/hall/light", 100, override="2h")
        crashed = asyncio.Event()
        crash.on_event(lambda _: crashed.set())
        await crashed.wait()
        raise ValueError("crashed")

    @rule
    async def another():
        await yarp.drive("/hall/light", **other)

    await house.rule(light)
    if other is not None:
        await house.rule(another)
    await lamp.report(30)
    await house.advance(minutes=1)
    await house.emit("/crash")
    await lamp.report(80)
    house.errors.clear()
    await house.advance(minutes=1)
    assert lamp.value == 80
    assert drives(house)["override"]["value"] == 80
    await house.advance(hours=2)
    assert lamp.value == 100


async def test_a_rule_that_begins_sends_its_value_if_no_person_decided_before(house):
    lamp = house.device("/hall/light", 0)

    @rule
    async def light():
        crash = await yarp.event_listen("/crash")
        await yarp.drive("/hall/light", 100, override="2h")
        crashed = asyncio.Event()
        crash.on_event(lambda _: crashed.set())
        await crashed.wait()
        raise ValueError("crashed")

    await house.rule(light)
    await house.emit("/crash")
    await lamp.report(80)
    house.errors.clear()
    await house.advance(minutes=1)
    assert lamp.value == 100
    assert drives(house)["override"] is None


async def test_a_lamp_that_had_no_power_gets_its_value_again(house, files):
    lamp = house.device("/hall/light", 0)
    await files(hall=MOTION)
    await house.emit("/hall/motion")
    await house.advance(minutes=1)
    await lamp.power_cut()
    await house.advance(seconds=10)
    await lamp.power_back()
    assert lamp.value == 100
    assert drives(house)["override"] is None


async def test_a_lamp_that_does_not_know_its_value_after_a_power_cut_gets_it(house, files):
    lamp = house.device("/hall/light")
    await files(hall=MOTION)
    await house.emit("/hall/motion")
    await house.advance(minutes=3)
    await lamp.power_cut()
    await lamp.power_back()
    assert lamp.value == 0
    assert lamp.sets == [0, 100, 0, 0]


async def test_a_value_that_changes_while_the_lamp_has_no_power_is_sent_when_it_is_back(
    house, files
):
    lamp = house.device("/hall/light", 0)
    await files(hall=MOTION)
    await lamp.power_cut()
    await house.emit("/hall/motion")
    house.errors.clear()  # the lamp is away
    await lamp.power_back()
    assert lamp.value == 100


async def test_set_value_sets_again_what_the_owner_has_lost(house):
    lamp = house.device("/hall/light", 0)

    @rule
    async def light():
        await yarp.set_value("/hall/light", yarp.Value(7))

    await house.rule(light)
    await lamp.power_cut()
    await lamp.power_back()
    assert lamp.value == 7
    assert lamp.sets == [7, 7]


async def test_set_value_sets_nothing_if_the_owner_has_kept_the_value(house):
    lamp = house.device("/hall/light", 7)

    @rule
    async def light():
        await yarp.set_value("/hall/light", yarp.Value(7))

    await house.rule(light)
    await lamp.power_cut()
    await lamp.power_back()
    assert lamp.sets == [7]


async def test_a_device_that_ignores_two_of_three_settings(house):
    lamp = house.device("/hall/light", 0, ignores=2)

    @rule
    async def light():
        await yarp.drive("/hall/light", 100, verify=5, strategy=RETRY)

    await house.rule(light)
    await house.advance(seconds=4)
    assert lamp.sets == [100]
    assert not drives(house)["verified"]
    await house.advance(seconds=3)
    assert lamp.sets == [100, 100]
    await house.advance(seconds=7)
    assert lamp.sets == [100, 100, 100]
    assert drives(house)["verified"]
    assert "100, and shows 0 5 s later" in house.errors[0]
    house.errors.clear()


async def test_without_a_strategy_that_retries_a_value_that_is_not_shown_is_an_error(house):
    lamp = house.device("/hall/light", 0, ignores=1)

    @rule
    async def light():
        await yarp.drive("/hall/light", 100, verify="5s")

    await house.rule(light)
    await house.advance(minutes=5)
    assert lamp.sets == [100]
    assert len(house.errors) == 1
    house.errors.clear()


async def test_a_device_that_answers_late_is_no_person(house):
    lamp = house.device("/hall/light", 0, delay=25)

    @rule
    async def light():
        await yarp.drive("/hall/light", 100, override="1h", verify=30)

    await house.rule(light)
    await house.advance(seconds=25)
    assert lamp.value == 100
    assert drives(house)["override"] is None


async def test_a_person_who_changes_a_lamp_that_has_refused_a_value_is_a_person(house):
    lamp = house.device("/hall/light", 0, fails=1)
    wanted = yarp.Value(0)

    @rule
    async def light():
        await yarp.drive("/hall/light", wanted, override="2h")

    await house.rule(light)
    wanted.value = 100
    await house.settle()
    house.errors.clear()  # the lamp has refused 100
    await house.advance(5)
    await lamp.report(30)  # between 0 and 100, and yet not on the way
    assert drives(house)["override"]["value"] == 30
    wanted.value = 50
    await house.settle()
    assert lamp.value == 30


async def test_a_newer_value_ends_the_retries_of_an_older_one_of_another_rule(house):
    lamp = house.device("/hall/light", 0, ignores=100)

    @rule
    async def low():
        await yarp.drive("/hall/light", 1, verify=5, strategy=RETRY)

    @rule
    async def high():
        on = await yarp.state_observe("/on")
        await yarp.drive("/hall/light", yarp.when(2, on, otherwise=yarp.NoValue), priority=1)

    on = house.device("/on", False)
    await house.rule(low)
    await house.rule(high)
    await house.advance(seconds=8)
    assert lamp.sets == [1, 1]
    await on.report(True)
    await house.advance(minutes=5)
    assert lamp.sets == [1, 1, 2]
    house.errors.clear()


@pytest.mark.parametrize("later", [0, Unknown])
async def test_a_value_that_is_not_wanted_any_more_is_not_retried(house, later):
    lamp = house.device("/hall/light", 0, ignores=1)
    wanted = house.device("/wanted", 1)
    strategy = RunSerially(only_latest=True, retry=True, retry_start=30)

    @rule
    async def light():
        observed = await yarp.state_observe("/wanted")
        await yarp.drive("/hall/light", observed, verify=5, strategy=strategy)

    await house.rule(light)
    await house.advance(seconds=20)
    await wanted.report(later)
    await house.advance(minutes=5)
    assert lamp.sets == [1]
    house.errors.clear()


async def test_a_device_that_rounds(house):
    lamp = house.device("/heating", 20)

    @rule
    async def heating():
        target = await yarp.state_observe("/target")
        await yarp.drive("/heating", target, override="1h", tolerance=0.5)

    target = house.device("/target", 21.0)
    await house.rule(heating)
    assert lamp.sets == [21.0]
    await target.report(21.4)
    assert lamp.sets == [21.0]
    assert drives(house)["override"] is None


@pytest.mark.parametrize(
    "value",
    [
        (255, 0, 0),
        [1, (2, 3)],
        {"rgb": (1, 2), "on": True},
        b"x",
        bytearray(b"x"),
        float("nan"),
        [float("nan")],
        {"level": float("nan")},
        True,
        1.5,
        "on",
        None,
    ],
    ids=repr,
)
async def test_values_of_all_kinds_are_shown_and_are_no_person(house, value):
    lamp = house.device("/hall/light", "off")
    wanted = yarp.Value("dark")

    @rule
    async def light():
        await yarp.drive("/hall/light", wanted, override="2h", verify=5)

    await house.rule(light)
    wanted.value = value
    await house.advance(minutes=1)
    assert len(lamp.sets) == 2
    report = drives(house)
    assert (report["decides"], report["verified"]) == ("test.light", True)
    wanted.value = "bright"
    await house.settle()
    assert lamp.value == "bright"


async def test_a_tuple_of_a_module_is_sent_once_over_a_reload_and_a_restart(house, files):
    lamp = house.device("/hall/light", [0, 0])
    source = MOTION.replace("100", "(1, 2)").replace("=0", "=(0, 0)")
    await files(hall=source)
    assert lamp.sets == []
    await house.reload(files.folder / "hall.py", source + "# changed")
    await house.restart(minutes=1)
    assert lamp.sets == []
    await house.emit("/hall/motion")
    assert lamp.sets == [[1, 2]]
    await house.restart()
    assert lamp.sets == [[1, 2]]
    assert drives(house)["decides"] == "hall.light"


async def test_an_unknown_value_is_no_opinion(house):
    lamp = house.device("/hall/light", 0)
    sensor = house.device("/sensor", 5)

    @rule
    async def low():
        await yarp.drive("/hall/light", 1, priority=-1)

    @rule
    async def follower():
        await yarp.drive("/hall/light", await yarp.state_observe("/sensor"))

    await house.rule(low)
    await house.rule(follower)
    assert lamp.value == 5
    await sensor.offline()
    assert lamp.value == 1


async def test_an_unknown_value_may_keep_the_last_opinion(house):
    lamp = house.device("/hall/light", 0)
    sensor = house.device("/sensor", 5)

    @rule
    async def low():
        await yarp.drive("/hall/light", 1, priority=-1)

    @rule
    async def follower():
        observed = await yarp.state_observe("/sensor")
        await yarp.drive("/hall/light", observed, unknown="keep")

    await house.rule(low)
    await house.rule(follower)
    await sensor.offline()
    assert lamp.value == 5
    await house.restart(seconds=10)
    assert lamp.value == 5
    assert lamp.sets[-1] == 5


async def test_an_override_as_long_as_a_value_is_true(house):
    lamp = house.device("/hall/light", 0)
    party = house.device("/party", True)

    @rule
    async def light():
        parties = await yarp.state_observe("/party")
        await yarp.drive("/hall/light", 10, override=parties)

    await house.rule(light)
    await house.set("/hall/light", 99)
    await house.advance(hours=30)
    assert lamp.value == 99
    await party.report(False)
    assert lamp.value == 10
    await house.set("/hall/light", 98)
    assert drives(house)["override"] is None


async def test_an_event_releases_a_path(house):
    lamp = house.device("/hall/light", 0)

    @rule
    async def light():
        left = await yarp.event_listen("/everybody_left")
        await yarp.drive("/hall/light", 10, override="1d", release=left)

    await house.rule(light)
    await house.set("/hall/light", 99)
    await house.advance(hours=1)
    await house.emit("/everybody_left")
    assert lamp.value == 10


async def test_an_override_that_ends_without_a_connection_takes_effect_after_it(house, files):
    lamp = house.device("/hall/light", 0)
    await files(hall=MOTION)
    await house.emit("/hall/motion")
    await house.set("/hall/light", 30)
    await house.advance(minutes=1)
    await lamp.offline()
    await house.advance(hours=3)
    house.errors.clear()  # it could not be set
    await lamp.online()
    assert lamp.value == 0


async def test_a_plain_setting_of_a_rule_is_no_change_by_a_person(house):
    lamp = house.device("/hall/light", 0)

    @rule
    async def light():
        await yarp.drive("/hall/light", 10, override="1h")

    @rule
    async def scene():
        start = await yarp.event_listen("/scene")
        await yarp.set_value("/hall/light", start)

    await house.rule(light)
    await house.rule(scene)
    await house.emit("/scene", 55)
    assert lamp.value == 55
    assert drives(house)["override"] is None


async def test_the_trail_says_who_decides(house, files):
    house.device("/hall/light", 0)
    await files(hall=MOTION)
    await house.set("/hall/light", 30)
    await house.advance(hours=2)
    kinds = ("path.decided", "path.overridden", "path.released")
    records = [e.record for e in house.happenings.all if getattr(e.record, "get", None)]
    told = [
        (each["event"], each.get("by") or each.get("why") or each["rules"])
        for each in records
        if each["event"] in kinds
    ]
    assert told == [
        ("path.decided", "rule"),
        ("path.overridden", ["hall.light"]),
        ("path.decided", "person"),
        ("path.released", "time"),
        ("path.decided", "rule"),
    ]


def sends(house):
    """Return the rules' settings of the path, each as its value, trigger and inputs."""
    records = [each.plain() for each in house.happenings.all]
    sets = [each for each in records if each["event"] == "output.set" and each.get("rule")]
    assert all(each.get("cause") for each in sets)
    done = [each for each in sets if each["outcome"] == "done"]
    return [(each["value"], each.get("trigger"), each.get("inputs")) for each in done]


SMOKE = {"/smoke": True}


async def test_the_value_of_a_person_is_recorded_with_the_override_and_without_inputs(house, files):
    house.device("/hall/light", 0)
    smoke = house.device("/smoke", False, settable=False)
    await files(hall=MOTION, smoke=SAFETY)
    await house.set("/hall/light", 30)
    await smoke.report(True)
    await smoke.report(False)
    assert sends(house) == [(100, None, SMOKE), (30, "override /hall/light", None)]
    assert "\n  the value that a person has set\n" in house.why("/hall/light")
    assert "/hall/motion" not in house.why("/hall/light").partition("person decides")[0]


async def test_a_correction_and_the_return_of_the_owner_are_recorded_as_such(house, files):
    lamp = house.device("/hall/light", 0)
    house.device("/smoke", True, settable=False)
    await files(smoke=SAFETY)
    await house.set("/hall/light", 30)
    assert "as a person or another program had changed it" in house.why("/hall/light")
    await lamp.power_cut()
    await lamp.power_back()
    assert "sent again, as the owner of the path was away" in house.why("/hall/light")
    assert sends(house) == [
        (100, "set-up smoke", SMOKE),
        (100, "correction /hall/light", SMOKE),
        (100, "owner /hall/light", SMOKE),
    ]


HOME = """
from eshet import yarp
from eshet_rules import rule


@rule
async def light():
    home = await yarp.state_observe("/home")
    await yarp.drive("/hall/light", yarp.when(70, home, otherwise=0), override="2h")
"""


async def test_the_end_of_an_override_is_the_cause_also_after_a_restart(house, files):
    house.device("/hall/light", 0)
    house.device("/home", True, settable=False)
    await files(hall=HOME)
    await house.set("/hall/light", 30)
    await house.advance(hours=2)
    text = house.why("/hall/light")
    assert "\n  as the override by a person was over, after 2 h\n" in text
    assert "/hall/light = 30" not in text
    await house.set("/hall/light", 30)
    await house.restart(minutes=5)
    await house.advance(hours=2)
    assert "\n  as the override by a person was over\n" in house.why("/hall/light")
    await house.set("/hall/light", 30)
    await house.restart(hours=3)
    end = "timer override of /hall/light"
    home = {"/home": True}
    assert sends(house) == [(70, "set-up hall", home), *[(70, end, home)] * 3]


async def test_what_is_sent_after_a_restart_has_a_cause_and_inputs(house, files):
    lamp = house.device("/hall/light", 0)
    house.device("/smoke", True, settable=False)
    house.device("/home", True, settable=False)
    await files(hall=HOME, smoke=SAFETY)
    restarting = asyncio.ensure_future(house.restart(minutes=5))
    await asyncio.sleep(60)
    await lamp.report(3)
    await restarting
    assert lamp.value == 100
    assert sends(house) == [(100, "set-up smoke", SMOKE)] * 2


async def test_the_first_value_after_a_reload_from_set_value_has_a_cause_and_inputs(house, files):
    lamp = house.device("/hall/light", 0)
    house.device("/home", True, settable=False)
    first = HOME.replace("yarp.drive", "yarp.set_value").replace(', override="2h"', "")
    await files(hall=first.replace("70", "60"))
    await house.reload(files.folder / "hall.py", HOME)
    assert lamp.sets == [60, 70]
    assert sends(house)[1:] == [(70, "reload hall", {"/home": True})]


async def test_the_next_driver_has_the_cause_for_which_the_first_has_left(house, files):
    house.device("/hall/light", 0)
    house.device("/smoke", True, settable=False)
    house.device("/home", True, settable=False)
    await files(hall=HOME, smoke=SAFETY)
    await house.reload(files.folder / "smoke.py", SAFETY.replace("priority=100", "priority=-1"))
    assert sends(house)[1:] == [(70, "reload smoke", {"/home": True})]


async def test_a_release_is_the_cause_of_what_is_sent(house, files):
    lamp = house.device("/hall/light", 0)
    house.device("/home", True, settable=False)
    await files(hall=HOME)
    await house.set("/hall/light", 30)
    assert await house.release("/hall/light")
    assert lamp.value == 70
    assert sends(house)[1:] == [(70, "command release", {"/home": True})]
    assert not await house.release("/hall/light")
    with pytest.raises(NotDriven, match="did you mean /hall/light"):
        await house.release("/hall/ligt")


async def test_an_override_that_is_still_in_force_is_logged_after_a_restart(house, files):
    house.device("/hall/light", 0)
    await files(hall=MOTION)
    await house.set("/hall/light", 30)
    await house.restart(minutes=10)
    await house.advance(minutes=10)
    records = [each.plain() for each in house.happenings.all]
    began, again = (each for each in records if each["event"] == "path.overridden")
    assert began["until"] == again["until"] == "2026-01-01T02:00:00Z"
    assert "since" not in began
    assert again["since"] == "2026-01-01T00:00:00Z"


async def test_two_runners_do_not_fight_endlessly(house):
    lamp = house.device("/hall/light", 0)

    @rule
    async def one():
        await yarp.drive("/hall/light", 1, verify=5)

    await house.rule(one)
    async with Client(server=house.server) as client:  # of another process
        await yarp.drive("/hall/light", 2, client=client, verify=5)
        await house.advance(hours=1)
        assert lamp.sets[:8] == [1, 2, 1, 2, 1, 2, 1, 2]
        assert len(lamp.sets) <= 8 + 2 * 60  # each of them sends once a minute
    assert house.timeline().count("others change a driven path again and again") == 1


async def test_of_two_runners_with_overrides_the_last_one_decides(house):
    lamp = house.device("/hall/light", 0)

    @rule
    async def one():
        await yarp.drive("/hall/light", 1, override="1h")

    await house.rule(one)
    async with Client(server=house.server) as client:  # of another process
        await yarp.drive("/hall/light", 2, client=client, override="1h")
        await house.advance(minutes=59)
        assert lamp.sets == [1, 2]
        assert drives(house)["decides"] == "person"


@pytest.mark.parametrize(
    ("arguments", "error"),
    [
        ({"value": yarp.Event()}, TypeError),
        ({"value": 1, "override": "soon"}, ValueError),
        ({"value": 1, "override": 0}, ValueError),
        ({"value": 1, "override": yarp.Event()}, TypeError),
        ({"value": 1, "release": yarp.Value(1)}, TypeError),
        ({"value": 1, "verify": True}, ValueError),
        ({"value": 1, "override": "99999999d"}, ValueError),
        ({"value": 1, "verify": 10**400}, ValueError),
        ({"value": 1, "tolerance": -1}, ValueError),
        ({"value": 1, "priority": "high"}, ValueError),
        ({"value": 1, "unknown": "ignore"}, ValueError),
    ],
)
async def test_mistakes(house, arguments, error):
    house.device("/x", 0)
    with pytest.raises(error):
        await yarp.drive("/x", client=house.client, **arguments)


@pytest.mark.parametrize("tolerance", ["1", None, True, -1, [1], float("nan"), float("inf")])
async def test_a_wrong_tolerance_is_named(house, tolerance):
    house.device("/x", 0)
    with pytest.raises(ValueError, match=r"^tolerance=.* is not a difference of numbers"):
        await yarp.drive("/x", 1, client=house.client, tolerance=tolerance)


async def test_a_record_of_a_rule_of_each_has_its_module(house, files):
    house.device("/hall/light", 0)
    await files(
        hall=MOTION.replace("@rule", '@rule.each("a", "c.d")').replace("light()", "light(name)")
    )
    await house.emit("/hall/motion")
    records = [e.record for e in house.happenings.all if getattr(e.record, "get", None)]
    modules = [each["module"] for each in records if each["event"] == "path.decided"]
    assert modules == ["hall"]


async def test_a_property_can_not_be_driven(house):
    await house.client.prop_register("/p", lambda: 1, print)
    with pytest.raises(Exception, match="path_already_exists") as raised:
        await yarp.drive("/p", 1, client=house.client)
    assert "use set_value" in raised.value.__notes__[0]
