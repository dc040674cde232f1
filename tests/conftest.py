"""Every async test runs in virtual time."""

import asyncio
import gc
from collections.abc import Awaitable, Callable

import pytest
from hypothesis import HealthCheck, settings

from eshet_rules.testing.virtual_time import VirtualLoop

# How fast a machine is says nothing about the code: neither time limit may fail a test.
settings.register_profile("patient", deadline=None, suppress_health_check=[HealthCheck.too_slow])
settings.load_profile("patient")

Advance = Callable[[float], Awaitable[None]]


def pytest_asyncio_loop_factories() -> dict[str, Callable[[], asyncio.AbstractEventLoop]]:
    return {"virtual": VirtualLoop}


def pytest_addoption(parser: pytest.Parser) -> None:
    parser.addoption("--server", help="HOST:PORT of a server for tests/conformance, not ours")


@pytest.hookimpl(trylast=True)
def pytest_collection_finish() -> None:
    """Exempt the thousands of tests from garbage collection, which would visit them each time."""
    gc.collect()
    gc.freeze()


@pytest.fixture
async def advance() -> Advance:
    """Let time pass: `await advance(60)`; `await advance(0)` only lets settle."""
    loop = asyncio.get_running_loop()
    assert isinstance(loop, VirtualLoop)
    return loop.advance
