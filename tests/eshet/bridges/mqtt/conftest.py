"""A real broker, or a bridge over a broker in memory, for each test that asks for it."""

import asyncio
from collections.abc import AsyncIterator, Iterator
from pathlib import Path

import pytest

from tests.conftest import Advance
from tests.support.bridged import BridgedHouse, bridged_house
from tests.support.mosquitto import Mosquitto, mosquitto


@pytest.fixture
def broker(tmp_path: Path) -> Iterator[Mosquitto]:
    with mosquitto(tmp_path / "mosquitto") as running:
        yield running


@pytest.fixture
async def virtual_pings(monkeypatch: pytest.MonkeyPatch) -> None:
    """Let paho-mqtt take the time from the loop, in place of the clock of the system."""
    monkeypatch.setattr("paho.mqtt.client.time_func", asyncio.get_running_loop().time)


@pytest.fixture
def without_jinja(monkeypatch: pytest.MonkeyPatch) -> None:
    """Let the bridge find no jinja2, as without the extra `jinja`."""
    monkeypatch.setattr("eshet.bridges.mqtt.bridge.installed_jinja", lambda: None)


@pytest.fixture
async def house(advance: Advance) -> AsyncIterator[BridgedHouse]:
    """A bridge with default settings over a broker in memory."""
    async with bridged_house(advance) as running:
        yield running
