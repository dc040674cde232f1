"""A gateway for each test."""

from collections.abc import AsyncIterator
from pathlib import Path

import pytest

from tests.support.gateway import GatewayHouse, gateway_house


@pytest.fixture
async def house(tmp_path: Path) -> AsyncIterator[GatewayHouse]:
    async with gateway_house(tmp_path) as house:
        yield house
