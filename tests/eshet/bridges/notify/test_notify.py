"""Notifications: requests to services, errors of services, and secrets in URLs."""

import asyncio
import contextlib
import logging
from pathlib import Path

import pytest
from aiohttp import web

from eshet import Client, ErrorValue
from eshet.bridges.bridge import make_bridge
from eshet.bridges.exceptions import BridgeError
from eshet.bridges.notify.ntfy import NtfyTopic
from eshet.bridges.notify.sender import DEADLINE, MAX_WAITING, without_secrets
from eshet.bridges.settings import NotifySettings, read_bridges
from eshet.server import Server
from eshet.settings.table import TableReader
from tests.support.waiting import until

# apprise imports modules that are deprecated.
pytestmark = pytest.mark.filterwarnings("ignore::DeprecationWarning")


class Service:
    """A service on a real socket, which answers as a test wants it."""

    def __init__(self):
        self.received = []
        self.status = 200
        self.reason = None
        self.answers = asyncio.Event()
        self.answers.set()

    async def handle(self, request):
        body = await request.json()
        authorization = request.headers.get("Authorization")
        self.received.append((request.path, authorization, body))
        await self.answers.wait()
        return web.Response(status=self.status, reason=self.reason)


@pytest.fixture
async def service():
    service = Service()
    app = web.Application()
    app.router.add_post("/{path:.*}", service.handle)
    runner = web.AppRunner(app, shutdown_timeout=0)
    await runner.setup()
    site = web.TCPSite(runner, "127.0.0.1", 0)
    await site.start()
    service.host = f"127.0.0.1:{site._server.sockets[0].getsockname()[1]}"
    yield service
    service.answers.set()
    await runner.cleanup()


@pytest.fixture
async def start(monkeypatch, advance):
    async with Server() as server, contextlib.AsyncExitStack() as stack:

        async def run(url):
            monkeypatch.setenv("ESHET_PHONE_URL", url)
            own = await stack.enter_async_context(Client(server=server, client_id="bridge"))
            client = await stack.enter_async_context(Client(server=server))
            bridge = make_bridge("phone", NotifySettings(), own)
            task = asyncio.ensure_future(bridge.run())

            async def stop():
                task.cancel()
                await asyncio.wait([task])

            stack.push_async_callback(stop)
            await advance(0)

            async def notify(*arguments):
                return await client.action_call("/notify/phone", *arguments)

            return bridge, notify

        yield run


# --- ntfy -------------------------------------------------------------------------------------


async def test_each_notification_is_one_request_to_ntfy(service, start):
    bridge, notify = await start(f"http://{service.host}/house")
    await notify("the door is open")
    await notify("Tür offen", "Haustür ✓", "error")
    assert service.received == [
        ("/", None, {"topic": "house", "message": "the door is open", "priority": 3}),
        (
            "/",
            None,
            {
                "topic": "house",
                "message": "Tür offen",
                "title": "Haustür ✓",
                "priority": 5,
                "tags": ["rotating_light"],
            },
        ),
    ]
    assert bridge.connected


@pytest.mark.parametrize(
    ("user", "header"), [("tk_abc", "Bearer tk_abc"), ("me:p%40ss", "Basic bWU6cEBzcw==")]
)
async def test_ntfy_with_a_token_or_a_password(service, start, user, header):
    _, notify = await start(f"ntfy://{user}@{service.host}/house")
    await notify("hello")
    assert [authorization for _, authorization, _ in service.received] == [header]


@pytest.mark.parametrize(
    ("url", "server", "topic"),
    [
        ("ntfy://MyTopic", "https://ntfy.sh", "MyTopic"),
        ("ntfys://MyTopic", "https://ntfy.sh", "MyTopic"),
        ("ntfy://ntfy.sh/MyTopic", "https://ntfy.sh", "MyTopic"),
        ("ntfys://ntfy.lan/house", "https://ntfy.lan", "house"),
        ("ntfy://ntfy.lan:8080/house", "http://ntfy.lan:8080", "house"),
        ("https://example.org/ntfy/house/", "https://example.org/ntfy", "house"),
    ],
)
def test_urls_of_ntfy(url, server, topic):
    assert NtfyTopic.parse(url) == NtfyTopic(server, topic)


def test_other_urls_are_not_urls_of_ntfy():
    assert NtfyTopic.parse("tgram://123/456") is None


@pytest.mark.parametrize(
    "url", ["https://ntfy.sh/", "ntfy://", "ntfys://host/a/b", "https://ntfy.sh/a?priority=1"]
)
async def test_a_url_of_ntfy_without_one_topic(start, url):
    with pytest.raises(BridgeError, match="has no topic, or more than that") as raised:
        await start(url)
    assert "/a" not in str(raised.value)


async def test_an_error_of_ntfy_is_the_error_of_the_call(service, start, caplog):
    bridge, notify = await start(f"http://{service.host}/secret-topic")
    service.status = 403
    with pytest.raises(ErrorValue, match="ntfy answered 403 Forbidden"):
        await notify("hello")
    assert not bridge.connected
    assert bridge.problem == "ntfy answered 403 Forbidden"
    service.status = 200
    await notify("hello")
    assert bridge.connected
    assert "secret-topic" not in caplog.text


async def test_ntfy_that_cannot_be_reached(start, unused_tcp_port):
    _, notify = await start(f"http://127.0.0.1:{unused_tcp_port}/secret-topic")
    with pytest.raises(ErrorValue, match="can't reach ntfy: Connection refused") as raised:
        await notify("hello")
    assert "secret-topic" not in str(raised.value)


async def test_the_reason_in_an_answer_is_not_repeated(service, start, caplog):
    """It is a text of the server, which may repeat the topic or the token."""
    bridge, notify = await start(f"http://{service.host}/secret-topic")
    service.reason = "no secret-topic"
    for service.status, reason in ((500, "500 Internal Server Error"), (599, "599")):
        with pytest.raises(ErrorValue, match=f"ntfy answered {reason}"):
            await notify("hello")
        assert bridge.problem == f"ntfy answered {reason}"
    assert "secret-topic" not in caplog.text


@pytest.mark.parametrize("url", ["http://secret%0Atoken@HOST/topic", f"http://{'secret' * 20}/t"])
async def test_a_url_that_no_request_can_have(service, start, url):
    bridge, notify = await start(url.replace("HOST", service.host))
    with pytest.raises(ErrorValue, match="the host or the token in its URL is not valid") as raised:
        await notify("hello")
    assert "secret" not in f"{raised.value} {bridge.problem}"
    assert not bridge.connected


async def test_a_service_without_an_answer_is_an_error_and_few_notifications_wait(
    service, start, advance
):
    _, notify = await start(f"http://{service.host}/house")
    service.answers.clear()
    sending = [asyncio.ensure_future(notify(str(each))) for each in range(MAX_WAITING)]
    await until(lambda: len(service.received) == MAX_WAITING, advance)
    with pytest.raises(ErrorValue, match=f"{MAX_WAITING} notifications wait already"):
        await notify("one more")
    await advance(DEADLINE)
    failed = await asyncio.gather(*sending, return_exceptions=True)
    assert {str(each.value) for each in failed} == {f"ntfy did not answer in {DEADLINE:g} s"}
    service.answers.set()
    await notify("now it does")


@pytest.mark.parametrize(
    ("arguments", "error"),
    [
        ([], "message: None is not allowed: write a text"),
        ([""], "message: '' is not allowed"),
        ([5], "message: 5 is not allowed"),
        (["a", 5], "title: 5 is not allowed"),
        (["a", "b", "fatal"], "level: 'fatal' is not allowed: write one of 'info', 'success', "),
        (["a", "b", []], "level: \\[\\] is not allowed"),
    ],
)
async def test_wrong_arguments_are_not_sent(service, start, arguments, error):
    _, notify = await start(f"http://{service.host}/house")
    with pytest.raises(ErrorValue, match=error):
        await notify(*arguments)
    assert service.received == []


# --- apprise ----------------------------------------------------------------------------------


async def test_apprise_sends_to_other_services(service, start):
    bridge, notify = await start(f"json://{service.host}/key")
    await notify("hello", "title", "error")
    await notify("again")
    bodies = [body for _, _, body in service.received]
    assert [(body["title"], body["message"], body["type"]) for body in bodies] == [
        ("title", "hello", "failure"),
        ("", "again", "info"),
    ]
    assert bridge.connected


@contextlib.contextmanager
def logged():
    """Collect the records of the root logger; caplog also shows loggers that do not propagate."""
    messages = []
    handler = logging.Handler()
    handler.emit = lambda record: messages.append(record.getMessage())
    root = logging.getLogger()
    level = root.level
    root.addHandler(handler)
    root.setLevel(logging.DEBUG)
    logging.getLogger("aiohttp.access").setLevel(logging.ERROR)  # of the service of this test
    try:
        yield messages
    finally:
        root.removeHandler(handler)
        root.setLevel(level)


async def test_the_reason_of_apprise_has_no_secrets(service, start):
    service.status = 401
    with logged() as messages:
        await refused_by_apprise(service, start)
    assert any("error=401" in each for each in messages)
    assert not any("secret-key" in each or "password1" in each for each in messages)


async def refused_by_apprise(service, start):
    bridge, notify = await start(f"json://me:password1@{service.host}/secret-key")
    with pytest.raises(ErrorValue, match=r"the service did not accept it: .*error=401"):
        await notify("hello")
    assert not bridge.connected


async def test_a_url_that_apprise_does_not_know(start, advance):
    with logged() as messages:
        bridge, notify = await start("tgrm://secret-key/")
        await until(lambda: bridge.problem != "", advance)
        with pytest.raises(ErrorValue, match="apprise does not know a service with this URL"):
            await notify("hello")
    assert not any("secret-key" in each for each in messages)
    assert any(each.startswith("bridge phone: apprise does not know") for each in messages)


async def test_a_late_notification_is_not_sent_by_apprise(service, start, advance):
    _, notify = await start(f"json://{service.host}/key")
    service.answers.clear()
    sending = [asyncio.ensure_future(notify(each)) for each in ("first", "second")]
    await until(lambda: len(service.received) == 1, advance)
    await advance(DEADLINE)
    for each in sending:
        with pytest.raises(ErrorValue, match="has not accepted it in 30 s; it may still do so"):
            await each
    service.answers.set()
    await notify("third")
    assert [body["message"] for _, _, body in service.received] == ["first", "third"]


async def test_apprise_is_an_extra(start, monkeypatch):
    monkeypatch.setattr("importlib.util.find_spec", lambda name: None)
    with pytest.raises(BridgeError, match=r"needs the library apprise: .*eshet-rules\[notify\]"):
        await start("tgram://123/456")


def test_parts_of_a_url_are_removed_from_a_text():
    url = "tgram://12345:ab%20cd@host.example/chat?key=k1"
    text = "POST to host.example with 12345 and 'ab cd' failed in chat, k1"
    assert without_secrets(text, url) == "POST to … with … and '…' failed in …, k1"


# --- settings ---------------------------------------------------------------------------------


def test_a_url_in_the_configuration_is_refused():
    reader = TableReader("", Path("eshet-rules.toml"))
    read_bridges(reader, {"bridges": {"phone": {"type": "notify", "url": "ntfy://secret-topic"}}})
    [problem] = reader.problems
    assert "write it in another file, url_file, or in the environment variable ESHET_PHONE_URL" in (
        str(problem)
    )
    assert "secret-topic" not in str(problem)


def test_the_url_is_in_a_file(tmp_path):
    (tmp_path / "url").write_text("ntfy://topic\n")
    assert NotifySettings(url_file=tmp_path / "url").url("phone") == "ntfy://topic"


async def test_a_missing_url_is_an_error(monkeypatch):
    monkeypatch.delenv("ESHET_PHONE_URL", raising=False)
    async with Server() as server, Client(server=server) as client:
        with pytest.raises(BridgeError, match="the bridge phone has no URL"):
            make_bridge("phone", NotifySettings(), client)
