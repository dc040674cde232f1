"""A runner with its page, and a browser's requests."""

import asyncio
import contextlib
import json
from dataclasses import dataclass, field
from typing import Any

import aiohttp
import pytest

from eshet import Client
from eshet.gateway.tokens import Scope, TokenFile
from eshet.server import Server
from eshet_rules.audit.recorder import Recorder
from eshet_rules.audit.records.schema import check
from eshet_rules.audit.redaction import Redaction
from eshet_rules.config import Configuration, ConfigurationFile, WebSettings
from eshet_rules.logs import make_logger
from eshet_rules.runner.main import run
from eshet_rules.runner.state_folder import WEB_TOKENS, state_folder
from eshet_rules.web.site import WebPage
from tests.support.rules import Log
from tests.support.waiting import until


@dataclass
class Answer:
    status: int
    content: Any
    headers: Any = field(repr=False)


class Browser:
    """Sends requests to the page, with or without a token."""

    def __init__(self, session: aiohttp.ClientSession, url: str, token: str = "") -> None:
        self.session = session
        self.url = url
        self.token = token

    def with_token(self, token: str) -> "Browser":
        return Browser(self.session, self.url, token)

    async def get(self, path: str, /, **query: str) -> Any:
        """Return the content of a successful answer."""
        answer = await self.ask("GET", f"/api/1/{path}", params=query)
        assert answer.status == 200, answer
        return answer.content

    async def post(self, path: str, /, **body: Any) -> Answer:
        return await self.ask("POST", f"/api/1/{path}", json=body)

    async def ask(self, method: str, path: str, **options: Any) -> Answer:
        headers = {"Authorization": f"Bearer {self.token}"} if self.token else {}
        async with self.session.request(
            method, self.url + path, headers=headers, **options
        ) as answer:
            text = await answer.text()
            is_json = answer.content_type == "application/json"
            return Answer(answer.status, json.loads(text) if is_json else text, answer.headers)

    @contextlib.asynccontextmanager
    async def live(self):
        headers = {"Authorization": f"Bearer {self.token}"} if self.token else {}
        async with self.session.ws_connect(f"{self.url}/api/1/live", headers=headers) as socket:
            assert "hello" in await socket.receive_json()
            yield socket


class Site:
    """A runner with its page."""

    def __init__(self, folder, server, tmp_path, advance) -> None:
        self.folder = folder
        self.server = server
        self.advance = advance
        self.state = tmp_path / "state"
        self.log = Log()
        self.browser: Browser
        self.running: asyncio.Task[int]

    @property
    def tokens(self) -> TokenFile:
        return TokenFile(state_folder(self.state, self.folder.path) / WEB_TOKENS)

    async def until_logged(self, event: str, count: int = 1) -> None:
        """Wait until an event was logged so many times; a saved file is found by a thread."""
        await until(lambda: self.log.events().count(event) >= count, self.advance, 0.001)

    def token(self, scope: Scope = Scope.ACT, name: str = "phone") -> str:
        return self.tokens.add(name, scope, 0.0)

    @contextlib.asynccontextmanager
    async def serving(
        self,
        configuration: Configuration | None = None,
        settings: WebSettings | None = None,
        *,
        insecure: bool = False,
    ):
        settings = settings or WebSettings(address="127.0.0.1:0", insecure=insecure)
        configuration = configuration or Configuration()
        recorder = Recorder(Redaction(configuration.log.redact))
        self.log.logger = make_logger(self.log.stream, "json", recorder=recorder)
        place = state_folder(self.state, self.folder.path)
        page = WebPage(settings, place / WEB_TOKENS)
        file = self.folder.path / "eshet-rules.toml"
        self.running = asyncio.create_task(
            run(
                self.folder.path,
                self.log.logger,
                server=self.server,
                state=self.state,
                configuration=configuration,
                file=ConfigurationFile(file),
                recorder=recorder,
                page=page,
            )
        )
        try:
            await self.advance(2)
            async with aiohttp.ClientSession() as session:
                url = self.log.find("page.served")["url"].replace("//0.0.0.0:", "//127.0.0.1:")
                self.browser = Browser(session, url)
                yield self
        finally:
            self.running.cancel()
            await asyncio.wait([self.running])
            for record in self.log.records:
                check(record)


@pytest.fixture
async def server():
    async with Server() as server:
        yield server


@pytest.fixture
async def outside(server):
    """A client that stands for the devices of the house."""
    async with Client(server=server, client_id="outside") as client:
        yield client


@pytest.fixture
def stopped_site(folder, server, tmp_path, advance):
    return Site(folder, server, tmp_path, advance)


HALL = """
from eshet import yarp
from eshet_rules import rule

@rule
async def light():
    motion = await yarp.event_listen("/hall/motion")
    lux = await yarp.state_observe("/hall/lux")
    moved = yarp.len(yarp.time_window(motion, 30)) > 0
    await yarp.set_value("/hall/light", yarp.no_repeat(moved & (lux < 40)))
"""


@pytest.fixture
async def site(stopped_site, folder, outside):
    """A page of a house with a rule that sets a light."""
    folder.write("hall.py", HALL)
    await outside.event_register("/hall/motion")
    await outside.state_register("/hall/lux")
    await outside.state_changed("/hall/lux", 25)
    lamp = await outside.state_register("/hall/light", lambda value: lamp.changed(value))
    await lamp.changed(False)
    async with stopped_site.serving() as site:
        yield site
