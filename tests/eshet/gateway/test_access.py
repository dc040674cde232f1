"""Which requests are answered, and what they may do."""

import json
from collections.abc import AsyncIterator
from pathlib import Path
from typing import Any

import pytest
from aiohttp import web

from eshet.address import Address
from eshet.gateway.access import Access, Scope, open_to_all, require
from eshet.gateway.answers import json_answer
from eshet.gateway.headers import SECURITY_HEADERS
from eshet.gateway.listening import serve
from eshet.gateway.tokens import TokenFile
from tests.support.http import Answer, Wire, exchange

PAGE = "<script>"


async def _read(request: web.Request) -> web.Response:
    return json_answer("read")


async def _act(request: web.Request) -> web.Response:
    require(request, Scope.ACT)
    return json_answer(["acted", (await request.read()).decode()])


@open_to_all
async def _page(request: web.Request) -> web.Response:
    return web.Response(text="page", headers={"Cache-Control": "immutable"})


async def _broken(request: web.Request) -> web.Response:
    raise RuntimeError("secret")


ROUTES = [
    web.get("/read", _read),
    web.post("/act", _act),
    web.get("/", _page),
    web.get("/broken", _broken),
]


class Site:
    def __init__(self, tokens: TokenFile, access: Access) -> None:
        self.tokens = tokens
        self.access = access
        self.reader = tokens.add("reader", Scope.READ, 0)
        self.actor = tokens.add("actor", Scope.ACT, 0)
        self.port = 0

    async def __call__(self, method: str, target: str, *args: Any, **named: Any) -> Answer:
        return await exchange(self.port, method, target, *args, **named)


async def _site(tmp_path: Path, *, public: bool) -> AsyncIterator[Site]:
    tokens = TokenFile(tmp_path / "tokens.json")
    access = Access(tokens, ["house.example"], ["https://house.example"], public)
    site = Site(tokens, access)
    async with serve(ROUTES, Address("127.0.0.1", 0), access=access) as url:
        site.port = int(url.rpartition(":")[2])
        yield site


@pytest.fixture
async def site(tmp_path: Path) -> AsyncIterator[Site]:
    async for each in _site(tmp_path, public=False):
        yield each


@pytest.fixture
async def public(tmp_path: Path) -> AsyncIterator[Site]:
    async for each in _site(tmp_path, public=True):
        yield each


def bearer(token: str) -> str:
    return f"Bearer {token}"


async def test_reading_on_loopback_needs_no_token(site: Site) -> None:
    assert (await site("GET", "/read")).json == "read"
    assert (await site("GET", "/access")).json == {"read": True, "act": False, "tls": False}


async def test_a_stranger_can_not_send_a_body(site: Site) -> None:
    wire = await Wire.open(site.port)
    wire.send(
        f"POST /act HTTP/1.1\r\nHost: localhost:{site.port}\r\nContent-Type: application/json\r\n"
        "Content-Length: 500000\r\n\r\n"
    )
    assert (await wire.answer()).status == 401
    wire.close()


async def test_acting_needs_a_token_of_its_scope(site: Site) -> None:
    without = await site("POST", "/act", {})
    assert (without.status, without.json["error"]) == (401, "token_needed")
    assert "Authorization: Bearer TOKEN" in without.json["message"]
    assert without.headers["www-authenticate"] == 'Bearer realm="eshet"'
    reader = await site("POST", "/act", {}, Authorization=bearer(site.reader))
    assert (reader.status, reader.json["error"]) == (403, "not_permitted")
    assert "--act" in reader.json["message"]
    actor = await site("POST", "/act", {"a": 1}, Authorization=bearer(site.actor))
    assert actor.json == ["acted", '{"a": 1}']


async def test_reading_a_public_server_needs_a_token(public: Site) -> None:
    assert (await public("GET", "/read")).status == 401
    assert (await public("GET", "/nothing")).status == 401
    assert (await public("GET", "/read", Authorization=bearer(public.reader))).status == 200
    assert (await public("GET", "/access")).json == {"read": False, "act": False, "tls": False}
    assert (await public("GET", "/")).body == b"page"


@pytest.mark.parametrize("header", ["Bearer x", "Basic eDp5", "Bearer", "", "x"])
async def test_a_wrong_token_is_not_taken_for_none(site: Site, header: str) -> None:
    answer = await site("GET", "/read", Authorization=header or " ")
    assert answer.status == 401


async def test_a_removed_token_is_refused_at_once(site: Site) -> None:
    header = bearer(site.actor)
    assert (await site("POST", "/act", Authorization=header)).status == 200
    site.tokens.remove("actor")
    assert (await site("POST", "/act", Authorization=header)).status == 401


async def test_without_tokens_nobody_acts(tmp_path: Path) -> None:
    async with serve(ROUTES, Address("127.0.0.1", 0), access=Access()) as url:
        port = int(url.rpartition(":")[2])
        answer = await exchange(port, "POST", "/act", Authorization="Bearer x")
        assert answer.status == 401
        assert "--http-tokens FILE" in answer.json["message"]
        assert (await exchange(port, "GET", "/read", Authorization="Bearer x")).status == 200


# --- the cookie -------------------------------------------------------------------------------


async def test_a_browser_logs_in_and_out(public: Site) -> None:
    answer = await public("POST", "/login", {"token": public.actor})
    assert answer.json == {"read": True, "act": True, "tls": False}
    cookie, *attributes = answer.headers["set-cookie"].split("; ")
    assert cookie == f"eshet_token={public.actor}"
    assert {"HttpOnly", "SameSite=Strict", "Path=/"} < set(attributes)
    assert "Secure" not in attributes
    assert (await public("POST", "/act", {}, Cookie=cookie)).status == 200
    assert (await public("GET", "/access", Cookie=cookie)).json["act"] is True
    out = await public("POST", "/logout", {}, Cookie=cookie)
    assert out.json == {"read": False, "act": False, "tls": False}
    assert 'eshet_token=""' in out.headers["set-cookie"]
    assert "Max-Age=0" in out.headers["set-cookie"]


@pytest.mark.parametrize("body", [None, {}, {"token": 5}, {"token": "x", "y": 1}, [], "x"])
async def test_only_a_valid_token_logs_in(public: Site, body: Any) -> None:
    answer = await public("POST", "/login", body)
    assert answer.status == (401 if isinstance(body, dict) and "x" in body.values() else 400)
    assert "set-cookie" not in answer.headers


async def test_a_browser_with_an_old_cookie_can_log_in(public: Site) -> None:
    assert (await public("GET", "/", Cookie="eshet_token=old")).status == 200
    assert (await public("GET", "/read", Cookie="eshet_token=old")).status == 401
    assert await public("POST", "/login", {"token": public.reader}, Cookie="eshet_token=old")


# --- wrong tokens -----------------------------------------------------------------------------


@pytest.mark.parametrize("by", ["header", "login", "cookie"])
async def test_guessing_is_slowed_and_right_tokens_stay_right(public: Site, by: str) -> None:
    async def guess(number: int) -> Answer:
        if by == "header":
            return await public("GET", "/read", Authorization=f"Bearer eshet_{number}")
        if by == "login":
            return await public("POST", "/login", {"token": f"eshet_{number}"})
        return await public("GET", "/read", Cookie=f"eshet_token=eshet_{number}")

    answers = [await guess(number) for number in range(8)]
    assert [answer.status for answer in answers] == [401] * 5 + [429] * 3
    assert [answer.headers.get("retry-after") for answer in answers[5:]] == ["2", "4", "8"]
    assert (await public("GET", "/read", Authorization=bearer(public.reader))).status == 200


# --- hosts, origins and types ------------------------------------------------------------------


@pytest.mark.parametrize("host", ["evil.example", "localhost:1", "127.0.0.1:80, evil"])
async def test_another_host_is_refused(site: Site, host: str) -> None:
    answer = await site("GET", "/read", Host=host)
    assert (answer.status, answer.json["error"]) == (421, "wrong_host")
    assert "--http-host" in answer.json["message"]


async def test_a_request_without_a_host_is_refused(site: Site) -> None:
    assert (await site("GET", "/read", Host="")).status == 400
    wire = await Wire.open(site.port)
    wire.send("GET /read HTTP/1.0\r\n\r\n")
    assert (await wire.answer()).status == 421
    wire.close()


async def test_a_configured_host_is_allowed(site: Site) -> None:
    assert (await site("GET", "/read", Host="house.example")).status == 200
    assert (await site("GET", "/read", Host=f"localhost:{site.port}")).status == 200


@pytest.mark.parametrize("origin", ["https://evil.example", "null", "http://localhost:1"])
async def test_a_page_of_another_site_sends_nothing(site: Site, origin: str) -> None:
    answer = await site("POST", "/act", {}, Origin=origin, Authorization=bearer(site.actor))
    assert (answer.status, answer.json["error"]) == (403, "foreign_origin")
    assert not any(name.startswith("access-control") for name in answer.headers)


async def test_the_own_page_and_configured_ones_send(site: Site) -> None:
    header = bearer(site.actor)
    for origin in (f"http://127.0.0.1:{site.port}", "https://house.example"):
        answer = await site(
            "POST", "/act", {}, Origin=origin, Authorization=header, Sec_Fetch_Site="same-origin"
        )
        assert answer.status == 200


@pytest.mark.parametrize("method", ["GET", "POST"])
async def test_cross_site_requests_are_refused_without_an_origin(site: Site, method: str) -> None:
    target = "/act" if method == "POST" else "/read"
    answer = await site(method, target, Sec_Fetch_Site="cross-site", Sec_Fetch_Mode="no-cors")
    assert answer.status == 403
    posted = await site("POST", "/act", Sec_Fetch_Site="cross-site", Sec_Fetch_Mode="navigate")
    assert posted.status == 403


async def test_a_link_on_another_site_leads_here(site: Site) -> None:
    answer = await site("GET", "/", Sec_Fetch_Site="cross-site", Sec_Fetch_Mode="navigate")
    assert answer.status == 200


@pytest.mark.parametrize("kind", ["text/plain", "application/x-www-form-urlencoded", ""])
async def test_a_form_is_refused(site: Site, kind: str) -> None:
    answer = await site(
        "POST", "/act", raw=b'{"a": 1}', Content_Type=kind, Authorization=bearer(site.actor)
    )
    assert (answer.status, answer.json["error"]) == (415, "wrong_content_type")


async def test_the_type_may_have_parameters(site: Site) -> None:
    answer = await site(
        "POST",
        "/act",
        Content_Type="Application/JSON; charset=utf-8",
        Authorization=bearer(site.actor),
    )
    assert answer.status == 200


# --- answers ----------------------------------------------------------------------------------


@pytest.mark.parametrize(
    ("method", "target", "status", "error"),
    [
        ("GET", "/nothing", 404, "not_found"),
        ("GET", "/act", 405, "method_not_allowed"),
        ("DELETE", "/read", 405, "method_not_allowed"),
        ("OPTIONS", "/read", 405, "method_not_allowed"),
        ("GET", "/broken", 500, "internal_error"),
        ("GET", "/a%0d%0ab", 404, "not_found"),
    ],
)
async def test_errors_are_json(
    site: Site, method: str, target: str, status: int, error: str
) -> None:
    answer = await site(method, target)
    assert (answer.status, answer.json["error"]) == (status, error)
    assert answer.json["message"]
    assert b"secret" not in answer.body
    if status == 405:
        assert set(answer.headers["allow"].split(", ")) <= {"GET", "HEAD", "POST"}


@pytest.mark.parametrize(
    ("method", "target", "host"),
    [
        ("GET", "/", "127.0.0.1"),
        ("GET", "/read", "127.0.0.1"),
        ("GET", "/nothing", "127.0.0.1"),
        ("GET", "/broken", "127.0.0.1"),
        ("POST", "/read", "127.0.0.1"),
        ("GET", "/read", "evil.example"),
        ("GET", "/\x01", "127.0.0.1"),
        ("G T", "/", "127.0.0.1"),
        ("POST", "/login", "127.0.0.1"),
    ],
)
async def test_every_answer_has_the_security_headers(
    site: Site, method: str, target: str, host: str
) -> None:
    answer = await site(method, target, Host=f"{host}:{site.port}")
    for name, value in SECURITY_HEADERS.items():
        assert answer.headers[name.lower()] == value
    wanted = "immutable" if answer.body == b"page" else "no-store"
    assert answer.headers["cache-control"] == wanted
    assert not any(name.startswith("access-control") for name in answer.headers)


async def test_an_application_of_its_own_is_served_alike(tmp_path: Path) -> None:
    app = web.Application()
    app.add_routes(ROUTES)
    async with serve(app, Address("localhost", 0), access=Access()) as url:
        port = int(url.rpartition(":")[2])
        assert (await exchange(port, "POST", "/act", {})).status == 401
        assert (await exchange(port, "GET", "/access")).status == 200


async def test_an_error_text_is_json_of_any_name(site: Site) -> None:
    answer = await site("GET", "/%ff%22%3cscript%3e")
    assert answer.status == 404
    assert json.loads(answer.body)
