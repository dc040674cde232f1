"""A real Home Assistant, mosquitto, a server, and a runner with a bridge to both."""

import os
import shutil
from collections.abc import Callable, Iterator
from pathlib import Path
from queue import SimpleQueue
from typing import Any

import pytest

from eshet.sync_client import SyncClient
from tests.support.homeassistant import HomeAssistant, homeassistant, installed_in
from tests.support.mosquitto import mosquitto
from tests.support.processes import line, running
from tests.support.rules import Folder

INSTALLED = os.environ.get("ESHET_HOMEASSISTANT")
"""The folder of the installation."""

RULES = Path(__file__).parents[2] / "rules"

CONFIGURATION = """
[bridges.ha]
type = "homeassistant"
url = "{url}"
token_file = "token"

[bridges.broker]
type = "mqtt"
broker = "mqtt://127.0.0.1:{port}"

[bridges.broker.publish."/house/thermostat/target"]
settable = true
min = 5
max = 30
step = 0.5
unit = "°C"
"""


class House:
    """The system under test.

    Attributes:
        ha: the Home Assistant.
        client: a client of the server.
        rules: the folder of rules, which the runner follows.
        state: its state folder, with the audit trail.
    """

    def __init__(self, ha: HomeAssistant, client: SyncClient, rules: Folder, state: Path) -> None:
        self.ha = ha
        self.client = client
        self.rules = rules
        self.state = state

    def observe(self, path: str) -> "Observed":
        return Observed(self.client.state_observe_queue(path))


class Observed:
    """The values of a state, as they arrive."""

    def __init__(self, values: SimpleQueue[Any]) -> None:
        self._values = values
        self.seen: list[Any] = []

    def until(self, condition: Callable[[Any], bool]) -> Any:
        """Wait for a value, and return it."""
        while True:
            value = self._values.get(timeout=60)
            self.seen.append(value)
            if condition(value):
                return value


@pytest.fixture(scope="module")
def house(tmp_path_factory: pytest.TempPathFactory) -> Iterator[House]:
    assert INSTALLED is not None
    folder = tmp_path_factory.mktemp("house")
    rules = Folder(folder / "rules")
    with (
        mosquitto(folder / "mosquitto") as broker,
        homeassistant(installed_in(Path(INSTALLED).absolute()), folder / "ha") as ha,
        running("eshet", "serve", "--listen", "127.0.0.1:0") as serving,
    ):
        ha.add_broker(broker.port)
        rules.write("token", ha.token)
        rules.write("eshet-rules.toml", CONFIGURATION.format(url=ha.url, port=broker.port))
        shutil.copy(RULES / "heating.py", rules.path)
        server = line(serving).removeprefix("listening on ")
        state = folder / "state"
        arguments = ["run", str(rules.path), "--state-dir", str(state)]
        with (
            (folder / "runner.log").open("w") as log,
            running("eshet-rules", *arguments, server=server, stderr=log),
            SyncClient(server=server) as client,
        ):
            house = House(ha, client, rules, state)
            house.observe("/ha/bridge/online").until(lambda online: online is True)
            yield house
