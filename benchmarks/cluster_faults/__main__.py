"""What faults cost the rules of a cluster: three NATS servers, three runners, and devices.

    python benchmarks/cluster_faults [--rounds 20] [--only kill-runner,cut-one] [--modules 30]

Each module answers each of its inputs with a call, keeps a delay, and owns a state. For each fault,
this prints how long modules gave no answer, and how many of their answers were lost, given twice,
or given by a runner that did not hold the lease of the module any more; how long states were
unknown; and how late the delays ended that were under way. What was lost is judged by the trails of
the runners: an input that a rule has received, whose call neither arrived nor was recorded as
failed. Everything runs in real time; with 20 rounds, in an hour and a half.
"""

import argparse
import asyncio
import itertools
import json
import math
import statistics
import sys
import tempfile
import time
from collections import Counter
from pathlib import Path
from typing import Any, Final, NamedTuple

sys.path.insert(0, str(Path(__file__).parents[2]))

from benchmarks.cluster_faults.devices import Devices
from benchmarks.cluster_faults.faults import FAULTS, Fault, Site
from benchmarks.cluster_faults.rules import LONG, SHORT, write_rules
from benchmarks.cluster_faults.runners import runners
from benchmarks.cluster_faults.trails import Seen, Trail
from eshet.nats.jetstream import api
from tests.support.nats import NatsServer, nats_cluster

RATE: Final = 200.0
"""Inputs of all modules per second."""

_BEFORE: Final = 2.0
"""Seconds from the beginning of the delays to the fault: more than between two checkpoints."""

_KNOWN: Final = 5.0
"""Seconds until the NATS servers know each other."""

_REPLICATED: Final = 25.0
"""Seconds until buckets that were made before all NATS servers knew each other are replicated."""

_RECORDED: Final = 3.0
"""Seconds after which the trail says what became of a call whose answer was lost."""

_SETTLED: Final = 4.0
"""Seconds without a module changing its runner before the next fault."""

_PATIENCE: Final = 90.0


class Round(NamedTuple):
    """What one fault has cost.

    Args:
        gaps: seconds without an answer, of each module that was concerned.
        twice: answers that were given twice.
        stale: answers of a runner that did not hold the lease.
        late: seconds by which delays ended late; negative if early.
        not_fired: delays that did not end.
        fired_twice: delays that ended twice.
        unknown: seconds for which states were unknown.
        lost: answers that were lost without a record.
        failed: answers that were recorded as failed.
    """

    gaps: list[float]
    twice: int
    stale: int
    late: list[float]
    not_fired: int
    fired_twice: int
    unknown: list[float]
    lost: int
    failed: int


async def main() -> None:
    parser = argparse.ArgumentParser(description=__doc__.partition("\n")[0])
    parser.add_argument("--rounds", type=int, default=20)
    parser.add_argument("--only", default=",".join(FAULTS))
    parser.add_argument("--modules", type=int, default=30)
    parser.add_argument("--keep", type=Path, help="where to leave the files of the runners")
    options = parser.parse_args()
    with tempfile.TemporaryDirectory() as temporary:
        place = options.keep or Path(temporary)
        rules = place / "rules"
        rules.mkdir(parents=True)
        names = write_rules(rules, options.modules)
        with nats_cluster(place / "nats", advertises=False) as nats:
            await asyncio.sleep(_KNOWN)
            async with (
                Devices(f"{nats.url}/faults", names, RATE) as devices,
                runners(
                    3, rules, place, nats, "faults", fakes_clock="clock" in options.only
                ) as processes,
            ):

                async def leader() -> NatsServer:
                    answer = await api(
                        devices.server.connection, "STREAM.INFO.KV_faults_nodes", {}, "look"
                    )
                    return nats.server(answer["cluster"]["leader"])

                site = Site(nats, processes, leader)
                await asyncio.sleep(_REPLICATED)
                trails = [Trail(runner.trail) for runner in processes]
                await _until_settled(devices, 3)
                print(f"{len(names)} modules on 3 runners: {_shares(devices)}", flush=True)
                number = 0
                for key in options.only.split(","):
                    rounds = []
                    for _ in range(options.rounds):
                        number += 1
                        rounds.append(await _round(FAULTS[key], site, devices, trails, number))
                    _report(FAULTS[key], rounds)


async def _round(
    fault: Fault, site: Site, devices: Devices, trails: list[Trail], number: int
) -> Round:
    await _until_settled(devices, 3)
    for trail in trails:
        trail.read(Seen(set(), set(), set()))
    await devices.arm(number)
    await asyncio.sleep(_BEFORE)
    since = time.monotonic()
    before = dict(devices.holders)
    concerned, heal = await fault.inject(site)
    runners_concerned = {runner.name for runner in concerned}
    delay = LONG if fault.lasts else SHORT
    await asyncio.sleep(delay - _BEFORE + 1)
    await heal()
    await _until_settled(devices, 3)
    until = time.monotonic()
    await asyncio.sleep(_RECORDED)
    modules = [each for each in devices.modules if before.get(each) in runners_concerned]
    answers = [each for each in devices.answers if since - 1 <= each.at <= until]
    counted = Counter((each.module, each.number) for each in answers)
    all_fired = devices.fired_late if fault.lasts else devices.fired
    fired = [each for each in all_fired if each.number == number]
    fired_by = Counter(each.module for each in fired)
    seen = Seen(set(), set(), set())
    for trail in trails:
        trail.read(seen)
    return Round(
        gaps=[_longest_gap([a.at for a in answers if a.module == m], until) for m in modules],
        twice=sum(count - 1 for count in counted.values()),
        stale=sum(map(devices.is_stale, answers)),
        late=[each.at - devices.armed[each.module, number] - delay for each in fired],
        not_fired=sum((m, number) in devices.armed and not fired_by[m] for m in before),
        fired_twice=sum(count - 1 for count in fired_by.values()),
        unknown=[end - start for _, start, end in devices.unknown if since <= start],
        lost=len(_recent(devices, seen.received - seen.failed, since, until) - set(counted)),
        failed=len(seen.failed - set(counted)),
    )


def _recent(
    devices: Devices, keys: set[tuple[str, int]], since: float, until: float
) -> set[tuple[str, int]]:
    """Return the inputs that were emitted during a round, some time before its end."""
    return {key for key in keys if since <= devices.emitted.get(key, 0.0) <= until - 1}


def _longest_gap(times: list[float], until: float) -> float:
    if not times:
        return math.inf
    return max(after - before for before, after in itertools.pairwise([*times, until]))


async def _until_settled(devices: Devices, runners: int) -> None:
    """Wait until all modules answer, on so many runners, and none has moved for a while."""
    end = time.monotonic() + _PATIENCE
    same_since, last = time.monotonic(), dict(devices.holders)
    while True:
        await asyncio.sleep(0.1)
        now = time.monotonic()
        if devices.holders != last:
            same_since, last = now, dict(devices.holders)
        answering = {each.module for each in reversed(devices.answers) if each.at > now - 1}
        if (
            now - same_since > _SETTLED
            and len(answering) == len(devices.modules)
            and len(set(last.values())) == runners
        ):
            return
        if now > end:
            raise TimeoutError(f"not settled: {len(answering)} answer; {_shares(devices)}")


def _shares(devices: Devices) -> str:
    shares = Counter(devices.holders.values())
    return ", ".join(f"{name} {count}" for name, count in sorted(shares.items()))


def _report(fault: Fault, rounds: list[Round]) -> None:
    gaps = [gap for each in rounds for gap in each.gaps]
    late = [abs(each) for one in rounds for each in one.late]
    unknown = [each for one in rounds for each in one.unknown]
    line: dict[str, Any] = {
        "rounds": len(rounds),
        "s without answer p50": _median(gaps),
        "worst": max(gaps, default=0),
        "lost": sum(each.lost for each in rounds),
        "failed": sum(each.failed for each in rounds),
        "twice": sum(each.twice for each in rounds),
        "stale": sum(each.stale for each in rounds),
        "unknown": len(unknown),
        "s unknown p50": _median(unknown),
        "worst unknown": max(unknown, default=0),
        "delays lost": sum(each.not_fired for each in rounds),
        "twice fired": sum(each.fired_twice for each in rounds),
        "s late p50": _median(late),
        "worst late": max(late, default=0),
    }
    print(f"\n{fault.name}")
    for name, figure in line.items():
        shown = f"{figure:.2f}" if isinstance(figure, float) else figure
        print(f"  {name:<24} {shown}")
    print(json.dumps({"fault": fault.name, **line}), flush=True)


def _median(figures: list[float]) -> float:
    return statistics.median(figures) if figures else 0.0


if __name__ == "__main__":
    asyncio.run(main())
