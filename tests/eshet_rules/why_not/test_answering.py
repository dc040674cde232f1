"""What is in the way besides values: rules that do not run, failures, other rules, people."""

import asyncio
import time

import pytest

from eshet import codec, yarp
from eshet.reactive.core.handle import node_of
from eshet.utils import RunSerially
from eshet_rules import rule
from eshet_rules.audit.redaction import Redaction
from eshet_rules.rule import Rule
from eshet_rules.why.sources import ListedRecords
from eshet_rules.why_not.answering import Answering
from eshet_rules.why_not.earlier import last_time


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
def answering(house):
    return Answering(house._instances, house._answers._reports, house.happenings.last)


async def test_the_conditions_of_another_rule_follow_where_it_provides_an_input(house):
    house.device("/hall/lamp", False)
    house.device("/hall/lux", 81, settable=False)
    await house.rule(dark)
    await house.rule(light)
    assert house.why_not("/hall/lamp") == (
        "/hall/lamp is False; for True:\n"
        "  test1.light (test_answering.py:29) sets it; its value is False\n"
        "    and_ at test_answering.py:29 False, needs True: all of these\n"
        "      hold at test_answering.py:29 False, needs True: hold: 2 min from then on\n"
        "        /hall/motion has to happen: it has not happened since the rule was set up\n"
        "      /hall/dark False, needs True, since 00:00:00\n"
        "        test.dark (test_answering.py:22) provides it:\n"
        "          /hall/lux 81, needs < 40, since 00:00:00"
    )
    assert "test.dark" not in house.why_not("/hall/lamp", depth=0)


async def test_another_value_is_asked_for_where_none_is_named(house):
    house.device("/lux", 81, settable=False)

    @rule
    async def copy():
        lux = await yarp.state_observe("/lux")
        await yarp.state_register("/copy", lux)
        await yarp.state_register("/bright", lux > 50)
        await yarp.state_register("/gone", await yarp.state_observe("/nothing"))

    await house.rule(copy)
    said = house.why_not("/copy")
    assert said.startswith("/copy is 81; for another value:")
    assert "/lux 81, needs != 81" in said
    assert "/bright is True; for False:" in house.why_not("/bright")
    said = house.why_not("/gone")
    assert said.startswith("/gone; for a known value:")
    assert "/nothing unknown, needs known" in said
    assert "/lux 81, needs 12" in house.why_not("/copy", 12)


async def test_a_value_that_a_person_has_changed_since_is_named(house):
    lamp = house.device("/lamp", False)
    house.device("/on", True)

    @rule
    async def copy():
        await yarp.set_value("/lamp", await yarp.state_observe("/on"))

    await house.rule(copy)
    await lamp.report(False)
    said = house.why_not("/lamp")
    assert "it has that value already: True" in said
    assert "sent again only when it changes: another value has come from outside" in said


async def test_a_failed_output_is_named_with_its_next_attempt(house):
    house.device("/on", True)
    house.device("/lamp", False, fails=5)

    @rule(strategy=RunSerially(retry=True, retry_start=60, retry_end=60))
    async def copy():
        await yarp.set_value("/lamp", await yarp.state_observe("/on"))

    await house.rule(copy)
    said = house.why_not("/lamp")
    assert "the last value has not arrived: " in said
    assert (
        ", next attempt at 00:01:00 (in 1 min 0 s)" in said
        or ", next attempt at 00:01:00 (in 1 min)" in said
    )
    house.errors.clear()


async def test_a_rule_that_has_failed_is_named_with_its_restart(house):
    house.device("/on", True)

    @rule
    async def fails():
        await yarp.state_register("/out", await yarp.state_observe("/on"))
        await asyncio.sleep(1)
        raise OSError("no disk")

    await house.rule(fails)
    await house.advance(0.2)
    said = house.why_not("/out")
    assert said == "test.fails is restarting: OSError: no disk, next attempt at 00:00:02 (in 1 s)"
    house.errors.clear()


async def test_several_rules_that_write_a_path_are_named(house):
    house.device("/lamp", False)

    @rule
    async def one():
        await yarp.set_value("/lamp", yarp.Value(False, name="one"))

    @rule
    async def other():
        await yarp.set_value("/lamp", yarp.Value(False, name="other"))

    await house.rule(one)
    await house.rule(other)
    said = house.why_not("/lamp")
    assert "one False, needs True" in said
    assert "other False, needs True" in said
    assert "several rules write this path: the last one wins each time" in said


async def test_a_rule_that_writes_in_its_own_code_is_named(house):
    house.device("/lamp", False)

    @rule
    async def own(client):
        await client.set("/lamp", False)

    await house.rule(own)
    assert "test.own writes it in its own code, which can't be looked into" in house.why_not(
        "/lamp"
    )


async def test_a_path_that_no_rule_writes_names_its_readers(house):
    house.device("/hall/lux", 81, settable=False)
    await house.rule(dark)
    assert house.why_not("/hall/lux") == (
        "no rule of this runner writes /hall/lux\nread by test.dark"
    )


async def test_a_call_needs_its_arguments(house):
    house.device("/door", False, settable=False)
    house.action("/notify/phone")

    @rule
    async def ring():
        door = await yarp.state_observe("/door")
        await yarp.action_call("/notify/phone", yarp.map_to(yarp.rising(door), "open"), "title")

    await house.rule(ring)
    said = house.why_not("/notify/phone", ["open", "title"])
    assert "/door False, needs true" in said
    assert house.why_not("/notify/phone").startswith("/notify/phone; for an emission:")


async def test_asking_changes_nothing(house, answering):
    house.device("/hall/lamp", False)
    house.device("/hall/lux", 81, settable=False)
    await house.rule(dark)
    await house.rule(light)
    await house.emit("/hall/motion")
    numbers = node_of(yarp.Value(0)).transactions.number
    happened, timers = len(house.happenings.all), len(house.loop._scheduled)
    answering.why_not("/hall/lamp", [True])
    await house.settle()
    assert len(house.happenings.all) == happened
    assert len(house.loop._scheduled) == timers
    assert node_of(yarp.Value(0)).transactions.number == numbers


async def set_up_large_rules(house):
    """Set up a rule of a thousand nodes, and one of a hundred."""

    async def out(count, path):
        lux = [await yarp.state_observe(f"/lux/{number}") for number in range(10)]
        total = lux[0] < 0
        for number in range(count):
            total = total | (lux[number % 10] + number < 0)
        await yarp.state_register(path, total)

    for number in range(10):
        house.device(f"/lux/{number}", 81, settable=False)
    await house.rule(Rule("hundred", lambda: out(33, "/hundred")))
    await house.rule(Rule("thousand", lambda: out(400, "/thousand")))


async def test_an_answer_fits_into_one_message_and_takes_milliseconds(house, answering):
    await set_up_large_rules(house)
    answer = answering.why_not("/thousand", [True])
    assert len(codec.pack(answer)) < 60_000
    assert answer["rules"][0]["rule"].endswith("thousand")
    answering.why_not("/hundred", [True])
    took = []
    for _ in range(5):
        began = time.perf_counter()
        answering.why_not("/hundred", [True])
        took.append(time.perf_counter() - began)
    assert min(took) < 0.05  # 5 ms on an idle machine


async def test_a_very_long_wanted_value_is_shortened(house, answering):
    house.device("/hall/lux", 81, settable=False)
    await house.rule(dark)
    answer = answering.why_not("/hall/dark", ["x" * 100_000])
    assert len(codec.pack(answer)) < 10_000
    assert not answer["rules"][0]["possible"] or not answer["rules"][0]["certain"]


async def test_secrets_are_removed(house):
    house.device("/alarm/code", "1234567", settable=False)

    @rule
    async def copy():
        await yarp.state_register("/copy", await yarp.state_observe("/alarm/code"))

    await house.rule(copy)
    answering = Answering(
        house._instances,
        house._answers._reports,
        house.happenings.last,
        Redaction(["/alarm/*", "/copy"]),
    )
    assert "1234567" not in str(answering.why_not("/copy", ["0000000"]))


async def test_the_last_time_with_the_value_has_the_inputs_of_then(house):
    @rule
    async def cosy():
        lux = await yarp.state_observe("/lux")
        await yarp.state_register("/cosy", yarp.fn(lambda lux: lux == 30)(lux))

    lux = house.device("/lux", 81, settable=False)
    await house.rule(cosy)
    await lux.report(30)
    await house.advance(minutes=2)
    await lux.report(31)
    records = ListedRecords(each.plain() for each in house.happenings.all)
    earlier = last_time(records, "/cosy", True)
    assert earlier is not None
    assert "\n".join(earlier.lines(house.now, house.now.tzinfo)) == (
        "the last time that test.cosy made it True: 2026-01-01 00:00:00 (2 min ago), with\n"
        "  /lux 30\n"
        "  because of state /lux"
    )
    assert earlier.plain()["inputs"] == {"/lux": 30}
    assert last_time(records, "/cosy", 5) is None


async def test_a_part_that_time_will_end_is_named_with_its_end(house):
    house.device("/hall/lamp", False)
    house.device("/hall/lux", 81, settable=False)
    await house.rule(dark)
    await house.rule(light)
    await house.emit("/hall/motion")
    assert "True, as needed until 00:02:00" in house.why_not("/hall/lamp")


async def test_a_lost_connection_is_named(house, answering, monkeypatch):
    house.device("/hall/lux", 81, settable=False)
    await house.rule(dark)
    [instance] = house._instances()
    monkeypatch.setattr(type(instance.connection), "connected", property(lambda client: False))
    [rule] = answering.why_not("/hall/dark")["rules"]
    assert rule["obstacles"] == [
        ["there is no connection to the server: values are sent when it is back", ""]
    ]


async def test_an_input_of_a_rule_that_is_disabled_names_that_rule(house, tmp_path):
    (tmp_path / "eshet-rules.toml").write_text('[rules."hall.dark"]\nenabled = false\n')
    (tmp_path / "hall.py").write_text(
        "from eshet import yarp\nfrom eshet_rules import rule\n\n@rule\nasync def dark():\n"
        '    await yarp.state_register("/hall/dark", yarp.Value(True))\n'
    )
    house.device("/hall/lamp", False)
    await house.load(tmp_path / "hall.py")
    await house.rule(light)
    said = house.why_not("/hall/lamp")
    assert "/hall/dark unknown, needs True" in said
    assert "        hall.dark names it and is disabled: " in said


async def test_a_rule_that_is_disabled_and_names_the_path_is_named(house, tmp_path):
    (tmp_path / "eshet-rules.toml").write_text('[rules."hall.light"]\nenabled = false\n')
    (tmp_path / "hall.py").write_text(
        "from eshet import yarp\nfrom eshet_rules import rule\n\n@rule\nasync def light():\n"
        '    await yarp.set_value("/hall/lamp", True)\n'
    )
    house.device("/hall/lamp", False)
    await house.load(tmp_path / "hall.py")
    said = house.why_not("/hall/lamp")
    assert "hall.light is disabled: " in said


@rule
async def stairs_light():
    motion = await yarp.event_listen("/stairs/motion")
    level = yarp.when(100, yarp.hold(motion, 15), otherwise=0)
    await yarp.drive("/stairs/lamp", level, override="1h")


@rule
async def way_out():
    smoke = await yarp.state_observe("/stairs/smoke")
    await yarp.drive("/stairs/lamp", yarp.when(100, smoke), priority=100)


async def stairs(house):
    """Set up the drivers of a lamp, and return the sensor of smoke."""
    house.device("/stairs/lamp", 0)
    smoke = house.device("/stairs/smoke", False, settable=False)
    await house.rule(stairs_light)
    await house.rule(way_out)
    return smoke


class TestDrivers:
    """Of several rules and people, only the first one with an opinion counts."""

    async def test_the_one_that_decides_has_to_withdraw_for_the_value_of_the_next(self, house):
        smoke = await stairs(house)
        await smoke.report(True)
        for wanted in ((), (0,)):
            first, *said = house.why_not("/stairs/lamp", *wanted).splitlines()
            assert first == f"/stairs/lamp is 100; for {'0' if wanted else 'another value'}:"
            assert said[:8] == [
                "  test1.way_out (test_answering.py:329) drives it; its value is 100",
                "    it can't have that value, as far as is known",
                "    the next driver decides when this one has no opinion:",
                "      when at test_answering.py:329 100, needs no value:",
                "        /stairs/smoke True, needs not true, since 00:00:00",
                "  test.stairs_light (test_answering.py:323) drives it; its value is 0",
                "    test1.way_out decides instead",
                "    it has that value already: 0",
            ]

    async def test_a_person_decides_instead_of_the_drivers_that_stand_by(self, house):
        await stairs(house)
        await house.emit("/stairs/motion")
        await house.set("/stairs/lamp", 30)
        said = house.why_not("/stairs/lamp")
        assert said.startswith("/stairs/lamp is 30; for another value:\n  test1.way_out")
        assert "drives it; it has no opinion\n    when at" in said
        assert "no value, needs != 30:\n      /stairs/smoke False, needs true" in said
        assert (
            "drives it; its value is 100\n"
            "    a person decides instead until 01:00:00\n"
            "    it has that value already: 100\n"
        ) in said
        said = house.why_not("/stairs/lamp", 0)
        assert "a person decides instead until 01:00:00\n    when at" in said
        assert "time alone will do" not in said

    async def test_a_driver_that_decides_says_what_time_does(self, house):
        await stairs(house)
        await house.emit("/stairs/motion")
        said = house.why_not("/stairs/lamp")
        assert "its value is 100\n    time alone will do: at 00:00:15 (in 15 s)\n" in said
        assert "instead" not in said
        assert "no opinion:" not in said, "no other driver comes after it"
