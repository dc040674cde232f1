"""A process that logs as fast as it can, and says in shared memory how much is acknowledged.

python -m tests.support.logging_load FILE ACKNOWLEDGED RUN
"""

import asyncio
import mmap
import struct
import sys
from pathlib import Path

from eshet.clock import wall_stamp
from eshet_rules.audit.recorder import Recorder
from eshet_rules.audit.records.inputs_outputs import Input
from eshet_rules.audit.trail import Trail

SIZE = 64 << 10  # so that files are closed, and compressed, all the time


async def load(file: Path, acknowledged: mmap.mmap, run: str) -> None:
    recorder = Recorder()
    trail = Trail(file, size=SIZE)
    number = 0
    with recorder.keeping(trail):
        while True:
            for _ in range(number % 7 + 1):  # in one turn of the loop, by one write or a few
                recorder.record(
                    Input(
                        wall_stamp(),
                        "debug",
                        "input.received",
                        rule=f"run.{run}",
                        kind="event",
                        path="/bell",
                        value=[number, "x" * (number % 500)],
                    ),
                    at_once=number % 3 == 0,
                )
                number += 1
            await asyncio.sleep(0)
            acknowledged[:8] = struct.pack("Q", number)


def main() -> None:
    file, shared, run = sys.argv[1:]
    with Path(shared).open("r+b") as opened, mmap.mmap(opened.fileno(), 8) as acknowledged:
        asyncio.run(load(Path(file), acknowledged, run))


if __name__ == "__main__":
    main()
