"""What everybody may see of a page that other machines can reach."""

import pytest

from eshet.gateway import listening
from eshet.gateway.tokens import Scope
from eshet_rules.config import WebSettings
from eshet_rules.exceptions import PageNotServed
from eshet_rules.web.site import WebPage


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
