"""Each answer of the API has the shape that its description names, and says what is so."""

import asyncio
import re

import msgspec
import pytest

from eshet import Client
from eshet.gateway.tokens import Scope
from eshet_rules.config import Configuration, LogSettings, WebSettings
from eshet_rules.web import schema
from tests.eshet_rules.web.conftest import HALL
from tests.support.waiting import passing_time

OVEN = """
from eshet import yarp
from eshet_rules import rule

@rule
async def oven():
    await yarp.set_value("/kitchen/oven", yarp.Value(1) / 0)
"""


async def test_the_light_is_explained(site, outside):
    await outside.event_emit("/hall/motion", 1)
    await site.advance(1)
    assert await outside.get("/hall/light") is True
    why = await site.browser.get("why", path="/hall/light")
    assert why["lines"][0]["text"].startswith("/hall/light = True, since")
    assert why["lines"][1]["rule"] == "hall.light"
    assert why["answer"]["output"]["value"] is True
    why_not = await site.browser.get("why-not", path="/hall/light", **{"is": "false"})
    assert any("time alone will do" in line["text"] for line in why_not["lines"])


STAIRS = """
from eshet import yarp
from eshet_rules import rule

@rule
async def count():
    motion = await yarp.event_listen("/hall/motion")
    await yarp.state_register("/stairs/count", yarp.count(motion))
"""

QUERIES = {
    "overview": schema.OverviewAnswer,
    "cluster": schema.ClusterAnswer,
    "rules": schema.RulesAnswer,
    "rules?search=hall&limit=1": schema.RulesAnswer,
    "rules/hall.light": schema.RuleAnswer,
    "rules/hall.light/graph": schema.GraphAnswer,
    "rules/hall.light/graph?inside=1": schema.GraphAnswer,
    "paths": schema.PathsAnswer,
    "paths?under=/hall": schema.PathsAnswer,
    "paths?search=lux": schema.PathsAnswer,
    "path?path=/hall/light": schema.PathAnswer,
    "path?path=/hall/ligth": schema.PathAnswer,
    "path/graph?path=/hall/lux": schema.GraphAnswer,
    "history?path=/hall/lux": schema.HistoryAnswer,
    "why?path=/hall/light": schema.ExplanationAnswer,
    "why?path=/hall/light&at=2000-01-01T00:00:00Z": schema.ExplanationAnswer,
    "why-not?path=/hall/light": schema.ExplanationAnswer,
    "trail": schema.TrailAnswer,
    "bridges": schema.BridgesAnswer,
    "versions": schema.VersionsAnswer,
    "versions?module=hall": schema.VersionsAnswer,
}


async def test_why_names_a_rule_that_has_failed_before_it_could_write_the_path(site, folder):
    folder.write("oven.py", OVEN)
    await site.until_logged("rule.stays_failed")
    await site.advance(1)
    why = await site.browser.get("why", path="/kitchen/oven")
    texts = [line["text"] for line in why["lines"]]
    assert texts[0].startswith("oven.oven names it and is failed now: ")
    assert not any("no rule of this runner" in each for each in texts)


async def test_each_answer_has_the_described_shape(site, outside):
    await outside.event_emit("/hall/motion", 1)
    await site.advance(1)
    for query, shape in QUERIES.items():
        msgspec.convert(await site.browser.get(query), shape)


async def test_the_tree_shows_directories_and_values(site):
    top = await site.browser.get("paths")
    assert {"name": "hall", "kind": "dir", "children": 3}.items() <= top["entries"][1].items()
    hall = await site.browser.get("paths", under="/hall/")
    assert [(each["name"], each["kind"], each["value"]) for each in hall["entries"]] == [
        ("light", "state", False),
        ("lux", "state", 25),
        ("motion", "event", None),
    ]


async def test_a_mistyped_path_gets_the_nearest_ones(site):
    path = await site.browser.get("path", path="/hall/ligth")
    assert path["kind"] is None
    assert "/hall/light" in path["nearest"]


async def test_pages_of_rules_and_paths_follow_each_other(site, folder):
    for number in range(7):
        text = "from eshet_rules import rule\n@rule\nasync def r():\n    pass\n"
        folder.write(f"m{number}.py", text)
    await site.until_logged("module.loaded", 8)
    names, after = [], ""
    while after is not None:
        page = await site.browser.get("rules", after=after, limit="3")
        names += [each["rule"] for each in page["rules"]]
        assert page["total"] == 8
        after = page["next"]
    assert names == ["hall.light", *(f"m{number}.r" for number in range(7))]
    first = await site.browser.get("paths", under="/hall", limit="2")
    rest = await site.browser.get("paths", under="/hall", after=first["next"])
    assert [each["name"] for each in rest["entries"]] == ["motion"]


async def test_a_rule_shows_its_inputs_outputs_timers_and_runs(site, outside):
    await outside.event_emit("/hall/motion", 1)
    await site.advance(1)
    rule = await site.browser.get("rules/hall.light")
    assert [(each["path"], each["value"]) for each in rule["inputs"]] == [
        ("/hall/lux", 25),
        ("/hall/motion", 1),
    ]
    [output] = rule["outputs"]
    assert (output["path"], output["value"], output["outcome"]) == ("/hall/light", True, "done")
    [timer] = rule["timers"]
    assert 28 < timer["in_s"] < 30
    assert rule["runs"][0]["event"] in ("output.set", "input.received")
    assert "/hall/light" in rule["runs"][0]["text"]
    assert rule["source"]["rule_line"] == 5
    assert "async def light" in rule["source"]["text"]


async def test_the_line_of_an_error_is_marked(site, folder, outside):
    folder.write(
        "bad.py",
        """
        from eshet import yarp
        from eshet_rules import rule

        @rule
        async def bad():
            lux = await yarp.state_observe("/hall/lux")
            def half(value):
                return 1 / (value - 30)
            await yarp.state_register("/half", yarp.fn(half)(lux))
        """,
    )
    await site.until_logged("module.loaded", 2)
    await outside.state_changed("/hall/lux", 30)
    await site.until_logged("rule.failed")
    bad = await site.browser.get("rules/bad.bad")
    assert "ZeroDivisionError" in bad["rule"]["last_error"]
    assert bad["rule"]["errors"] == 1
    lines = bad["source"]["text"].splitlines()
    assert "1 / (value - 30)" in lines[bad["source"]["line"] - 1]


async def test_the_history_of_a_path_is_that_of_its_values(site, outside):
    for lux in (30, 30, 35):
        await outside.state_changed("/hall/lux", lux)
        await site.advance(1)
    history = await site.browser.get("history", path="/hall/lux")
    assert [value for _, value, known in history["points"] if known] == [25, 30, 35]
    assert history["kind"] == "number"


async def test_the_history_of_an_event_has_each_time_it_was_emitted(site, folder, outside):
    folder.write("stairs.py", STAIRS)
    await site.until_logged("module.loaded", 2)
    for motion in ("passed", "passed", "stays"):
        await outside.event_emit("/hall/motion", motion)
        await site.advance(0.2)
    history = await site.browser.get("history", path="/hall/motion")
    assert [value for _, value, _ in history["points"]] == ["passed", "passed", "stays"]


async def test_the_trail_is_filtered_and_comes_in_pages(site, outside):
    for lux in range(10):
        await outside.state_changed("/hall/lux", lux)
        await site.advance(1)
    values, before = [], ""
    while before is not None:
        query = {"path": "/hall/lux", "event": "input.received", "limit": "3", "before": before}
        page = await site.browser.get("trail", **query)
        values += [each["value"] for each in page["records"]]
        before = page["next"]
    assert values == [*reversed(range(10)), 25]


@pytest.mark.parametrize(
    ("path", "status", "part"),
    [
        ("rules/nope", 404, "there is no rule"),
        ("rules/nope/graph", 404, "there is no rule"),
        ("rules?limit=0", 400, "a number from 1 to 500"),
        ("rules?limit=x", 400, "a number from 1 to 500"),
        (f"trail?limit={'9' * 5000}", 400, "a number from 1 to 500"),
        ("why?path=/hall/light&at=0001-01-01T00:00:00%2B14:00", 400, "a time of the years 2"),
        ("why?path=/hall/light&at=9999-12-31T23:59:59-14:00", 400, "a time of the years 2"),
        ("trail?to=9999-12-31T23:59:59Z", 400, "a time of the years 2"),
        (f"rules?search={'*a' * 2000}", 400, "at most 1024 characters"),
        (f"trail?path={'*a' * 2000}", 400, "at most 1024 characters"),
        ("path", 400, "'path' is missing"),
        ("why?path=/hall/light&at=now", 400, "2026-11-25T18:30:00Z"),
        ("why?path=/hall/light&at=2026-11-25T18:30:00", 400, "with its zone"),
        ("trail?from=0001-01-01T00:00:00%2B14:00", 400, "a time"),
        ("versions/nope/12", 404, "no version of it is kept"),
        ("versions/hall/diff?from=12", 400, "'to' is missing"),
        ("trail?rul=hall.*", 400, "there is no parameter 'rul'; write one of rule, "),
        ("bridges?x=1", 400, "there is no parameter 'x'"),
        ("nothing", 404, "there is nothing at"),
    ],
)
async def test_a_wrong_request_gets_an_error_that_says_what_is_wrong(site, path, status, part):
    answer = await site.browser.ask("GET", f"/api/1/{path}")
    assert answer.status == status
    msgspec.convert(answer.content, schema.Error)
    assert part in answer.content["message"]


COMMANDS = [
    ("rules/hall.light/disable", {}),
    ("rules/hall.light/enable", {}),
    ("rules/hall.light/restart", {}),
    ("rules/hall.light/reload", {}),
    ("modules/hall/reload", {}),
    ("commit", {}),
    ("set", {"path": "/hall/light", "value": True}),
    ("call", {"path": "/hall/door", "arguments": [1, 2]}),
]


@pytest.mark.parametrize(("path", "body"), COMMANDS)
async def test_a_command_needs_a_token_that_permits_it(site, outside, path, body):
    await outside.action_register("/hall/door", lambda one, two: one + two)
    assert (await site.browser.post(path, **body)).status == 401
    reading = site.browser.with_token(site.token(Scope.READ, "tablet"))
    assert (await reading.post(path, **body)).status == 403
    acting = site.browser.with_token(site.token(Scope.ACT, "phone"))
    answer = await acting.post(path, **body)
    assert answer.status == 200, answer
    acted = site.log.find("page.acted")
    assert acted["by"].startswith("phone")
    assert acted["action"] == path.rpartition("/")[2]


async def test_a_disabled_rule_stops_until_it_is_enabled(site):
    acting = site.browser.with_token(site.token())
    assert (await acting.post("rules/hall.light/disable")).content == {"done": ["hall.light"]}
    assert (await site.browser.get("rules/hall.light"))["rule"]["state"] == "disabled"
    await acting.post("rules/hall.light/enable")
    assert (await site.browser.get("rules/hall.light"))["rule"]["state"] == "running"


async def test_values_of_every_kind_are_set_and_shown(site, outside):
    acting = site.browser.with_token(site.token())
    values = []
    state = await outside.state_register("/any", set_callback=values.append)
    for value in ({"$bytes": "aGFsbG8="}, {"$float": "NaN"}, {"$map": [[1, "x"]]}, [None, 1.5]):
        assert (await acting.post("set", path="/any", value=value)).status == 200
        await state.changed(values[-1])
        assert (await site.browser.get("path", path="/any"))["value"] == value
    assert values[0] == b"hallo"


async def test_errors_of_the_tree_are_answers(site):
    acting = site.browser.with_token(site.token())
    answer = await acting.post("set", path="/nothing", value=1)
    assert answer.status == 520
    assert answer.content["error"] == "path_not_found"
    assert site.log.find("page.acted")["error"]
    assert (await acting.post("set", path="a b", value=1)).status == 400
    assert (await acting.post("set", path="/hall/light")).status == 400
    assert (await acting.post("release", path="/hall/light")).status == 404


async def test_a_version_is_shown_compared_and_rolled_back(site, folder):
    from tests.eshet_rules.web.conftest import HALL

    [hall] = (await site.browser.get("versions"))["modules"]
    [first] = hall["versions"]
    folder.write("hall.py", HALL.replace("40", "50"))
    await site.until_logged("module.reloaded")
    [hall] = (await site.browser.get("versions", module="hall"))["modules"]
    second, again = hall["versions"]
    assert (again["version"], second["live"]) == (first["version"], True)
    path = f"versions/hall/{first['version']}"
    assert (await site.browser.get(path))["text"] == HALL.replace("\n\n\n", "\n\n")
    diff = await site.browser.get(
        "versions/hall/diff", **{"from": first["version"], "to": second["version"]}
    )
    signs = [sign for sign, _ in diff["lines"]]
    assert (signs.count("-"), signs.count("+")) == (1, 1)
    acting = site.browser.with_token(site.token())
    answer = await acting.post("versions/hall/rollback", version=first["version"], why="too bright")
    assert answer.status == 200, answer
    await site.advance(1)
    rule = await site.browser.get("rules/hall.light")
    assert rule["rule"]["version"] == first["version"]
    [problem] = (await site.browser.get("overview"))["problems"]
    assert problem["kind"] == "rolled_back"
    assert "too bright" in problem["text"]


async def test_an_action_is_completed_and_recorded_though_the_page_is_closed(site, outside):
    acting = site.browser.with_token(site.token())
    called = asyncio.Event()
    answered = asyncio.Event()

    async def answer():
        called.set()
        await answered.wait()

    await outside.action_register("/slow", answer)
    asking = asyncio.create_task(acting.post("call", path="/slow", arguments=[]))
    await called.wait()
    asking.cancel()
    await asyncio.wait([asking])
    await site.advance(1)
    assert "page.acted" not in site.log.events()
    answered.set()
    await site.until_logged("page.acted")
    acted = site.log.find("page.acted")
    assert (acted["action"], acted["subject"]) == ("call", "/slow")
    assert "error" not in acted


async def test_an_owner_that_does_not_answer_is_given_up(site, outside):
    acting = site.browser.with_token(site.token())
    await outside.action_register("/never", asyncio.Event().wait)
    answer = await passing_time(acting.post("call", path="/never", arguments=[]), site.advance)
    assert answer.status == 504
    assert "no answer in 60 s" in site.log.find("page.acted")["error"]


async def test_an_action_that_runs_at_the_end_is_recorded(stopped_site, folder, outside):
    folder.write("hall.py", HALL)
    await outside.action_register("/never", asyncio.Event().wait)
    async with stopped_site.serving() as site:
        acting = site.browser.with_token(site.token())
        asking = asyncio.create_task(acting.post("call", path="/never", arguments=[]))
        await site.advance(1)
        site.running.cancel()
        await passing_time(asyncio.wait([site.running]), site.advance)
        await asyncio.wait([asking])
        assert "it may have taken effect" in site.log.find("page.acted")["error"]


async def test_everybody_can_load_a_public_page_to_sign_in(stopped_site, folder):
    folder.write("hall.py", HALL)
    settings = WebSettings(address="0.0.0.0:0", insecure=True)
    async with stopped_site.serving(settings=settings) as site:
        page = await site.browser.ask("GET", "/")
        assert page.status == 200
        for file in re.findall(r'"(/static/[^"]+)"', page.content):
            assert (await site.browser.ask("GET", file)).status == 200
        for path in ("/api/1/overview", "/api/1/openapi.json", "/metrics", "/get/hall/lux"):
            assert (await site.browser.ask("GET", path)).status == 401


@pytest.mark.parametrize("question", ["why", "why-not", "path"])
async def test_secret_fields_of_values_are_not_shown(stopped_site, folder, outside, question):
    folder.write("hall.py", HALL)
    await outside.state_register("/login")
    await outside.state_changed("/login", {"user": "anna", "password": "pomegranate"})
    configuration = Configuration(log=LogSettings(redact=("password",)))
    async with stopped_site.serving(configuration) as site:
        answer = await site.browser.ask("GET", f"/api/1/{question}?path=/login")
        assert answer.status == 200
        assert "anna" in str(answer.content)
        assert "pomegranate" not in str(answer.content)


@pytest.mark.parametrize(("question", "status"), [("path", 200), ("why", 504), ("why-not", 504)])
async def test_a_property_whose_owner_does_not_answer(site, outside, question, status):
    async def never():
        await asyncio.Event().wait()

    await outside.prop_register("/never", never, lambda value: None)
    await site.advance(2)
    asking = site.browser.ask("GET", f"/api/1/{question}?path=/never")
    answer = await passing_time(asking, site.advance)
    assert answer.status == status
    if status == 200:
        assert answer.content["known"] is False


async def test_a_server_that_does_not_answer_is_shown_as_it_was(site, monkeypatch):
    await site.browser.get("paths", under="/hall")
    monkeypatch.setattr(Client, "action_call", lambda *_: asyncio.Event().wait())
    await site.advance(2)
    asking = site.browser.get("paths", under="/hall")
    answer = await passing_time(asking, site.advance)
    assert [each["name"] for each in answer["entries"]] == ["light", "lux", "motion"]
