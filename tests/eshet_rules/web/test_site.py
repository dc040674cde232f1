"""What everybody may see of a page that other machines can reach."""

import json
from pathlib import Path

import pytest

from eshet.gateway import listening
from eshet.gateway.tokens import Scope
from eshet_rules.config import Configuration, LogSettings, WebSettings
from eshet_rules.exceptions import PageNotServed
from eshet_rules.web.site import WebPage
from tests.support.waiting import passing_time


@pytest.fixture
def public(monkeypatch):
    """Let the page believe that other machines reach it; it listens on loopback as always."""

    async def is_local(host):
        return False

    monkeypatch.setattr(listening, "is_local", is_local)


async def test_a_public_page_can_be_loaded_but_shows_nothing_without_a_token(
    public, stopped_site, folder
):
    folder.write("hall.py", "from eshet_rules import rule\n@rule\nasync def r(): pass\n")
    async with stopped_site.serving(insecure=True) as site:
        index = await site.browser.ask("GET", "/")
        assert index.status == 200
        script = index.content.partition('src="')[2].partition('"')[0]
        assert (await site.browser.ask("GET", f"/{script}")).status == 200
        assert (await site.browser.ask("GET", "/healthz")).status == 200
        for path in ("/api/1/overview", "/api/1/live", "/api/1/openapi.json", "/metrics", "/ls/"):
            answer = await site.browser.ask("GET", path)
            assert answer.status == 401, path
            assert "eshet-rules web token" in answer.content["message"]
        reading = site.browser.with_token(site.token(Scope.READ))
        assert (await reading.get("overview"))["counts"]["rules"] == 1


@pytest.mark.parametrize("settings", [{"hosts": ("no host!",)}, {"origins": ("house.example",)}])
async def test_a_wrong_host_or_origin_is_named_before_the_start(settings):
    page = WebPage(WebSettings(**settings), None)
    with pytest.raises(PageNotServed, match=r"below \[web\]"):
        await page.check()


async def test_the_files_of_the_page_are_kept_by_browsers_and_no_others_are_served(site):
    index = await site.browser.ask("GET", "/")
    assert index.headers["Cache-Control"] == "no-store"
    script = index.content.partition('src="')[2].partition('"')[0]
    answer = await site.browser.ask("GET", f"/{script}")
    assert "immutable" in answer.headers["Cache-Control"]
    assert answer.headers["Content-Type"] == "text/javascript; charset=utf-8"
    folder = script.rpartition("/")[0]
    for path in (
        f"/{folder}/../site.py",
        f"/{folder}/%2e%2e/site.py",
        f"/{folder}/..%2f..%2fsite.py",
        f"/{folder}/nothing.js",
        "/static/0000000000000000/app.js",
        "/static//etc/passwd",
    ):
        assert (await site.browser.ask("GET", path)).status == 404, path


SECRETS = Configuration(log=LogSettings(redact=("/alarm/*",)))


async def test_secrets_are_read_by_the_gateway_only_with_a_token_that_acts(
    stopped_site, folder, outside, advance
):
    folder.write("hall.py", "from eshet_rules import rule\n@rule\nasync def r(): pass\n")
    code = await outside.state_register("/alarm/code")
    await code.changed("hunter2-secret")
    await outside.state_register("/hall/lux")
    await outside.state_changed("/hall/lux", 25)
    async with stopped_site.serving(SECRETS) as site:
        acting = site.browser.with_token(site.token(Scope.ACT))
        assert (await site.browser.ask("GET", "/get/hall/lux")).content == 25
        for path in ("/get/alarm/code", "/get/alarm/code/", "/events?state=/alarm/code"):
            assert (await site.browser.ask("GET", path)).status == 401, path
        assert (await acting.ask("GET", "/get/alarm/code")).content == "hunter2-secret"
        asked = (
            ["get", 2, "/alarm/code"],
            ["state_observe", 3, "/alarm/code"],
            ["action_call", 4, "/meta/tree", []],
            ["get", 5, "/hall/lux"],
        )
        async with site.browser.session.ws_connect(f"{site.browser.url}/ws") as socket:
            await socket.send_json(["hello", 1, 30])
            await passing_time(socket.receive_json(), advance, 0.05)
            answers = []
            for each in asked:
                await socket.send_json(each)
                answers.append(await passing_time(socket.receive_json(), advance, 0.05))
        assert [each[2] for each in answers[:3]] == [["error", "not_permitted"]] * 3
        assert answers[3] == ["reply", 5, ["ok", 25]]


async def test_what_is_done_by_the_gateway_is_recorded(site, outside, advance):
    await outside.action_register("/hall/door", lambda: None)
    acting = site.browser.with_token(site.token(name="script"))
    await acting.ask("POST", "/set/hall/light", json=True)
    await acting.ask("POST", "/call/hall/door", json=[])
    await acting.ask("POST", "/emit/hall/motion", json=1)
    headers = {"Authorization": f"Bearer {acting.token}"}
    url = f"{site.browser.url}/ws"
    async with site.browser.session.ws_connect(url, headers=headers) as socket:
        await socket.send_json(["hello", 1, 30])
        await passing_time(socket.receive_json(), advance, 0.05)
        await socket.send_json(["set", 2, "/hall/light", False])
        await passing_time(socket.receive_json(), advance, 0.05)
        await socket.send_json(["action_call", 3, "/meta/ls", ["/"]])
        await passing_time(socket.receive_json(), advance, 0.05)
    acted = [each for each in site.log.records if each["event"] == "page.acted"]
    assert [(each["action"], each["subject"]) for each in acted] == [
        ("set", "/hall/light"),
        ("call", "/hall/door"),
        ("emit", "/hall/motion"),
        ("set", "/hall/light"),
    ]
    assert all(each["by"].startswith("script") for each in acted)


async def test_the_description_of_the_api_is_that_of_the_reference(site):
    answer = await site.browser.ask("GET", "/api/1/openapi.json")
    assert answer.headers["Content-Type"] == "application/json; charset=utf-8"
    reference = Path(__file__).parents[3] / "docs" / "reference" / "openapi.json"
    assert answer.content["paths"] == json.loads(reference.read_text())["paths"]
