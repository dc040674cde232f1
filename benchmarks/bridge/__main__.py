"""From an MQTT message through a rule to an MQTT command: our bridge beside a bare script.

    python benchmarks/bridge [--rounds 3] [--seconds 5] [--saves] [--peers] [--only TEXT]

Needs mosquitto. The broker, the driver and what reacts are processes of their own. The driver plays
64 sensors of zigbee2mqtt; each reports its next value when the command that follows from the last
one has arrived, so that no report replaces a waiting one. Then the sensors report at a fixed rate,
and the latency of the answered reports is measured. For a variant that can't answer at that rate
it tells only how long its queue has become: choose a lower `--rate` for it. The bare script is
paho-mqtt in its own loop. Variants take turns; figures are medians over the rounds, and ratios (in
parentheses) are to the bare script.

The server of the rules is in the runner's process, at the default port, as for a new user.

`--peers` adds HABApp, AppDaemon and Node-RED with the same job, and `--saves`. They are installed
in a folder of their own at the first time (300 MB); delete it to get newer versions. One that can't
be installed or does not answer is left out.

`--saves` measures the save of a changed rule too: until the changed rule answers, the longest time
without an answer meanwhile, how many reports were never answered, and whether a timer of 5 s that
was running fires at its time. The bare script is restarted after a save, as it can't reload.
"""

import argparse
import os
import shutil
import socket
import subprocess
import sys
import tempfile
import time
from collections import Counter, defaultdict
from collections.abc import Iterator
from contextlib import contextmanager
from pathlib import Path
from typing import Final

sys.path.insert(0, str(Path(__file__).parents[2]))

from benchmarks.bridge.measuring import Saved, Speed, measure, median_of
from benchmarks.bridge.peers import installed_peers
from benchmarks.bridge.variants import Bare, Ours, Variant

SPEED: Final = ("messages/s", "µs CPU each", "p50 ms", "p99 ms", "MiB", "% unanswered")
SAVED: Final = ("live after ms", "gap ms", "lost", "timer")
WITHOUT_RATIO: Final = ("% unanswered", "lost", "timer")
"""Columns in which the bare script may have 0, or a word."""
CACHE: Final = Path(os.environ.get("XDG_CACHE_HOME") or Path.home() / ".cache")


@contextmanager
def broker(folder: Path) -> Iterator[int]:
    """Run mosquitto, and return its port."""
    program = shutil.which("mosquitto", path=f"{os.environ['PATH']}:/usr/sbin")
    if program is None:
        sys.exit("install mosquitto")
    with socket.socket() as free:
        free.bind(("127.0.0.1", 0))
        port = free.getsockname()[1]
    config = folder / "mosquitto.conf"
    config.write_text(
        f"listener {port} 127.0.0.1\nallow_anonymous true\nmax_queued_messages 0\n"
        "set_tcp_nodelay true\n"
    )
    quiet = subprocess.DEVNULL
    with subprocess.Popen([program, "-c", str(config)], stdout=quiet, stderr=quiet) as process:
        try:
            while True:
                try:
                    socket.create_connection(("127.0.0.1", port)).close()
                    break
                except OSError:
                    time.sleep(0.02)
            yield port
        finally:
            process.terminate()


class Results:
    """The figures of all rounds, by the name of their row."""

    def __init__(self) -> None:
        self.speeds: defaultdict[str, list[Speed]] = defaultdict(list)
        self.saves: defaultdict[str, list[Saved]] = defaultdict(list)

    def run(self, variants: list[Variant], port: int, options: argparse.Namespace) -> None:
        """Measure each variant once; leave out one that fails from now on."""
        for variant in list(variants):
            try:
                speed, saved = measure(
                    variant, port, options.seconds, options.rate, with_saves=options.saves
                )
            except (TimeoutError, OSError, IndexError, ZeroDivisionError) as error:
                print(f"{variant.name} is left out: {error}", file=sys.stderr)
                variants.remove(variant)
                continue
            self.speeds[variant.name].append(speed)
            for row, each in saved.items():
                self.saves[row].append(each)

    def table(self) -> list[list[str]]:
        """Return the lines of the table, as cells."""
        columns = SPEED + SAVED if self.saves else SPEED
        base = self._medians(Bare.name)
        lines = [["", *columns]]
        for row in dict.fromkeys((*self.speeds, *self.saves)):
            medians = self._medians(row)
            cells = [_cell(column, medians, base) for column in columns if column != "timer"]
            if self.saves:
                kinds = Counter(each.timer for each in self.saves[row])
                cells.append(", ".join(f"{kind} {count}x" for kind, count in kinds.items()))
            lines.append([row, *cells])
        return lines

    def _medians(self, row: str) -> dict[str, float]:
        medians: dict[str, float] = {}
        if speeds := self.speeds.get(row):
            medians |= dict(zip(SPEED, median_of(speeds), strict=True))
        if saves := self.saves.get(row):
            medians |= dict(zip(SAVED[:-1], median_of(saves), strict=True))
        return medians


def _cell(column: str, medians: dict[str, float], base: dict[str, float]) -> str:
    if column not in medians:
        return ""
    figure = medians[column]
    ratio = "" if column in WITHOUT_RATIO else f" ({figure / base[column]:.2f})"
    return f"{figure:,.1f}{ratio}"


def main() -> None:
    """Print the figures."""
    parser = argparse.ArgumentParser(
        description=__doc__, formatter_class=argparse.RawTextHelpFormatter
    )
    parser.add_argument("--rounds", type=int, default=3)
    parser.add_argument("--seconds", type=float, default=5.0)
    parser.add_argument(
        "--rate", type=float, default=1000, help="reports/s for the latency, by default %(default)s"
    )
    parser.add_argument("--saves", action="store_true", help="measure saves of a changed rule")
    parser.add_argument("--peers", action="store_true", help="add other systems, and --saves")
    parser.add_argument(
        "--peers-dir",
        type=Path,
        default=CACHE / "eshet-benchmarks",
        help="where the peers are installed, by default %(default)s",
    )
    parser.add_argument(
        "--only", metavar="TEXT", help="what has this in its name, and the bare script"
    )
    options = parser.parse_args()
    variants: list[Variant] = [Bare(), Ours(trail=False), Ours(trail=True)]
    if options.peers:
        options.saves = True
        variants += installed_peers(options.peers_dir.absolute())
    if options.only:
        variants = [
            each for each in variants if each.name == Bare.name or options.only in each.name
        ]
    results = Results()
    with tempfile.TemporaryDirectory() as name, broker(Path(name)) as port:
        for _ in range(options.rounds):
            results.run(variants, port, options)
    lines = results.table()
    widths = [max(map(len, column)) for column in zip(*lines, strict=True)]
    for row, *cells in lines:
        padded = [cell.rjust(width) for cell, width in zip(cells, widths[1:], strict=True)]
        print("  ".join([row.ljust(widths[0]), *padded]))


if __name__ == "__main__":
    main()
