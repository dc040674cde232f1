"""The house for tests of rules: loading, time, devices, reloads, restarts and errors."""

import zoneinfo
from pathlib import Path

import pytest

from eshet import ErrorValue, Unknown, yarp
from eshet.exceptions import ReactiveTypeError
from eshet.utils import RunSerially
from eshet_rules import rule
from eshet_rules.exceptions import ConfigurationError
from eshet_rules.testing.exceptions import NeverAtRest, NoSuchPath, NotSetUp
from eshet_rules.testing.house import House, Notification

HALL = """
from eshet import yarp
from eshet_rules import rule

@rule
async def light():
    motion = await yarp.event_listen("/hall/motion")
    on = yarp.no_repeat(yarp.len(yarp.time_window(motion, {seconds})) > 0)
    await yarp.state_register("/hall/light", on)
    await yarp.set_value("/hall/lamp", on)
"""


@pytest.fixture
def rules(tmp_path: Path) -> Path:
    (tmp_path / "hall.py").write_text(HALL.format(seconds=120))
    return tmp_path


@pytest.fixture
def home(rules: Path):
    with House([rules]) as home:
        yield home


def in_house(test):
    """Run a test in its house, as the plugin does, although its fixture has another name."""

    def run(home: House) -> None:
        home.run(test(home))

    run.__name__ = test.__name__
    return run


@in_house
async def test_a_rule_of_a_file_runs_in_virtual_time(home):
    lamp = home.device("/hall/lamp", False)
    await home.load("hall.py")
    await home.emit("/hall/motion")
    assert lamp.value is True
    await home.advance(minutes=1, seconds=59)
    assert lamp.value is True
    await home.advance(1)
    assert lamp.value is False
    assert home.history("/hall/light") == [(0, False), (0, True), (120, False)]
    assert home.sets("/hall/lamp") == lamp.sets == [False, True, False]
    assert home.time == 120


@in_house
async def test_a_reload_keeps_the_state(home):
    home.device("/hall/lamp", False)
    await home.load("hall.py")
    await home.emit("/hall/motion")
    await home.advance(60)
    await home.reload("hall.py", HALL.format(seconds=180))
    await home.advance(119)
    assert await home.get("/hall/light") is True
    await home.advance(1)
    assert home.history("/hall/light")[-1] == (180, False)


@in_house
async def test_a_reload_without_a_text_takes_the_file(home):
    home.device("/hall/lamp", False)
    await home.load("hall.py")
    await home.reload("hall.py", HALL.format(seconds=3))
    await home.reload("hall.py")
    await home.emit("/hall/motion")
    await home.advance(4)
    assert await home.get("/hall/light") is True


@in_house
async def test_a_restart_keeps_the_state(home):
    @rule
    async def counted():
        presses = await yarp.event_listen("/hall/button")
        pressed = yarp.len(yarp.time_window(presses, 100))
        await yarp.state_register("/hall/presses", pressed)

    home.device("/hall/lamp", False)
    await home.load("hall.py")
    await home.rule(counted)
    await home.emit("/hall/motion")
    await home.emit("/hall/button")
    await home.advance(60)
    await home.restart()
    assert await home.get("/hall/light") is True
    assert await home.get("/hall/presses") == 1
    await home.advance(60)
    assert home.history("/hall/light")[-1] == (120, False)
    assert home.history("/hall/presses")[-1] == (100, 0)


@in_house
async def test_time_passes_while_the_rules_are_down(home):
    @rule
    async def counted():
        presses = await yarp.event_listen("/hall/button")
        await yarp.state_register("/hall/presses", yarp.len(yarp.time_window(presses, 100)))

    home.device("/hall/lamp", False)
    await home.load("hall.py")
    await home.rule(counted)
    await home.emit("/hall/motion")
    await home.emit("/hall/button")
    await home.restart(minutes=1)
    assert home.time == 60
    assert await home.get("/hall/presses") == 1
    await home.emit("/hall/button")
    await home.restart(40)
    assert await home.get("/hall/presses") == 1
    await home.restart(minutes=1)
    assert await home.get("/hall/light") is False


@in_house
async def test_rules_of_each_argument_get_parameters(home):
    @rule.each("bath", "kitchen")
    async def fan(room, config):
        humidity = await yarp.state_observe(f"/{room}/humidity")
        await yarp.set_value(f"/{room}/fan", humidity > config.limit)

    for room, humidity in (("bath", 80), ("kitchen", 40)):
        home.device(f"/{room}/humidity", humidity, settable=False)
        home.device(f"/{room}/fan")
    await home.rule(fan, limit=70)
    assert home.sets("/bath/fan") == [True]
    assert home.sets("/kitchen/fan") == [False]
    with pytest.raises(ErrorValue):
        await home.set("/bath/humidity", 3)


def test_parameters_of_the_file_and_of_the_test(home, rules):
    (rules / "bell.py").write_text(
        "from eshet import yarp\nfrom eshet_rules import rule\n"
        "@rule\nasync def bell(config):\n"
        "    await yarp.state_register('/bell', yarp.Value([config.rings, config.tone]))\n"
    )
    (rules / "eshet-rules.toml").write_text("[rules.bell.parameters]\nrings = 2\ntone = 'low'\n")

    async def test():
        await home.load("bell.py", tone="high")
        assert await home.get("/bell") == [2, "high"]

    home.run(test())


def test_modules_import_each_other(home, rules):
    (rules / "upstairs").mkdir()
    (rules / "upstairs" / "bath.py").write_text(
        "from eshet import yarp\nfrom _lamps import LAMP\nfrom .names import ROOM\n"
        "from eshet_rules import rule\n"
        "@rule\nasync def bath():\n"
        "    await yarp.state_register('/bath', yarp.Value([LAMP, ROOM]))\n"
    )
    (rules / "upstairs" / "names.py").write_text("ROOM = 'bath'\n")
    (rules / "_lamps.py").write_text("LAMP = 7\n")

    async def test():
        await home.load("upstairs/bath.py")
        assert await home.get("/bath") == [7, "bath"]
        assert await home.get("/hall/light") is Unknown  # hall.py was not chosen

    home.run(test())


def test_what_can_not_be_set_up_is_named(home, rules):
    (rules / "bad.py").write_text("import nothing_of_this_name\n")
    (rules / "worse.py").write_text(
        "from eshet_rules import rule\n@rule\nasync def worse():\n    raise ValueError('no oil')\n"
    )

    async def test():
        with pytest.raises(NotSetUp, match="nothing_of_this_name"):
            await home.load("bad.py")
        assert home.errors == []
        home_of_its_own = House([rules])
        with pytest.raises(FileNotFoundError, match=r"no hal\.py in"):
            await home.load("hal.py")
        del home_of_its_own

    home.run(test())
    with House([rules]) as other:
        with pytest.raises(NotSetUp, match="no oil"):
            other.run(other.load("worse.py"))
        (rules / "eshet-rules.toml").write_text("[serve]\n")
    with House([rules]) as other, pytest.raises(ConfigurationError, match="serve"):
        other.run(other.load("hall.py"))


@in_house
async def test_a_reload_that_fails_leaves_the_old_version(home):
    home.device("/hall/lamp", False)
    await home.load("hall.py")
    with pytest.raises(NotSetUp, match="SyntaxError"):
        await home.reload("hall.py", "def")
    await home.emit("/hall/motion")
    assert await home.get("/hall/light") is True


@in_house
async def test_a_device_fails_takes_time_and_goes_offline(home):
    lamp = home.device("/lamp", False, fails=2, delay=1)

    @rule
    async def light():
        motion = await yarp.event_listen("/motion")
        on = yarp.latest(motion, initial=False)
        await yarp.set_value("/lamp", on, strategy=RunSerially(retry=True))

    @rule
    async def shown():
        await yarp.state_register("/shown", await yarp.state_observe("/lamp"))

    await home.rule(shown)
    await home.rule(light)
    await home.advance(60)
    assert lamp.sets[:2] == [False, False]
    assert "/lamp fails, as the test wants" in home.errors[0]
    home.errors.clear()
    lamp.delay = 0
    await home.emit("/motion", True)
    assert lamp.value is True
    await lamp.offline()
    await home.settle()
    assert await home.get("/shown") is Unknown
    await lamp.online()
    await home.settle()
    assert await home.get("/shown") is True
    await lamp.report(False)
    await home.settle()
    assert await home.get("/shown") is False


@in_house
async def test_a_report_returns_when_its_consequences_have_settled(home):
    @rule
    async def copy():
        await yarp.set_value("/copy", yarp.default(await yarp.state_observe("/lamp"), "?"))

    lamp, shown = home.device("/lamp"), home.device("/copy")
    await lamp.report(1)  # before anything else has happened in the house
    await home.rule(copy)
    assert shown.value == 1
    await lamp.report(2)
    assert shown.value == 2
    await lamp.offline()
    assert shown.value == "?"
    await lamp.online()
    assert shown.value == 2


@in_house
async def test_an_action_may_let_a_device_report(home):
    lamp = home.device("/lamp", 0)

    async def switch(level):
        await lamp.report(level)
        return level

    home.action("/switch", switch)
    assert await home.call("/switch", 5) == 5
    assert await home.get("/lamp") == 5


@in_house
async def test_actions_and_notifications(home):
    oven = home.action("/oven/start", lambda degrees: degrees * 2)

    @rule
    async def done():
        ended = await yarp.event_listen("/machine/done")
        await yarp.action_call("/notify/phone", ended)

    @rule
    async def bake():
        start = await yarp.event_listen("/bake")
        await yarp.action_call("/oven/start", start)

    await home.rule(done)
    await home.rule(bake)
    await home.emit("/machine/done", "the washing machine is done")
    await home.emit("/bake", 180)
    assert home.notifications == [Notification("phone", "the washing machine is done")]
    assert home.messages == ["the washing machine is done"]
    assert oven.calls == home.calls("/oven/start") == [[180]]
    assert await home.call("/oven/start", 4) == 8


@in_house
async def test_the_wall_clock_has_a_zone(home):
    @rule
    async def morning():
        await yarp.state_register("/hour", yarp.fn(lambda now: now.hour)(yarp.now(60)))

    home.at("2026-03-29 01:30", tz="Europe/Berlin")
    await home.rule(morning)
    assert await home.get("/hour") == 1
    await home.advance(minutes=30)  # the hour from 2 to 3 does not exist on this day
    assert await home.get("/hour") == 3
    assert home.now.tzinfo == zoneinfo.ZoneInfo("Europe/Berlin")
    assert str(home.now).startswith("2026-03-29 03:00")


@in_house
async def test_the_timeline_names_rules_values_and_causes(home):
    home.device("/hall/lamp", False)
    await home.load("hall.py")
    await home.emit("/hall/motion", "cat")
    timeline = home.timeline()
    assert "00:00:00.000  emits /hall/motion = 'cat'" in timeline
    assert "hall.light gets event /hall/motion = 'cat'" in timeline
    assert "hall.light sets /hall/lamp = True" in timeline


@in_house
async def test_a_rule_that_runs_on_is_set_up_in_a_second(home):
    @rule
    async def forwards(client):
        async for payload in client.event_listen("/in"):
            await client.event_emit("/out", payload)

    await home.rule(forwards)
    assert home.time == 1
    await home.emit("/out")
    await home.emit("/in", 5)
    assert "emits /out = 5" in home.timeline()


def test_the_local_time_zone_is_restored():
    import time

    before = time.tzname
    with House() as home:
        assert time.tzname == ("UTC", "UTC")
        home.at("2026-06-01 12:00", tz="Asia/Tokyo")
        assert time.tzname[0] == "JST"
    assert time.tzname == before


@in_house
async def test_a_path_is_provided_once(home):
    home.device("/lamp", False)
    with pytest.raises(ValueError, match="/lamp is provided already"):
        home.action("/lamp")


@in_house
async def test_a_notification_that_arrives_at_the_second_attempt(home):
    phone = home.action("/notify/phone", fails=1)

    @rule
    async def done():
        ended = await yarp.event_listen("/machine/done")
        await yarp.action_call("/notify/phone", ended, strategy=RunSerially(retry=True))

    await home.rule(done)
    await home.emit("/machine/done", "ready")
    await home.advance(10)
    assert phone.calls == [["ready"], ["ready"]]
    assert home.messages == ["ready"]
    home.errors.clear()


# --- mistakes of tests ------------------------------------------------------------------------


@in_house
async def test_a_mistyped_path_is_refused(home):
    home.device("/hall/lamp", False)
    await home.load("hall.py")
    with pytest.raises(NoSuchPath, match="nothing uses /hall/moton: did you mean /hall/motion"):
        await home.emit("/hall/moton")
    with pytest.raises(NoSuchPath, match="did you mean /hall/light"):
        await home.get("/hall/lihgt")
    assert await home.get("/cellar/light") is Unknown
    await home.emit("/cellar/motion")
    assert home.emitted("/cellar/motion") == [None]


@in_house
async def test_nothing_is_asserted_of_a_mistyped_path(home):
    home.action("/notify/phone")
    home.device("/hall/lamp", False)
    await home.load("hall.py")
    for mistyped in (
        lambda: home.sets("/hall/lampe"),
        lambda: home.calls("/notify/fhone"),
        lambda: home.emitted("/hall/moton"),
        lambda: home.history("/hall/lgiht"),
    ):
        with pytest.raises(NoSuchPath, match="did you mean /"):
            mistyped()
    assert home.sets("/hall/lamp") == [False]
    assert home.sets("/cellar/lamp") == []


async def test_a_house_needs_a_loop_of_its_own():
    with pytest.raises(RuntimeError, match="pass coroutines to"), House():
        pass


@in_house
async def test_a_device_says_what_to_write(home):
    lamp = home.device("/hall/lamp", False)
    assert repr(lamp) == "<device /hall/lamp = False>"
    with pytest.raises(AttributeError, match=r"write `await device\.report\(True\)`"):
        lamp.value = True
    with pytest.raises(TypeError, match="write `minutes=3`"):
        await home.advance("3 minutes")


@in_house
async def test_a_refused_request_gets_advice(home):
    home.device("/hall/lux", 5, settable=False)
    with pytest.raises(ErrorValue) as refused:
        await home.set("/hall/lux", 6)
    assert "this state can't be set" in refused.value.__notes__[0]
    with pytest.raises(ErrorValue) as refused:
        await home.call("/hall/nothing")
    assert "no client provides this path" in refused.value.__notes__[0]


@in_house
async def test_parameters_that_no_rule_reads_are_refused(home):
    async def deaf():
        await yarp.state_register("/deaf", 1)

    with pytest.raises(ValueError, match=r"no rule of hall\.py has an argument `config`"):
        await home.load("hall.py", dark=40)
    with pytest.raises(ValueError, match="nothing reads limit, dark"):
        await home.rule(deaf, limit=1, dark=2)


def test_a_time_of_day_is_of_the_present_day(home):
    home.at("2026-03-28 12:00", tz="Europe/Berlin")
    home.at("22:30")
    assert str(home.now) == "2026-03-28 22:30:00+01:00"
    with pytest.raises(ValueError, match="'25:00' is neither a time of day nor a date and time"):
        home.at("25:00")
    with pytest.raises(ReactiveTypeError, match="did you mean 'Europe/Berlin'"):
        home.at("22:30", tz="Berlin")


@in_house
async def test_the_timeline_has_the_seconds_of_the_history(home):
    await home.load("hall.py")
    await home.emit("/hall/motion")
    await home.advance(120)
    assert "  120.000  00:02:00.000  hall.light shows /hall/light = False" in home.timeline()
    home.errors.clear()


@pytest.fixture
def impatient(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr("eshet_rules.testing.house._LONGEST_STEP", 0.3)


@pytest.mark.usefixtures("impatient")
@in_house
async def test_an_endless_loop_in_a_rule_fails_the_test(home):
    @rule
    async def endless():
        def loop(payload):
            while True:
                pass

        yarp.on_value(await yarp.event_listen("/go"), loop)

    await home.rule(endless)
    await home.emit("/go")
    [error] = home.errors
    home.errors.clear()
    assert "this has blocked for 0.3 s" in error
    assert "while True" in error


@pytest.mark.usefixtures("impatient")
@in_house
async def test_rules_that_never_come_to_rest_fail_the_test(home):
    @rule
    async def ping():
        await yarp.event_register("/ping", await yarp.event_listen("/pong"))

    @rule
    async def pong():
        await yarp.event_register("/pong", await yarp.event_listen("/ping"))

    await home.rule(ping)
    await home.rule(pong)
    with pytest.raises(NeverAtRest, match="at 0 s the rules never come to rest"):
        await home.emit("/ping")
