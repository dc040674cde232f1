"""The pytest plugin, in processes of its own, with other plugins for async tests and without."""

import subprocess
import sys
from pathlib import Path

import pytest

RULES = """
from eshet import yarp
from eshet_rules import rule

@rule
async def light():
    motion = await yarp.event_listen("/motion")
    await yarp.state_register("/light", yarp.len(yarp.time_window(motion, 120)) > 0)

@rule
async def divides():
    (await yarp.event_listen("/divide")).on_event(lambda by: 1 / by)
"""

GOOD = """
import unittest
import pytest
from hypothesis import given, settings, strategies

async def test_light(house):
    await house.load("hall.py")
    await house.emit("/motion")
    assert house.history("/light") == [(0, False), (0, True)]

@pytest.mark.parametrize("minutes", [1, 2])
async def test_parameters(house, minutes):
    await house.load("hall.py")
    await house.emit("/motion")
    await house.advance(minutes=minutes)
    assert await house.get("/light") is (minutes < 2)

@settings(max_examples=10)
@given(seconds=strategies.integers(0, 119))
async def test_hypothesis(house, seconds):
    assert house.time == 0  # a house of its own for each example
    await house.load("hall.py")
    await house.emit("/motion")
    await house.advance(seconds)
    assert await house.get("/light") is True

@given(strategies.booleans())
def test_plain_hypothesis(value):
    assert value in (True, False)

class TestHall:
    async def test_method(self, house):
        await house.load("hall.py")
        assert await house.get("/light") is False

    @given(strategies.booleans())
    async def test_hypothesis(self, house, value):
        house.device("/lamp", value)
        assert await house.get("/lamp") is value or value

class TestCase(unittest.TestCase):
    @pytest.fixture(autouse=True)
    def in_house(self, house):
        self.house = house

    def test_unittest(self):
        self.house.run(self.house.load("hall.py"))
        self.assertIs(self.house.run(self.house.get("/light")), False)

@pytest.fixture
def lamp(house):
    return house.device("/lamp", True)

async def test_a_fixture_of_the_user(lamp, house):
    assert await house.get("/lamp") is lamp.value

async def test_only_by_a_fixture(lamp):
    assert lamp.path == "/lamp"

async def test_expected_errors(house):
    await house.load("hall.py")
    await house.emit("/divide", 0)
    assert "ZeroDivisionError" in house.errors.pop()
    assert house.errors == []

def test_plain(house):
    house.run(house.load("hall.py"))
"""

BAD = """
from hypothesis import given, strategies

async def test_assertion(house):
    await house.load("hall.py")
    await house.emit("/motion", "cat")
    assert await house.get("/light") is False

async def test_error(house):
    await house.load("hall.py")
    await house.emit("/divide", 0)

@given(strategies.just(0))
async def test_error_of_an_example(house, by):
    await house.load("hall.py")
    await house.emit("/divide", by)
"""

OTHER = """
import pytest

@pytest.fixture
def house():
    return "of the user"

async def test_other(house):
    assert house == "of the user"
"""


def run_pytest(folder: Path, test: str, *options: str) -> str:
    (folder / "hall.py").write_text(RULES)
    (folder / "tests").mkdir(exist_ok=True)
    (folder / "tests" / "test_hall.py").write_text(test)
    (folder / "pytest.ini").touch()
    command = [sys.executable, "-m", "pytest", "-q", "-p", "no:cacheprovider", *options, "tests"]
    done = subprocess.run(command, cwd=folder, capture_output=True, text=True, timeout=60)  # noqa: S603
    return done.stdout + done.stderr


@pytest.mark.parametrize(
    "options",
    [
        (),
        ("-o", "asyncio_mode=auto"),
        ("-p", "no:asyncio", "-p", "no:anyio"),
        ("-n", "2"),
    ],
)
def test_tests_of_all_kinds_run_in_virtual_time(tmp_path: Path, options: tuple[str, ...]) -> None:
    assert "12 passed" in (said := run_pytest(tmp_path, GOOD, *options)), said


def test_a_failure_shows_what_has_happened(tmp_path: Path) -> None:
    said = run_pytest(tmp_path, BAD)
    assert "1 passed, 2 failed, 1 error" in said or "2 failed, 1 passed, 1 error" in said, said
    assert "what happened in the house" in said
    assert "hall.light gets event /motion = 'cat'" in said
    assert "ERROR tests/test_hall.py::test_error - " in said
    assert "hall.divides rule failed: doing=callback of /divide" in said
    assert "test_error_of_an_example(" in said
    assert said.count("hall.divides gets event /divide = 0") >= 2  # the example, and test_error


def test_another_fixture_of_this_name_is_left_alone(tmp_path: Path) -> None:
    assert "1 passed" in (said := run_pytest(tmp_path, OTHER, "-o", "asyncio_mode=auto")), said


FORGOTTEN = """
def test_plain(house):
    house.device("/lamp", True)
    house.advance(minutes=1)

async def test_async(house):
    lamp = house.device("/lamp", True)
    await house.advance(1)
    lamp.report(False)
    assert house.get("/lamp")
"""


def test_a_forgotten_await_fails_the_test_with_its_line(tmp_path: Path) -> None:
    said = run_pytest(tmp_path, FORGOTTEN)
    assert "test_hall.py:4: house.advance(...) was never awaited, so it did nothing" in said
    assert "test_hall.py:9: device.report(...) was never awaited" in said
    assert "test_hall.py:10: house.get(...) was never awaited" in said
    assert "2 passed, 2 errors" in said


FAILING = """
import asyncio, threading, unittest, pytest
from eshet import yarp
from eshet_rules import rule

@rule
async def exits():
    go = await yarp.event_listen("/go")
    async def leave():
        raise SystemExit(3)
    go.on_event(lambda _: asyncio.get_running_loop().create_task(leave()))

@rule
async def threaded():
    go = await yarp.event_listen("/go")
    go.on_event(lambda _: threading.Thread(target=lambda: 1/0).start())

@rule
async def unclean():
    try:
        await asyncio.sleep(1e6)
    finally:
        raise ValueError("unclean")

@rule
async def ring(client):
    go = await yarp.event_listen("/go")
    go.on_event(lambda x: client.action_call("/act", x))

async def test_exit(house):
    await house.rule(exits)
    await house.emit("/go")
async def test_thread(house):
    await house.rule(threaded)
    await house.emit("/go")
    for each in threading.enumerate():
        if each is not threading.current_thread() and not each.daemon:
            each.join()
async def test_unclean(house):
    await house.rule(unclean)
async def test_twice(house):
    house.action("/act", fails=2)
    await house.rule(ring)
    await house.emit("/go", 1)
    assert "fails" in house.errors.pop()
    await house.advance(minutes=0.9)
    await house.emit("/go", 2)
class T(unittest.TestCase):
    @pytest.fixture(autouse=True)
    def in_house(self, house):
        self.house = house

    async def test_y(self):
        assert 0
"""


def test_no_error_of_a_rule_passes_unnoticed(tmp_path: Path) -> None:
    # Before 3.11.8, Python can't parse a file if a collection of garbage logs a traceback meanwhile
    # (gh-106905). At the end of the tests, pytest parses hypothesis for its plugin.
    said = run_pytest(tmp_path, FAILING, "-p", "no:hypothesispytest")
    assert "a task has raised SystemExit(3), as `sys.exit` does; the last input was that of" in said
    assert "ZeroDivisionError" in said
    assert "ValueError: unclean" in said
    assert "again=1, error=eshet.exceptions.ErrorValue: call /act" in said
    assert "test_y is an `async def` of a unittest.TestCase, which does not run it" in said
    assert "1 failed, 3 passed, 4 errors" in said, said
