"""The runner is killed at any moment: its checkpoint is whole, and not old."""

import os
import random
import re

import pytest

from eshet_rules.reload.checkpoint import decode
from tests.support.processes import line, running
from tests.support.rules import Folder

KILLS = int(os.environ.get("ESHET_KILLS", "3"))
OLDEST = 1.5  # seconds

# It keeps the time a hundred times a second, and much else, so that writing takes a while.
RULE = """
import asyncio
import time
from eshet_rules import keep, rule

@rule
async def clock(log):
    started_with = keep("time", 0.0).value
    now = keep("time again", 0.0)
    load = [keep(f"load {number}", "x" * 1000) for number in range(300)]
    log.info("started", kept=now.value)
    while True:
        now.value = time.time()
        load[0].value = str(now.value)
        log.info("tick", now=now.value)
        await asyncio.sleep(0.01)
"""


# Else it would start in safe mode, without rules, after the third kill.
CONFIGURATION = f"""
[supervision]
max_failed_starts = {KILLS + 1}
"""


@pytest.fixture(scope="module")
def server():
    with running("eshet", "serve", "--listen", "127.0.0.1:0") as process:
        yield line(process).split()[-1]


def kill_after(ticks, folder, state, server):
    """Run the rules for a number of ticks and kill them; return the last time that they told."""
    arguments = ["run", str(folder.path), "--log-format", "json", "--state-dir", str(state)]
    with running("eshet-rules", *arguments, server=server) as process:
        now = 0.0
        while ticks:
            text = line(process)
            assert text, "the runner ended by itself"
            if match := re.search(r'"now": ?([0-9.]+)', text):
                now = float(match[1])
                ticks -= 1
        process.kill()
        process.wait()
    return now


@pytest.mark.timeout(30 + 10 * KILLS)
def test_the_checkpoint_is_complete_and_recent_whenever_the_runner_is_killed(tmp_path, server):
    folder = Folder(tmp_path / "rules")
    folder.write("clock.py", RULE)
    folder.write("eshet-rules.toml", CONFIGURATION)
    folder.write("eshet-rules.toml", "[supervision]\nmax_failed_starts = 1000\n")  # no safe mode
    chance = random.Random(7)  # noqa: S311 - to get the same again
    for _ in range(KILLS):
        last = kill_after(chance.randrange(110, 300), folder, tmp_path / "state", server)
        [file] = (tmp_path / "state").glob("*/checkpoint")
        [snapshot] = decode(file.read_bytes(), 0).values()
        _, kept = snapshot.kept()["time again"]
        assert last - kept < OLDEST
