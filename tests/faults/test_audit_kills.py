"""A process that logs is killed at any moment: what it was told is written is there, and whole."""

import mmap
import os
import random
import struct
import subprocess
import sys

import pytest

from eshet_rules.audit.archive import closed_files
from eshet_rules.audit.query import Filter, Reader
from eshet_rules.audit.trail import Trail
from tests.support.processes import environment

KILLS = int(os.environ.get("ESHET_KILLS", "12"))


class Shared:
    """What a process says of itself, also when it is killed."""

    def __init__(self, path):
        path.write_bytes(bytes(8))
        self._file = path.open("r+b")
        self._map = mmap.mmap(self._file.fileno(), 8)

    @property
    def number(self):
        return struct.unpack("Q", self._map[:8])[0]

    def close(self):
        self._map.close()
        self._file.close()


def kill_at(moment, chance, file, shared, run):
    """Let a process log, and kill it some microseconds after so many records."""
    process = subprocess.Popen(  # noqa: S603
        [sys.executable, "-m", "tests.support.logging_load", str(file), str(shared), run],
        env=environment(""),
    )
    told = Shared(shared)
    try:
        while told.number < moment:
            assert process.poll() is None, "it ended by itself"
            os.sched_yield()
        for _ in range(chance.randrange(20_000)):
            pass
    finally:
        process.kill()
        process.wait()
    number = told.number
    told.close()
    return number


@pytest.mark.timeout(30 + 5 * KILLS)
def test_acknowledged_records_survive_each_kill_and_no_broken_line_is_read(tmp_path):
    chance = random.Random(7)  # noqa: S311 - to get the same again
    file = tmp_path / "audit" / "trail.jsonl"
    torn = 0
    for run in range(KILLS):
        acknowledged = kill_at(chance.randrange(1, 2000), chance, file, tmp_path / "told", str(run))
        torn += not file.read_bytes().endswith(b"\n") if file.exists() else 0
        damages = []
        records = Reader(file, Filter(rule=f"run.{run}"), damages.append).records()
        numbers = [record["value"][0] for record in records]
        assert damages == []
        assert numbers == list(range(len(numbers)))
        assert len(numbers) >= acknowledged
    trail = Trail(file)
    trail.open()
    trail.close()
    damages = []
    total = sum(1 for _ in Reader(file, Filter(), damages.append).records())
    assert damages == []
    print(f"{KILLS} kills, {torn} torn, {total} records, {len(closed_files(file))} closed files")
