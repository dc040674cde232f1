"""A small house with a running `eshet-rules run --web`, and a browser to look at it."""

import shutil
import time
from collections.abc import Callable, Iterator
from contextlib import ExitStack, contextmanager
from pathlib import Path
from typing import Any

from eshet.gateway.tokens import Scope, TokenFile
from eshet.sync_client import SyncClient
from eshet_rules.runner.state_folder import state_folder
from tests.support.processes import line, running
from tests.support.rules import Folder
from tests.support.runner import Runner, runner

__all__ = ["CHROMIUM", "House", "house"]

CHROMIUM = shutil.which("chromium") or shutil.which("chromium-browser")

HALL = '''\
"""The hall: a lamp that follows motion while it is dark."""

from eshet import yarp
from eshet_rules import rule

minutes = 2  # how long the lamp stays on


@rule
async def hall_light():
    """Turn the lamp on after motion, and off when there was none for a while."""
    motion = await yarp.event_listen("/house/hall/motion")
    lux = await yarp.state_observe("/house/hall/lux")
    lit = yarp.hold(motion, minutes * 60) & (lux < 40)
    await yarp.drive("/house/hall/light", yarp.when(100, lit, otherwise=0), override="2h")


@rule
async def hall_dark():
    lux = await yarp.state_observe("/house/hall/lux")
    await yarp.state_register("/house/hall/dark", lux < 40)


@rule
async def hall_heating():
    temperature = await yarp.state_observe("/house/hall/temperature")
    await yarp.set_value("/house/hall/valve", yarp.hysteresis(temperature, 19.5, 20.5))
'''

GARDEN = """\
from eshet import yarp
from eshet_rules import rule


@rule
async def irrigation():
    moisture = await yarp.state_observe("/house/garden/moisture")
    await yarp.state_regster("/house/garden/valve", moisture < 10)


@rule
async def lamp():
    dark = await yarp.state_observe("/house/hall/dark")
    await yarp.set_value("/house/garden/lamp", dark)


@rule
async def fountain():
    await yarp.state_register("/house/garden/fountain", False)
"""

STATES: dict[str, Any] = {
    "/house/hall/light": 0,
    "/house/hall/lux": 21.5,
    "/house/hall/temperature": 20.12,
    "/house/hall/valve": True,
    "/house/hall/mode": "night",
    "/house/bath/humidity": 61,
    "/house/garden/lamp": False,
    "/house/garden/moisture": 8,
    "/house/kitchen/blob": b"\x00\xff\x10",
    "/house/kitchen/energy": {"total": 1234.5, "phases": [1, 2, 3]},
}


class House:
    """The running house, as the tests use it.

    Attributes:
        url: of the page.
        server: the address of the ESHET server.
        devices: a client that provides the states of `STATES`.
        folder: the rules.
        tokens: the file of tokens.
        token: one that may act.
        reading_token: one that may only read.
        process: the runner.
    """

    def __init__(self, folder: Folder, server: str, state: Path, devices: SyncClient) -> None:
        self.folder = folder
        self.server = server
        self.devices = devices
        self.url = ""
        self.process: Runner
        self._state = state
        self.stop_server: Callable[[], None]
        place = state_folder(state, folder.path)
        place.mkdir(parents=True, exist_ok=True, mode=0o700)
        self.tokens = TokenFile(place / "web-tokens.json")
        self.token = self.tokens.add("tester", Scope.ACT, time.time())
        self.reading_token = self.tokens.add("reader", Scope.READ, time.time())

    @contextmanager
    def running(self, address: str = "127.0.0.1:0") -> Iterator[None]:
        """Run the rules, and serve the page."""
        options = ["--state-dir", str(self._state), "--web", address]
        with runner(self.folder, self.server, *options) as self.process:
            self.url = self.process.wait_for("page.served")["url"]
            yield

    @property
    def address(self) -> str:
        """Where the page is served."""
        return self.url.removeprefix("http://").rstrip("/")

    def change(self, path: str, value: Any) -> None:
        """Let a device report a value."""
        self.devices.state_changed(path, value)


@contextmanager
def house(folder: Path) -> Iterator[House]:
    """Run a server, devices and rules, within a `with` statement."""
    rules = Folder(folder / "rules")
    rules.write("hall.py", HALL)
    rules.write("garden.py", GARDEN)
    rules.write("eshet-rules.toml", '[rules."garden.fountain"]\nenabled = false\n')
    rules.write("porch.py", "from eshet_rules import rule\n\n\ndef broken(:\n")
    state = folder / "state"
    state.mkdir(mode=0o700)
    with ExitStack() as stack:
        process = stack.enter_context(running("eshet", "serve", "--listen", "127.0.0.1:0"))
        server = line(process).rpartition(" ")[2]
        devices = stack.enter_context(SyncClient(server=server))
        for path, value in STATES.items():
            devices.state_register(path, _setter(devices, path))
            devices.state_changed(path, value)
        devices.event_register("/house/hall/motion")
        devices.action_register("/house/hall/ring", lambda *given: f"rung {given}")
        home = House(rules, server, state, devices)
        home.stop_server = process.kill
        yield home


def _setter(devices: SyncClient, path: str) -> Any:
    return lambda value: devices.state_changed(path, value)
