"""Attacks on the gateway: each is refused, and the log says who tried what."""

import asyncio
import contextlib
import json
import logging
import time
import zlib
from collections.abc import AsyncIterator
from pathlib import Path
from typing import Any

import pytest
from aiohttp import WSMsgType, WSServerHandshakeError

from eshet.gateway.headers import SECURITY_HEADERS
from eshet.gateway.limits import HttpLimits
from tests.conftest import Advance
from tests.support.gateway import GatewayHouse, gateway_house
from tests.support.http import Answer, Wire, exchange

MANY = 1000
"""The connections of an attack that only holds them."""


@pytest.fixture
async def light(house: GatewayHouse, caplog: pytest.LogCaptureFixture) -> AsyncIterator[list[Any]]:
    """The values to which a lamp was set; the tests end with none that they did not want."""
    caplog.set_level(logging.WARNING, "eshet.gateway")
    values: list[Any] = []
    await (await house.owner.state_register("/light", values.append)).changed(False)
    yield values
    assert values == []


def refused(caplog: pytest.LogCaptureFixture, what: str, why: str) -> bool:
    """Whether the log says that a request from this machine was refused."""
    return f"refused {what} from 127.0.0.1: {why}" in caplog.messages


# --- a page of another site ---------------------------------------------------------------------


@pytest.mark.parametrize(
    ("kind", "body"),
    [
        ("application/x-www-form-urlencoded", b"true="),
        ("text/plain", b"true"),
        ("multipart/form-data; boundary=x", b"--x--"),
    ],
)
async def test_a_form_of_another_site(
    house: GatewayHouse,
    light: list[Any],
    caplog: pytest.LogCaptureFixture,
    kind: str,
    body: bytes,
) -> None:
    cookie = "eshet_token=" + house.actor.removeprefix("Bearer ")
    answer = await house.post(
        "/set/light",
        raw=body,
        Content_Type=kind,
        Origin="https://evil.example",
        Sec_Fetch_Site="cross-site",
        Authorization="",
        Cookie=cookie,
    )
    assert answer.status == 403
    assert refused(caplog, "POST /set/light", "403 foreign_origin")
    without_headers = await house.post("/set/light", raw=body, Content_Type=kind)
    assert without_headers.status == 415
    assert refused(caplog, "POST /set/light", "415 wrong_content_type")


@pytest.mark.parametrize("origin", ["https://evil.example", "null", "http://localhost:5000"])
async def test_a_web_socket_of_another_site(
    house: GatewayHouse, light: list[Any], caplog: pytest.LogCaptureFixture, origin: str
) -> None:
    headers = {"Origin": origin, "Authorization": house.actor}
    with pytest.raises(WSServerHandshakeError, match="403"):
        await house.session.ws_connect(f"{house.url}/ws", headers=headers)
    assert refused(caplog, "GET /ws", "403 foreign_origin")


async def test_no_answer_lets_another_site_read(house: GatewayHouse, light: list[Any]) -> None:
    origin = "https://evil.example"
    answers = [
        await house.get("/get/light", Origin=origin),
        await exchange(house.port, "OPTIONS", "/set/light", Origin=origin),
    ]
    for answer in answers:
        assert not [name for name in answer.headers if name.startswith("access-control")]
        assert answer.headers["cross-origin-resource-policy"] == "same-origin"
    assert answers[1].status == 405


async def test_dns_rebinding(
    house: GatewayHouse, light: list[Any], caplog: pytest.LogCaptureFixture
) -> None:
    evil = f"evil.example:{house.port}"
    assert (await house.get("/get/light", Host=evil)).status == 421
    assert refused(caplog, "GET /get/light", "421 wrong_host")
    posted = await house.post("/set/light", True, Host=evil, Origin=f"http://{evil}")
    assert posted.status == 421
    with pytest.raises(WSServerHandshakeError, match="421"):
        await house.session.ws_connect(f"{house.url}/ws", headers={"Host": evil})


async def test_two_hosts(house: GatewayHouse, light: list[Any]) -> None:
    wire = await Wire.open(house.port)
    wire.send(
        f"GET /get/light HTTP/1.1\r\nHost: localhost:{house.port}\r\nHost: evil.example\r\n\r\n"
    )
    assert (await wire.answer()).status in (400, 421)
    wire.close()


# --- tokens -------------------------------------------------------------------------------------


async def test_guessing_tokens(
    house: GatewayHouse, light: list[Any], caplog: pytest.LogCaptureFixture, advance: Advance
) -> None:
    async def guess(number: int) -> Answer:
        return await house.post("/set/light", True, Authorization=f"Bearer eshet_{number}")

    answers = [await guess(number) for number in range(50)]
    assert {answer.status for answer in answers[:5]} == {401}
    assert {answer.status for answer in answers[5:]} == {429}
    assert answers[-1].headers["retry-after"] == "60"
    assert (await house.get("/get/light", Authorization=house.reader)).json is False
    assert refused(caplog, "POST /set/light", "401 wrong_token")
    assert refused(caplog, "POST /set/light", "429 too_many_wrong_tokens")
    assert len(caplog.records) == 2
    await advance(130)
    assert (await guess(50)).status == 401


# --- sizes --------------------------------------------------------------------------------------


async def test_a_body_of_ten_megabytes(
    house: GatewayHouse, light: list[Any], caplog: pytest.LogCaptureFixture
) -> None:
    wire = await Wire.open(house.port)
    wire.send(
        f"POST /set/light HTTP/1.1\r\nHost: localhost:{house.port}\r\nAuthorization: {house.actor}"
        "\r\nContent-Type: application/json\r\nContent-Length: 10000000\r\n\r\n"
    )
    assert (await wire.answer()).status == 413
    wire.close()
    assert refused(caplog, "POST /set/light", "413 too_long")


async def test_a_body_of_ten_megabytes_in_chunks(
    house: GatewayHouse, light: list[Any], caplog: pytest.LogCaptureFixture
) -> None:
    wire = await Wire.open(house.port)
    wire.send(
        f"POST /set/light HTTP/1.1\r\nHost: localhost:{house.port}\r\nAuthorization: {house.actor}"
        "\r\nContent-Type: application/json\r\nTransfer-Encoding: chunked\r\n\r\n"
    )
    for _ in range(10):
        wire.send(b"100000\r\n" + b" " * 0x100000 + b"\r\n")
    assert (await wire.answer()).status == 413
    wire.close()
    assert refused(caplog, "POST /set/light", "413 too_long")


async def test_a_compressed_body_is_not_unpacked(house: GatewayHouse, light: list[Any]) -> None:
    bomb = zlib.compress(b" " * 10_000_000)
    answer = await house.post("/set/light", raw=bomb, Content_Encoding="deflate")
    assert answer.status == 400


async def test_a_web_socket_message_of_ten_megabytes(
    house: GatewayHouse, light: list[Any], caplog: pytest.LogCaptureFixture
) -> None:
    socket = await house.greeted()
    with contextlib.suppress(ConnectionError):  # the gateway does not read all of it
        await socket.response.send_str(json.dumps(["set", 1, "/light", "x" * 10_000_000]))
    assert await socket.closed() in (1006, 1009)
    assert "from 127.0.0.1: WebSocket error" in caplog.text


@pytest.mark.parametrize("length", [9_000, 1_000_000])
async def test_a_long_header(house: GatewayHouse, light: list[Any], length: int) -> None:
    wire = await Wire.open(house.port)
    wire.send(f"GET /get/light HTTP/1.1\r\nX: {'x' * length}\r\n")
    assert (await wire.answer()).status == 400
    wire.close()


# --- slow requests ------------------------------------------------------------------------------


async def test_a_header_sent_byte_by_byte(
    house: GatewayHouse, light: list[Any], caplog: pytest.LogCaptureFixture, advance: Advance
) -> None:
    loop = asyncio.get_running_loop()
    start = loop.time()
    wire = await Wire.open(house.port)
    ended = asyncio.ensure_future(wire.reader.read())
    for byte in b"GET /get/light HTTP/1.1\r\nHost: " + b"x" * 100:
        if ended.done():
            break
        wire.send(bytes([byte]))
        await advance(1)
    assert b" 408 " in await ended
    assert loop.time() - start <= house.access.limits.idle + 2
    wire.close()
    slow = "the header of the request did not come in time"
    assert refused(caplog, "a request", slow)


async def test_a_body_that_never_ends(
    house: GatewayHouse, light: list[Any], caplog: pytest.LogCaptureFixture, advance: Advance
) -> None:
    loop = asyncio.get_running_loop()
    start = loop.time()
    wire = await Wire.open(house.port)
    ended = asyncio.ensure_future(wire.reader.read())
    wire.send(
        f"POST /set/light HTTP/1.1\r\nHost: localhost:{house.port}\r\nAuthorization: {house.actor}"
        "\r\nContent-Type: application/json\r\nContent-Length: 1000\r\n\r\n"
    )
    while not ended.done():
        wire.send(b" ")
        await advance(1)
    assert b" 408 " in await ended
    assert loop.time() - start <= house.access.limits.body_time + 3
    wire.close()
    assert refused(caplog, "POST /set/light", "408 too_slow")


async def test_the_body_of_a_get_that_never_ends(
    house: GatewayHouse, light: list[Any], advance: Advance
) -> None:
    wire = await Wire.open(house.port)
    wire.send(
        f"GET /get/light HTTP/1.1\r\nHost: localhost:{house.port}\r\nContent-Length: 1000\r\n\r\n"
    )
    assert (await wire.answer()).json is False
    await advance(2)
    await wire.ended()


@pytest.mark.parametrize("body", [b"", b" " * 10, b"x"])
async def test_requests_that_are_given_up_are_not_errors(
    house: GatewayHouse,
    light: list[Any],
    caplog: pytest.LogCaptureFixture,
    advance: Advance,
    body: bytes,
) -> None:
    for aborts in (True, False):
        wire = await Wire.open(house.port)
        wire.send(
            f"POST /set/light HTTP/1.1\r\nHost: localhost:{house.port}\r\nAuthorization: "
            f"{house.actor}\r\nContent-Type: application/json\r\nContent-Length: 1000\r\n\r\n"
        )
        wire.send(body)
        await advance(0)
        if aborts:
            wire.close()
        else:
            wire.writer.write_eof()
        await advance(25)
        wire.close()
    assert not [record for record in caplog.records if record.levelno >= logging.ERROR]


async def test_an_answer_that_is_not_read(
    house: GatewayHouse, light: list[Any], advance: Advance
) -> None:
    await house.owner.action_register("/big", lambda: "x" * 65_000)
    wire = await Wire.open(house.port)
    wire.writer.transport.pause_reading()  # type: ignore[attr-defined]
    request = (
        f"POST /call/big HTTP/1.1\r\nHost: localhost:{house.port}\r\nAuthorization: {house.actor}"
        "\r\nContent-Type: application/json\r\nContent-Length: 2\r\n\r\n[]"
    )
    wire.send(request * 200)
    await advance(60)
    wire.writer.transport.resume_reading()  # type: ignore[attr-defined]
    assert len(await wire.ended()) < 200 * 65_000


# --- many connections ---------------------------------------------------------------------------


async def test_a_thousand_idle_connections(
    house: GatewayHouse, light: list[Any], advance: Advance
) -> None:
    wires = [await Wire.open(house.port) for _ in range(MANY)]
    await advance(0)
    assert (await house.get("/get/light")).json is False
    await advance(house.access.limits.idle + 1)
    for wire in wires:
        assert await wire.ended() == b""


async def test_connections_that_are_used_are_limited(
    tmp_path: Path, caplog: pytest.LogCaptureFixture, advance: Advance
) -> None:
    async with gateway_house(tmp_path, HttpLimits(per_peer=5)) as house:
        sockets = [await house.greeted(token="") for _ in range(5)]
        with pytest.raises(WSServerHandshakeError, match="503"):
            await house.greeted(token="")
        assert refused(caplog, "a connection", "too many connections")
        await sockets[0].response.close()
        await advance(0)
        assert await (await house.greeted(token="")).ask("ping", 1)


async def test_a_flood_of_one_client_does_not_stop_others(
    house: GatewayHouse, light: list[Any]
) -> None:
    flooding = await house.greeted(token="")
    other = await house.greeted(token="")
    text = json.dumps(["get", 1, "/light"])
    for _ in range(5000):
        await flooding.response.send_str(text)
    assert await other.ask("get", 1, "/light") == ["reply", 1, ["ok", False]]
    for _ in range(5000):
        assert (await flooding.receive())[2] == ["ok", False]


# --- JSON ---------------------------------------------------------------------------------------


@pytest.mark.parametrize(
    "body",
    [
        b"[" * 500_000,
        b"[" * 200 + b"]" * 200,
        b'{"a":' * 80_000,
        b'{"a": 1, "a": 2}',
        b'{"$map": [[1, 2], [1.0, 3]]}',
        b'"\\ud800"',
        b'{"\\udfff": 1}',
        b"1" * 400_000,
        b"-" + b"9" * 30,
        b'{"$int": "' + b"9" * 400_000 + b'"}',
        b"1e999",
        b"NaN",
        b"\xef\xbb\xbf1",
        b"\xff\xfe1\x00",
        b"\x00",
    ],
)
async def test_bad_json_is_refused_at_once(
    house: GatewayHouse, light: list[Any], body: bytes
) -> None:
    start = time.process_time()
    answer = await house.post("/set/light", raw=body)
    assert answer.status == 400
    assert answer.body.startswith(b"error at character ")
    assert len(answer.body) < 300
    assert time.process_time() - start < 1
    socket = await house.greeted()
    text = body.decode(errors="replace")
    await socket.response.send_str(f'["set", 1, "/light", {text}]')
    assert await socket.closed() == 1011


# --- paths --------------------------------------------------------------------------------------


@pytest.mark.parametrize(
    "target",
    [
        "/get/../../etc/passwd",
        "/get/..%2f..%2fetc%2fpasswd",
        "/get/%2e%2e/%2e%2e/etc/passwd",
        "/get//etc/passwd",
        "/get/a%00b",
        "/get/a%0d%0aSet-Cookie:%20x=1",
        "/get/a%0aX:y",
        "/get/%c0%ae%c0%ae/",
        "/../get/light",
        "/static/../../tokens.json",
        "http://evil.example/get/light/../x",
        "/events?state=/a%0d%0ab",
    ],
)
async def test_strange_paths(house: GatewayHouse, light: list[Any], target: str) -> None:
    answer = await house.get(target)
    assert answer.status in (400, 404, 520)
    assert "set-cookie" not in answer.headers
    assert "x" not in answer.headers
    assert b"root:" not in answer.body
    for name, value in SECURITY_HEADERS.items():
        assert answer.headers[name.lower()] == value


@pytest.mark.parametrize(
    "line",
    [
        "GET /get/light HTTP/1.1\nHost: evil",
        "GET /get/li ght HTTP/1.1",
        "GET /get/\x00 HTTP/1.1",
        "GET /get/light HTTP/9.9",
        "GET /get/light HTTP/1.1\r\nContent-Length: 1\r\nTransfer-Encoding: chunked",
        "GET /get/light HTTP/1.1\r\nContent-Length: -1",
        "GET /get/light HTTP/1.1\r\nX\x00: y",
        "\x16\x03\x01\x02\x00",
    ],
)
async def test_what_is_not_http(
    house: GatewayHouse, light: list[Any], caplog: pytest.LogCaptureFixture, line: str
) -> None:
    wire = await Wire.open(house.port)
    wire.send(f"{line}\r\nHost: localhost:{house.port}\r\n\r\n")
    answer = await wire.answer()
    assert answer.status == 400
    for name, value in SECURITY_HEADERS.items():
        assert answer.headers[name.lower()] == value
    wire.close()
    assert "from 127.0.0.1: it is not valid HTTP" in caplog.text
    assert all(message.isprintable() for message in caplog.messages)


async def test_a_path_can_not_write_to_the_log(
    house: GatewayHouse, light: list[Any], caplog: pytest.LogCaptureFixture
) -> None:
    await house.get("/get/%1b%5b2J%0d%0aforged", Host="evil.example")
    [message] = caplog.messages
    assert message.isprintable()
    assert "\\x1b[2J\\r\\nforged" in message


# --- the headers of every kind of answer --------------------------------------------------------


async def test_the_headers_of_every_kind_of_answer(house: GatewayHouse, light: list[Any]) -> None:
    answers = [
        await house.get("/get/light"),
        await house.get("/get/none"),
        await house.get("/none"),
        await house.get("/set/light"),
        await house.get("/ls"),
        await house.get("/access"),
        await house.get("/events"),
        await house.get("/ws"),
        await house.get("/get/light", Host="evil.example"),
        await house.get("/get/light", Authorization="Bearer x"),
        await house.post("/set/light", raw=b"x"),
        await house.post("/set/light", Authorization=""),
        await house.post("/set/light", Content_Type="text/plain"),
        await house.post("/login", {"token": house.actor.removeprefix("Bearer ")}),
        await house.post("/logout", {}),
    ]
    assert {answer.status for answer in answers} == {200, 400, 401, 404, 405, 415, 421, 520}
    for answer in answers:
        for name, value in SECURITY_HEADERS.items():
            assert answer.headers[name.lower()] == value
        assert answer.headers["cache-control"] == "no-store"


async def test_the_headers_of_a_web_socket(house: GatewayHouse) -> None:
    socket = await house.greeted(token="")
    headers = socket.response._response.headers
    for name, value in SECURITY_HEADERS.items():
        assert headers[name] == value
    await socket.response.close()
    assert (await socket.response.receive()).type is WSMsgType.CLOSED
