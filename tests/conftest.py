"""Every async test runs in virtual time."""

import asyncio
from collections.abc import Awaitable, Callable

import pytest

from eshet_rules.virtual_time import VirtualLoop

Advance = Callable[[float], Awaitable[None]]


def pytest_asyncio_loop_factories() -> dict[str, Callable[[], asyncio.AbstractEventLoop]]:
    return {"virtual": VirtualLoop}


@pytest.fixture
async def advance() -> Advance:
    """Let time pass: `await advance(60)`; `await advance(0)` only lets settle."""
    loop = asyncio.get_running_loop()
    assert isinstance(loop, VirtualLoop)
    return loop.advance
