"""Every async test runs in virtual time."""

import asyncio
import gc
import os
import shutil
import signal
import tempfile
from collections.abc import Awaitable, Callable
from pathlib import Path

import pytest
from hypothesis import HealthCheck, settings

from eshet_rules.testing.virtual_time import VirtualLoop

# How fast a machine is says nothing about the code: neither time limit may fail a test.
settings.register_profile("patient", deadline=None, suppress_health_check=[HealthCheck.too_slow])
settings.load_profile("patient")

# Runners sync their files thousands of times, and a disk takes milliseconds for each. What a test
# does to a process shows no difference: only a crash of the machine would.
MEMORY = Path("/dev/shm")  # noqa: S108 - pytest makes a private folder in it
if os.access(MEMORY, os.W_OK) and shutil.disk_usage(MEMORY).free > 256 << 20:
    tempfile.tempdir = os.environ.setdefault("TMPDIR", str(MEMORY))

# A shell starts background jobs with SIGINT ignored, which the commands under test would inherit.
if signal.getsignal(signal.SIGINT) is signal.SIG_IGN:
    signal.signal(signal.SIGINT, signal.default_int_handler)

Advance = Callable[[float], Awaitable[None]]


def pytest_asyncio_loop_factories() -> dict[str, Callable[[], asyncio.AbstractEventLoop]]:
    return {"virtual": VirtualLoop}


def pytest_addoption(parser: pytest.Parser) -> None:
    parser.addoption("--server", help="HOST:PORT of a server for tests/conformance, not ours")


@pytest.hookimpl(trylast=True)
def pytest_collection_finish() -> None:
    """Exempt the thousands of tests from garbage collection, which would visit them each time."""
    exempt_from_collection()


def exempt_from_collection() -> None:
    """Exempt all present objects from garbage collection, so that `gc.collect()` is fast."""
    gc.collect()
    gc.freeze()


@pytest.fixture(scope="module")
def fast_collection() -> None:
    """Exempt the objects of earlier tests from garbage collection, for tests that collect often."""
    exempt_from_collection()


@pytest.fixture
async def advance() -> Advance:
    """Let time pass: `await advance(60)`; `await advance(0)` only lets settle."""
    loop = asyncio.get_running_loop()
    assert isinstance(loop, VirtualLoop)
    return loop.advance
