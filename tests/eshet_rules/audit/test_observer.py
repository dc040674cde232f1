"""What is in the trail of a house: each input and output, with its cause, and nothing secret."""

import asyncio
import json

import pytest

from eshet.exceptions import Interrupted
from eshet.messages import Set
from eshet_rules.audit.lines import decode
from eshet_rules.audit.observer import RecordingObserver
from eshet_rules.audit.redaction import REDACTED, Redaction

HALL = """
from eshet import yarp
from eshet_rules import rule

@rule
async def dark():
    lux = await yarp.state_observe("/hall/lux")
    await yarp.state_register("/hall/dark", lux < 40)
"""

BATH = """
from eshet import yarp
from eshet_rules import rule

@rule
async def light():
    dark = await yarp.state_observe("/hall/dark")
    await yarp.state_register("/bath/light", dark)
"""


async def test_a_chain_of_causes_leads_over_two_rules_of_two_modules_to_what_came_in(house):
    house.folder.write("hall.py", HALL)
    house.folder.write("bath.py", BATH)
    await house.viewer.state_register("/hall/lux")
    assert await house.update()
    await house.viewer.state_changed("/hall/lux", 12)
    await house.advance(0)
    last = house.records(path="/bath/light", event="output.published")[-1]
    assert (last["rule"], last["value"], last["outcome"]) == ("bath.light", True, "done")
    assert house.chain(last) == ["/hall/dark", "/hall/lux"]


async def test_records_say_which_rule_of_which_version_it_was(house):
    house.folder.write("hall.py", HALL)
    await house.viewer.state_register("/hall/lux")
    await house.viewer.state_changed("/hall/lux", 12)
    assert await house.update()
    record = house.records(event="output.published")[0]
    version = house.reloader.instances["hall"].version.source.version
    assert (record["rule"], record["module"], record["version"]) == ("hall.dark", "hall", version)


async def test_causes_go_through_tasks_queues_and_retries(house):
    house.folder.write(
        "hall.py",
        """
        import asyncio
        from eshet import yarp
        from eshet.utils import RunSerially
        from eshet_rules import rule

        @rule
        async def light(client):
            async def later(payload):
                await asyncio.sleep(1)
                await client.event_emit("/task", payload)

            async def start(payload):
                asyncio.create_task(later(payload))

            await client.event_listen_cb("/bell", start)
            bell = await yarp.event_listen("/bell")
            strategy = RunSerially(retry=True)
            await yarp.action_call("/ring", bell, strategy=strategy)
        """,
    )
    assert await house.update()
    await house.viewer.event_register("/task")
    for number in range(2):
        await house.viewer.event_emit("/bell", number)
    await house.advance(3)  # the action is not there: the first call fails, and the second waits
    await house.viewer.action_register("/ring", lambda number: number)
    await house.advance(60)
    bells = {r["value"]: r["cause"] for r in house.records(path="/bell")}
    assert len(set(bells.values())) == 2
    for record in house.records(path="/task"):
        assert record["cause"] == bells[record["value"]]
    calls = house.records(event="output.called")
    assert {r["cause"] for r in calls if r["value"] == [0]} == {bells[0]}
    assert {r["cause"] for r in calls if r["value"] == [1]} == {bells[1]}
    first = [r for r in calls if r["value"] == [0]]
    assert [r["outcome"] for r in first] == ["failed"] * (len(first) - 1) + ["done"]
    assert [r.get("attempt", 1) for r in first] == list(range(1, len(first) + 1))
    assert first[-1]["result"] == 0
    assert "path_not_found" in first[0]["error"]


async def test_what_a_timer_does_says_which_one_it_was_and_what_had_it_set(house):
    house.folder.write(
        "hall.py",
        """
        from eshet import yarp
        from eshet_rules import rule

        @rule
        async def light():
            bell = await yarp.event_listen("/bell")
            await yarp.event_register("/later", yarp.delay(bell, 5))
        """,
    )
    assert await house.update()
    await house.viewer.event_emit("/bell", 1)
    await house.advance(5)
    bell, later = house.one(path="/bell"), house.one(path="/later")
    assert later["parent"] == bell["cause"]
    assert later["trigger"] == "timer delay at hall.py:8"


async def test_what_a_reload_does_has_the_reload_as_its_cause(house):
    house.folder.write("hall.py", HALL)
    await house.viewer.state_register("/hall/lux")
    await house.viewer.state_changed("/hall/lux", 50)
    assert await house.update()
    house.folder.write("hall.py", HALL.replace("40", "60"))
    assert await house.update()
    published = house.records(event="output.published")[-1]
    reloaded = house.one(event="module.reloaded")
    assert published["value"] is True
    assert published["trigger"] == "reload hall"
    assert published["cause"] == reloaded["cause"]


async def test_what_a_reload_does_not_say_again_is_skipped_as_unchanged(house):
    house.folder.write("hall.py", HALL)
    await house.viewer.state_register("/hall/lux")
    await house.viewer.state_changed("/hall/lux", 50)
    assert await house.update()
    house.folder.write("hall.py", HALL + "# edited\n")
    assert await house.update()
    last = house.records(event="output.published")[-1]
    assert (last["outcome"], last["why"], last["value"]) == ("skipped", "unchanged", False)
    assert (last["rule"], last["trigger"]) == ("hall.dark", "reload hall")


async def test_what_is_skipped_is_told_of_the_rule_that_would_have_sent_it(house):
    house.folder.write(
        "hall.py",
        """
        from eshet import Unknown, yarp
        from eshet_rules import rule

        level = yarp.Value(1)

        @rule
        async def dims(client):
            await client.event_listen_cb("/bell", lambda payload: setattr(level, "value", Unknown))

        @rule
        async def light():
            await yarp.set_value("/lamp", level)
        """,
    )
    await house.viewer.state_register("/lamp", lambda value: None)
    assert await house.update()
    await house.viewer.event_emit("/bell", 1)
    await house.advance(0)
    bell, skipped = house.one(path="/bell"), house.records(path="/lamp")[-1]
    assert (skipped["outcome"], skipped["why"]) == ("skipped", "unknown")
    assert (skipped["rule"], skipped["cause"]) == ("hall.light", bell["cause"])


async def test_a_call_that_is_cancelled_midway_is_interrupted(house):
    house.folder.write(
        "hall.py",
        """
        from eshet import yarp
        from eshet_rules import RunLatest, rule

        @rule
        async def light():
            bell = await yarp.event_listen("/bell")
            await yarp.action_call("/slow", bell, strategy=RunLatest())
        """,
    )

    async def slow(number):
        await asyncio.sleep(10)
        return number

    await house.viewer.action_register("/slow", slow)
    assert await house.update()
    await house.viewer.event_emit("/bell", 1)
    await house.advance(3)
    await house.viewer.event_emit("/bell", 2)
    await house.advance(20)
    first, second = house.records(event="output.called")
    assert (first["outcome"], first["value"], first["duration"]) == ("interrupted", [1], 3)
    assert (second["outcome"], second["result"], second["duration"]) == ("done", 2, 10)


@pytest.mark.parametrize("cut", [asyncio.CancelledError, GeneratorExit, Interrupted])
async def test_an_output_in_whose_midst_something_else_ended_it_is_interrupted(house, cut):
    observer = RecordingObserver(house.recorder)
    with pytest.raises(cut), observer.on_sending(Set.code, b"/lamp", b"\x01"):
        raise cut
    await house.advance(0)
    record = house.one(path="/lamp")
    assert (record["outcome"], record["value"]) == ("interrupted", 1)
    assert "error" not in record


async def test_a_lost_connection_is_recorded_with_its_module(house):
    house.folder.write("hall.py", HALL)
    assert await house.update()
    house.cables["hall"].cut()
    await house.advance(60)
    assert [r["event"] for r in house.records() if r["event"].startswith("client.")] == [
        "client.connected",
        "client.disconnected",
        "client.connected",
    ]
    assert {r["module"] for r in house.records(event="client.connected")} == {"hall"}


async def test_a_state_that_is_published_later_is_recorded_as_kept(house):
    house.folder.write(
        "hall.py",
        """
        from eshet import yarp
        from eshet_rules import rule

        @rule
        async def light():
            await yarp.state_register("/now", yarp.fn(str)(yarp.now(1)))
        """,
    )
    assert await house.update()
    house.cables["hall"].unplug()
    await house.advance(1)
    assert not house.reloader.instances["hall"].connection.connected
    assert house.records(path="/now")[-1]["outcome"] == "kept"


async def test_the_console_shows_what_the_trail_keeps_at_a_glance(house):
    house.folder.write("hall.py", HALL)
    await house.viewer.state_register("/hall/lux")
    assert await house.update()
    await house.viewer.state_changed("/hall/lux", 12)
    await house.advance(0)
    lines = house.console.getvalue().splitlines()
    [heard] = [line for line in lines if "/hall/lux  12" in line]
    [said] = [line for line in lines if "/hall/dark  True" in line]
    assert heard.split("  ", 1)[1].startswith("debug    hall.dark                 input received")
    assert "state published  /hall/dark  True  took='0 ms'" in said


@pytest.mark.parametrize("value", ["\x1b[2J", "a\nb", "\u202e", "\x9b2J", '"}\n{"time":"'])
async def test_no_value_drives_the_terminal_or_forges_a_line(house, value):
    house.folder.write("hall.py", HALL.replace("lux < 40", "lux"))
    await house.viewer.state_register("/hall/lux")
    assert await house.update()
    await house.viewer.state_changed("/hall/lux", value)
    await house.advance(0)
    assert house.records(path="/hall/dark")[-1]["value"] == value
    assert value not in house.console.getvalue()
    for line in house.file.read_bytes().splitlines():
        decode(line)


async def test_secrets_are_in_no_file_and_on_no_console(make_house):
    secret = "5f3c-swordfish"  # noqa: S105
    house = await make_house(["/alarm/*", "password"])
    house.folder.write(
        "alarm.py",
        """
        from eshet import yarp
        from eshet_rules import rule

        @rule
        async def alarm(log, client):
            code = await yarp.state_observe("/alarm/code")
            await yarp.set_value("/alarm/lock", code)
            await yarp.action_call("/alarm/ring", code)
            login = await yarp.state_observe("/login")
            await yarp.state_register("/copy", login)
            await yarp.event_register("/alarm/said", yarp.value_to_event(code))
            yarp.on_value(login, lambda login: log.info("login", password=login, all=[login]))
        """,
    )
    viewer = house.viewer

    def refuse(value):
        raise ValueError(f"wrong code {value}")

    for path in ("/alarm/code", "/login"):
        await viewer.state_register(path)
    await viewer.state_register("/alarm/lock", refuse)
    await viewer.action_register("/alarm/ring", lambda code: [code])
    await viewer.state_changed("/login", {"name": "me", "password": secret})
    assert await house.update()
    await viewer.state_changed("/alarm/code", secret)
    await viewer.state_changed("/login", [{"password": secret}])
    await house.advance(0)
    events = [r["event"] for r in house.records(path="/alarm/*")]
    assert {"input.received", "output.set", "output.called", "output.emitted"} <= set(events)
    assert house.records(path="/copy")[-1]["value"] == [{"password": REDACTED}]
    assert secret not in house.console.getvalue()
    written = list(house.file.parent.iterdir())
    assert written
    for file in written:
        assert secret.encode() not in file.read_bytes()


def test_what_is_not_secret_is_told():
    redaction = Redaction(["/alarm/*", "pin"])
    record = {"event": "rule.failed", "doing": "set_value of /alarm/lock", "error": "wrong 1234"}
    redaction.record(record)
    assert record == {
        "event": "rule.failed",
        "doing": "set_value of /alarm/lock",
        "error": REDACTED,
    }
    record = {"event": "rule.failed", "doing": "set_value of /hall/light", "error": "1", "pin": 4}
    redaction.record(record)
    assert record["error"] == "1"
    assert record["pin"] == REDACTED
    assert not redaction.hides("/hall/alarm")
    assert json.dumps(redaction.value({"a": [{"pin": 1}, 2]})) == json.dumps(
        {"a": [{"pin": REDACTED}, 2]}
    )


def test_names_of_fields_are_globs():
    redaction = Redaction(["*password*", "pin"])
    record = {"my_password2": "a", "pins": "b", "value": [{"password": {"x": 1}}], 5: "c"}
    redaction.record(record)
    assert record == {
        "my_password2": REDACTED,
        "pins": "b",
        "value": [{"password": REDACTED}],
        5: "c",
    }


def test_what_was_taken_out_is_taken_out_of_texts_too():
    redaction = Redaction(["/alarm/*", "pin"])
    redaction.hide({"code": ["s3cret.", 471199, True, None, "abc"]})
    redaction.value({"pin": "words of mine"})
    record = {
        "event": "rule.failed",
        "version": "471199",
        "path": "/hall/471199",
        "error": "ValueError: bad code s3cret. or 471199, 14711991 of True",
        "traceback": ["in words of mine", {"None": "abc"}],
    }
    redaction.record(record)
    assert record == {
        "event": "rule.failed",
        "version": "471199",
        "path": "/hall/471199",
        "error": f"ValueError: bad code {REDACTED} or {REDACTED}, 14711991 of True",
        "traceback": [f"in {REDACTED}", {"None": "abc"}],
    }
    assert redaction.text("set /alarm/code: refused") == REDACTED
    assert redaction.text("set /hall/light: 471199") == f"set /hall/light: {REDACTED}"


def test_only_the_newest_are_looked_for_in_texts():
    redaction = Redaction(["/alarm/*"])
    for number in range(1000, 3000):
        redaction.hide(number)
    assert redaction.text("1000 2999") == f"1000 {REDACTED}"


async def test_an_error_that_a_rule_makes_of_a_secret_does_not_tell_it(make_house):
    house = await make_house(redact=["/alarm/*"])
    house.folder.write(
        "hall.py",
        """
        from eshet import yarp
        from eshet_rules import rule

        @rule
        async def check():
            code = await yarp.state_observe("/alarm/code")

            def refuse(code):
                if isinstance(code, str):
                    raise ValueError(f"wrong code {code}")

            await yarp.state_register("/ok", yarp.fn(refuse)(code))
        """,
    )
    await house.viewer.state_register("/alarm/code")
    assert await house.update()
    await house.viewer.state_changed("/alarm/code", "s3cret")
    await house.advance(0)
    [failed] = house.records(event="rule.failed")[-1:]
    assert failed["error"] == f"ValueError: wrong code {REDACTED}"
    assert "hall.py" in failed["traceback"]
    assert "s3cret" not in house.console.getvalue()
    assert b"s3cret" not in house.file.read_bytes()


async def test_what_a_rule_hears_is_written_before_it_hears_of_it(house):
    house.folder.write(
        "hall.py",
        """
        from pathlib import Path
        from eshet_rules import rule

        @rule
        async def light(client):
            def ring(payload):
                seen.write_bytes(trail.read_bytes())

            await client.event_listen_cb("/bell", ring)

        trail = Path(__file__).parent / "audit" / "trail.jsonl"
        seen = Path(__file__).parent / "seen"
        """,
    )
    assert await house.update()
    await house.viewer.event_emit("/bell", "ding")
    await house.advance(0)
    assert b'"ding"' in (house.folder.path / "seen").read_bytes().splitlines()[-1]
