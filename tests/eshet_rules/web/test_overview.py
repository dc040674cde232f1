"""The overview lists the problems of a house, the worst first."""

import pytest

from eshet import ErrorValue
from eshet_rules.config import Configuration, LogSettings, WarningSettings
from tests.support.waiting import passing_time

HEAD = """
from eshet import yarp
from eshet_rules import rule
"""

FAILING = (
    HEAD
    + """
@rule
async def failing():
    raise ValueError("no lamp")
"""
)

READING = (
    HEAD
    + """
@rule
async def reading():
    await yarp.state_observe("/nowhere")
    await yarp.state_observe("/unknown")
    await yarp.event_listen("/an/event")
"""
)

CONFLICT = (
    HEAD
    + """
@rule
async def conflict():
    await yarp.set_value("/hall/light", yarp.Value(True))
"""
)

SETTING = (
    HEAD
    + """
@rule
async def setting():
    await yarp.set_value("/oven", yarp.Value(True))
    await yarp.set_value("/absent", yarp.Value(True))
"""
)

DRIVING = (
    HEAD
    + """
@rule
async def driving():
    await yarp.drive("/heater", yarp.Value(True), override="2h")
"""
)


async def problems(site):
    found = (await site.browser.get("overview"))["problems"]
    return {each["kind"]: each for each in found}, [each["kind"] for each in found]


async def test_a_healthy_house_has_no_problems(site):
    overview = await site.browser.get("overview")
    assert overview["problems"] == []
    assert overview["recording"]
    assert overview["runner"]["connected"]
    assert overview["counts"]["rules"] == overview["counts"]["running"] == 1


async def test_failed_rules_come_before_disabled_ones_and_broken_modules_first(site, folder):
    folder.write("bad.py", FAILING)
    folder.write("typo.py", "this is no Python")
    await site.until_logged("rule.stays_failed")
    acting = site.browser.with_token(site.token())
    await acting.post("rules/hall.light/disable")
    by_kind, kinds = await problems(site)
    assert kinds == ["broken", "failed", "disabled"]
    assert by_kind["broken"]["subject"] == "typo"
    assert "none of its rules run: " in by_kind["broken"]["text"]
    assert by_kind["failed"]["subject"] == "bad.failing"
    assert by_kind["failed"]["href"] == "#/rules/bad.failing"
    assert by_kind["disabled"]["text"] == "disabled by command"


async def test_a_module_that_no_longer_loads_names_the_version_that_still_runs(site, folder):
    [rule] = (await site.browser.get("rules"))["rules"]
    folder.write("hall.py", "this is no Python")
    await site.until_logged("module.import_failed_again")
    by_kind, _ = await problems(site)
    assert f"version {rule['version']} still runs: " in by_kind["broken"]["text"]


async def test_inputs_without_a_value_or_a_provider_are_problems(site, folder, outside):
    folder.write("reading.py", READING)
    await outside.state_register("/unknown")
    await site.until_logged("module.loaded", 2)
    assert list((await problems(site))[0]) == ["unknown_input"]
    await site.advance(60)
    by_kind, _ = await problems(site)
    assert list(by_kind) == ["not_provided", "unknown_input"]
    assert by_kind["not_provided"]["subject"] == "/nowhere"
    assert by_kind["unknown_input"]["subject"] == "/unknown"
    assert "reading.reading" in by_kind["unknown_input"]["text"]


async def test_an_output_that_has_failed_is_a_problem_until_the_path_shows_its_value(
    site, folder, outside
):
    def refuse(value):
        raise ErrorValue("too hot")

    oven = await outside.state_register("/oven", refuse)
    await oven.changed(False)
    folder.write("setting.py", SETTING)
    await site.until_logged("rule.failed", 2)
    by_kind, kinds = await problems(site)
    assert kinds == ["output_failed"], "the lamp may come soon"
    assert by_kind["output_failed"]["subject"] == "/oven"
    assert by_kind["output_failed"]["href"] == "#/path/oven"
    text = by_kind["output_failed"]["text"]
    assert text.startswith("the last output of setting.setting to it has failed: ")
    assert "too hot" in text
    await oven.changed(True)
    await site.advance(60)
    by_kind, kinds = await problems(site)
    assert kinds == ["output_failed"]
    assert by_kind["output_failed"]["subject"] == "/absent"
    assert by_kind["output_failed"]["text"].endswith(": nothing provides this path")
    await site.browser.with_token(site.token()).post("rules/setting.setting/disable")
    assert (await problems(site))[1] == ["disabled"]


async def test_two_rules_that_set_one_path_are_a_problem(site, folder):
    folder.write("conflict.py", CONFLICT)
    await site.until_logged("module.loaded", 2)
    await site.advance(1)
    by_kind, _ = await problems(site)
    assert by_kind["conflict"]["subject"] == "/hall/light"
    assert "conflict.conflict, hall.light" in by_kind["conflict"]["text"]


async def test_a_path_that_a_person_has_set_is_shown_until_it_is_released(site, folder, outside):
    heater = await outside.state_register("/heater", lambda value: heater.changed(value))
    await heater.changed(False)
    folder.write("driving.py", DRIVING)
    await site.until_logged("module.loaded", 2)
    await site.advance(2)
    assert await outside.get("/heater") is True
    await heater.changed(False)
    await site.advance(2)
    by_kind, kinds = await problems(site)
    assert kinds == ["override"]
    assert by_kind["override"]["text"].startswith("set by hand to False, until ")
    assert (await site.browser.get("path", path="/heater"))["decides"]["decides"] == "person"
    acting = site.browser.with_token(site.token())
    assert (await acting.post("release", path="/heater")).content == {"done": ["/heater"]}
    await site.advance(2)
    assert await outside.get("/heater") is True
    assert (await problems(site))[1] == []


SECRET = Configuration(log=LogSettings(redact=("/alarm/*",)))

ALARM = (
    HEAD
    + """
@rule
async def alarm():
    code = await yarp.state_observe("/alarm/code")
    await yarp.set_value("/alarm/armed", code)
    def check(value):
        raise ValueError(f"wrong: {value}")
    await yarp.state_register("/checked", yarp.fn(check)(code))
"""
)

VIEWS = (
    "overview",
    "rules",
    "rules/alarm.alarm",
    "rules/alarm.alarm/graph?inside=1",
    "paths?under=/alarm",
    "paths?search=alarm",
    "path?path=/alarm/code",
    "path?path=/alarm/armed",
    "history?path=/alarm/code",
    "why?path=/alarm/armed",
    "why-not?path=/alarm/armed",
    "trail",
)


async def test_no_view_shows_a_secret(stopped_site, folder, outside):
    folder.write("alarm.py", ALARM)
    state = await outside.state_register("/alarm/code")
    await state.changed("hunter2-secret")
    await outside.state_register("/alarm/armed", lambda value: None)
    async with stopped_site.serving(SECRET) as site:
        for view in VIEWS:
            answer = await site.browser.ask("GET", f"/api/1/{view}")
            assert answer.status == 200, answer
            assert "hunter2" not in str(answer.content), view
        async with site.browser.live() as live:
            await live.send_json({"watch": ["/alarm/code"], "trail": {}})
            message = await passing_time(live.receive_json(), site.advance, 0.05)
            assert message["values"]["/alarm/code"][0] == "[redacted]"


async def test_warnings_that_the_configuration_does_not_want_are_no_problems(
    stopped_site, folder, outside
):
    folder.write("one.py", CONFLICT)
    folder.write("two.py", CONFLICT)
    folder.write("reading.py", READING)
    ignored = WarningSettings(ignore=("/hall/*", "/nowhere", "/unknown"))
    async with stopped_site.serving(Configuration(warnings=ignored)) as site:
        await site.advance(60)
        assert (await problems(site))[1] == []


@pytest.mark.parametrize("path", ["/metrics", "/healthz"])
async def test_other_programs_can_ask_for_health_and_numbers(site, path):
    answer = await site.browser.ask("GET", path)
    assert answer.status == 200
    if path == "/metrics":
        lines = answer.content.splitlines()
        assert 'eshet_rules_rule_state{rule="hall.light",state="running"} 1' in lines
        assert "eshet_rules_connected 1" in lines
        assert 'eshet_rules_rule_errors_total{rule="hall.light"} 0' in lines


async def test_what_was_regular_and_has_stopped_is_silent(site, monkeypatch):
    from eshet_rules.web import silences

    async def answer(code, request=b""):
        assert "trail.jsonl" in code
        return b'{"silences": [{"what": "/hall/lux", "since": "2026-11-25T03:22:41.000Z"}]}', 0

    monkeypatch.setattr(silences, "run_beside", answer)
    async with site.browser.live():
        await site.advance(10)
        by_kind, _ = await problems(site)
        assert by_kind["silent"]["subject"] == "/hall/lux"
        assert by_kind["silent"]["since"] == "2026-11-25T03:22:41.000Z"


async def test_silences_are_searched_in_a_process_of_its_own(site, outside):
    """With a real process, which finds none in a trail of a few seconds."""
    from eshet_rules.web.silences import Silences

    class View:
        trail = next(site.state.rglob("trail.jsonl"))

    silences = Silences(View())
    silences.latest = {"/old": "2026-11-25T03:22:41.000Z"}
    await silences.search()
    assert silences.latest == {}


async def test_a_runner_in_no_cluster_has_no_other_runners(site):
    nothing = {"runners": [], "without_runner": [], "rules": [], "more": 0}
    assert await site.browser.get("cluster") == {"cluster": None, **nothing}
