"""Rules whose threads compute, in a real process: the log names their line."""

import pytest

from tests.support.processes import line, running
from tests.support.rules import Folder
from tests.support.runner import runner

LAMPS = """
import asyncio
import threading
import time

from eshet_rules import rule

tasks = []


def spin(number):
    end = time.monotonic() + SECONDS
    while time.monotonic() < end:
        pass


def start():
    for number in range(COUNT):
        threading.Thread(target=spin, args=[number], name=f"spin {number}", daemon=True).start()


@rule
async def compute():
    asyncio.get_running_loop().call_later(0.5, start)


@rule
async def watch():
    async def run():
        while True:
            for number in range(100):  # each call lets the other threads run
                time.sleep(0.0001)
            await asyncio.sleep(0)

    tasks.append(asyncio.create_task(run()))
"""


@pytest.fixture(scope="module")
def server():
    with running("eshet", "serve", "--listen", "127.0.0.1:0") as process:
        yield line(process).split()[-1]


@pytest.mark.parametrize("count", [1, 2])
def test_threads_that_slow_the_loop_down_are_named_while_they_compute(server, tmp_path, count):
    folder = Folder(tmp_path / "rules")
    folder.write("lamps.py", LAMPS.replace("SECONDS", "60").replace("COUNT", str(count)))
    with runner(folder, server, "--no-state") as process:
        slowed = process.wait_for("loop.slowed_by_threads")
        assert slowed["rule"] == "lamps.compute"
        assert slowed["file"].endswith("lamps.py")
        assert LAMPS.splitlines()[slowed["line"] - 1].strip() in (
            "while time.monotonic() < end:",
            "pass",
        )
        assert set(slowed["threads"]) <= {f"spin {number}" for number in range(count)}
        process.process.kill()
