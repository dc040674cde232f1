"""A real broker for each test that asks for one."""

import asyncio
from collections.abc import Iterator
from pathlib import Path

import pytest

from tests.support.mosquitto import Mosquitto, mosquitto


@pytest.fixture
def broker(tmp_path: Path) -> Iterator[Mosquitto]:
    with mosquitto(tmp_path / "mosquitto") as running:
        yield running


@pytest.fixture
async def virtual_pings(monkeypatch: pytest.MonkeyPatch) -> None:
    """Let paho-mqtt take the time from the loop: by itself, it decides by the system's clock."""
    monkeypatch.setattr("paho.mqtt.client.time_func", asyncio.get_running_loop().time)
