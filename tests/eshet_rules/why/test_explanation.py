"""Why a path has its value: rules, inputs, timers, people, failures, and what is unknown."""

import pytest

from eshet import yarp
from eshet.utils import RunSerially
from eshet_rules import keep, rule
from eshet_rules.audit.query import stamp_of
from eshet_rules.why.explanation import explain
from eshet_rules.why.sources import ListedRecords


@rule
async def dark():
    lux = await yarp.state_observe("/hall/lux")
    await yarp.state_register("/hall/dark", yarp.no_repeat(lux < 40))


@rule
async def light():
    motion = await yarp.event_listen("/hall/motion")
    dark = await yarp.state_observe("/hall/dark")
    await yarp.set_value("/hall/lamp", yarp.no_repeat(yarp.hold(motion, 120) & dark))


@pytest.fixture
def evening(house):
    """A hall with a light that two rules decide together."""

    class Evening:
        lamp = house.device("/hall/lamp", False)
        lux = house.device("/hall/lux", 80, settable=False)

        async def begin(self):
            await house.rule(dark)
            await house.rule(light)
            await house.advance(10)
            await self.lux.report(20)
            await house.advance(60)
            await house.emit("/hall/motion", "cat")

    return Evening()


async def test_an_output_names_the_rule_the_trigger_and_all_inputs_down_to_the_outside(
    house, evening
):
    await evening.begin()
    assert house.why("/hall/lamp") == (
        "/hall/lamp = True, since 00:01:10 (0 s ago)\n"
        "  set by test1.light (test_explanation.py:23, version e3b0c442)\n"
        "  /hall/dark = True, since 00:00:10 (1 min ago)\n"
        "    published by test.dark (test_explanation.py:16, version e3b0c442)\n"
        "    /hall/lux = 20, since 00:00:10 (1 min ago)  <- changed\n"
        "  /hall/motion emitted 'cat' at 00:01:10 (0 s ago)  <- changed\n"
        "  no rule observes this path: a change by hand would not be known"
    )


async def test_a_timer_names_what_has_started_it(house, evening):
    await evening.begin()
    await house.advance(minutes=5)
    lines = house.why("/hall/lamp").splitlines()
    assert lines[0] == "/hall/lamp = False, since 00:03:10 (3 min ago)"
    assert lines[2] == (
        "  because of timer hold at test_explanation.py:23, 2 min after event /hall/motion"
    )


async def test_inputs_have_the_values_of_that_moment(house, evening):
    await evening.begin()
    await house.advance(30)
    await evening.lux.report(15)
    explained = house.why("/hall/lamp")
    assert "/hall/lux = 20, since 00:00:10" in explained
    assert "15" not in explained


async def test_a_change_by_hand_is_from_outside(house, evening):
    @rule
    async def watch():
        yarp.on_value(await yarp.state_observe("/hall/lamp"), lambda value: None)

    await evening.begin()
    await house.rule(watch)
    await house.advance(200)
    await evening.lamp.report(True)
    assert house.why("/hall/lamp") == (
        "/hall/lamp = True, since 00:04:30 (0 s ago)\n"
        "  from outside: no rule of this runner has done this\n"
        "  the last rule was test1.light: it set False at 00:03:10 (1 min 20 s ago)"
    )


async def test_a_path_that_only_devices_write_is_from_outside(house, evening):
    await evening.begin()
    assert house.why("/hall/lux") == (
        "/hall/lux = 20, since 00:00:10 (1 min ago)\n"
        "  from outside: no rule of this runner has done this"
    )
    assert house.why("/cellar") == "/cellar: no rule of this runner has read or written it"


async def test_a_call_in_a_callback_names_its_trigger(house):
    @rule
    async def ring(client):
        button = await yarp.event_listen("/door/button")
        button.on_event(lambda who: client.action_call("/notify/phone", f"{who} is here"))

    house.action("/notify/phone")
    await house.rule(ring)
    await house.emit("/door/button", "Anna")
    assert house.why("/notify/phone") == (
        "/notify/phone was called with ['Anna is here'] at 00:00:00 (0 s ago)\n"
        "  called by test.ring (version e3b0c442)\n"
        "  /door/button emitted 'Anna' at 00:00:00 (0 s ago)\n"
        "    from outside: no rule of this runner has done this"
    )


async def test_failures_attempts_and_skipped_values_are_named(house):
    @rule(strategy=RunSerially(retry=True, retry_start=10, retry_end=10))
    async def copy():
        await yarp.set_value("/out", await yarp.state_observe("/in"))

    source = house.device("/in", 1)
    out = house.device("/out", fails=2)
    await house.rule(copy)
    assert ", failed\n  failed: set /out:" in house.why("/out")
    await house.advance(20)
    assert "attempt 3" in house.why("/out")
    await source.offline()
    assert "not sent since: 1 unknown (the value is unknown" in house.why("/out")
    assert out.value == 1
    house.errors.clear()


async def test_an_unknown_input_and_a_value_without_a_path_are_named(house):
    @rule
    async def count():
        presses = keep("presses", 7)
        lux = await yarp.state_observe("/lux")
        await yarp.state_register("/shown", yarp.fn(lambda a, b: f"{a} {b}")(presses, lux))

    await house.rule(count)
    explained = house.why("/shown")
    assert "/lux = unknown" in explained
    assert "presses = 7" in explained


async def test_the_past_is_explained_as_it_was(house, evening):
    await evening.begin()
    middle = house.now
    await house.advance(minutes=10)
    records = [each.plain() for each in house.happenings.all]
    then = explain("/hall/lamp", ListedRecords(records), before=stamp_of(middle) + "Z")
    assert then.output["value"] is True
    now = explain("/hall/lamp", ListedRecords(records))
    assert now.output["value"] is False


async def test_rules_that_answer_each_other_are_explained_once(house):
    @rule
    async def ping():
        pong = yarp.default(await yarp.state_observe("/pong"), 0)
        await yarp.state_register("/ping", yarp.no_repeat(yarp.fn(lambda x: min(x + 1, 5))(pong)))

    @rule
    async def pong():
        await yarp.state_register("/pong", await yarp.state_observe("/ping"))

    await house.rule(ping)
    await house.rule(pong)
    explained = house.why("/ping")
    assert explained.count("published by test.ping") <= 6
    assert explain("/ping", ListedRecords([])).plain()["output"] is None


async def test_the_depth_is_limited(house, evening):
    await evening.begin()
    records = ListedRecords([each.plain() for each in house.happenings.all])
    shallow = explain("/hall/lamp", records, depth=1)
    [dark_input] = [each for each in shallow.inputs if each.name == "/hall/dark"]
    assert dark_input.explanation.inputs == ()
    assert dark_input.explanation.output is not None


@rule
async def motion_light():
    motion = await yarp.event_listen("/hall/motion")
    level = yarp.when(100, yarp.hold(motion, 120), otherwise=0)
    await yarp.drive("/hall/spot", level, override="2h")


@rule
async def way_out():
    smoke = await yarp.state_observe("/hall/smoke")
    await yarp.drive("/hall/spot", yarp.when(100, smoke), priority=100)


async def test_who_decides_is_named_with_all_drivers(house):
    house.device("/hall/spot", 0)
    house.device("/hall/smoke", False)
    await house.rule(motion_light)
    await house.rule(way_out)
    await house.emit("/hall/motion")
    await house.advance(10)
    assert house.why("/hall/spot").splitlines()[-4:] == [
        "test.motion_light decides, since 00:00:00 (10 s ago)",
        "drivers, the first with an opinion decides:",
        "  test1.way_out (priority 100): nothing",
        "  test.motion_light (priority 0): wants 100",
    ]
    await house.set("/hall/spot", 30)
    await house.advance(60)
    explained = house.why("/hall/spot")
    assert explained.startswith(
        "/hall/spot = 30, since 00:00:10 (1 min ago)\n"
        "  from outside: no rule of this runner has done this\n"
        "  the last rule was test.motion_light: it set 100 at 00:00:00"
    )
    assert (
        "a person decides, since 00:00:10 (1 min ago), until 02:00:10 (in 1 h 59 min)" in explained
    )
    assert "  test.motion_light (priority 0): wants 100, stands by" in explained


@rule
async def toggle():
    button = await yarp.event_listen("/button")
    lamp = await yarp.state_observe("/lamp")
    await yarp.set_value("/lamp", yarp.sample(yarp.not_(lamp), button))


async def test_a_device_that_answers_at_once_is_no_reason_for_what_it_answers(house):
    lamp = house.device("/lamp", False)
    await house.rule(toggle)
    await house.advance(10)
    await house.emit("/button", "Ben")
    assert "  /lamp = False, since 00:00:00 (10 s ago)" in house.why("/lamp")
    await house.advance(10)
    await lamp.report(False)
    await house.advance(10)
    await house.emit("/button", "Ann")
    said = house.why("/lamp")
    assert said.startswith("/lamp = True, since 00:00:30 (0 s ago)\n  set by test.toggle (")
    assert said.endswith(
        "\n  /button emitted 'Ann' at 00:00:30 (0 s ago)  <- changed"
        "\n  /lamp = False, since 00:00:20 (10 s ago)"
    )


async def test_the_text_of_a_value_in_a_record_is_not_quoted_again(house):
    house.device("/list", [1, 2], settable=False)
    house.device("/long", "x" * 5000, settable=False)
    house.device("/lamp")

    @rule
    async def length():
        both = await yarp.state_observe("/list"), await yarp.state_observe("/long")
        await yarp.set_value("/lamp", yarp.fn(lambda one, other: len(one + list(other)))(*both))

    await house.rule(length)
    said = house.why("/lamp")
    assert "  /list = [1, 2], since 00:00:00" in said
    assert said.count("characters more") == 1
    assert "\"'x" not in said
