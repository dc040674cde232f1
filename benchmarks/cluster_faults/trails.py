"""What the trails of the runners say: which inputs rules have received, and which calls failed."""

import json
from pathlib import Path

from benchmarks.cluster_faults.devices import Devices

__all__ = ["read_trails"]

Key = tuple[str, int]


def read_trails(trails: list[Path], since: float, devices: Devices) -> tuple[set[Key], set[Key]]:
    """Return the inputs that rules have received, and those whose calls were recorded as failed.

    Args:
        trails: the folders of the trails.
        since: the monotonic time from which inputs count, in seconds.
        devices: when each input was emitted.
    """
    received, failed = set(), set()
    recent = {key for key, at in devices.emitted.items() if at >= since}
    for trail in trails:
        for file in sorted(trail.glob("*.jsonl")):
            for line in file.read_bytes().splitlines():
                if b"/in/" not in line and b"/out/" not in line:
                    continue
                try:
                    record = json.loads(line)
                except ValueError:
                    continue
                print(record)
    return received & recent, failed
