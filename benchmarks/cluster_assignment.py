"""How fast the runners of a large cluster agree who runs which module.

    .venv/bin/python benchmarks/cluster_assignment.py

Each runner computes this for itself, in its event loop: at its start for all runners, and then
whenever one of them comes or goes. The shares are those of the modules of a runner in relation to
its weight: 1.00 would be a perfect distribution.
"""

import random
import statistics
import time
from collections import Counter
from collections.abc import Callable

from eshet_rules.cluster.assignment import Assignment, Candidate

MODULES = 10_000
RUNNERS = 100


def timed(work: Callable[[], object]) -> float:
    """Return the duration of a call in milliseconds."""
    began = time.perf_counter()
    work()
    return (time.perf_counter() - began) * 1000


def main() -> None:
    """Print the times and the shares."""
    modules = frozenset(f"house.room_{number}" for number in range(MODULES))
    randomly = random.Random(1)
    runners = [Candidate(f"runner{n}", randomly.choice([1.0, 2.0, 4.0])) for n in range(RUNNERS)]
    assignment = Assignment()

    def assign_all() -> None:
        for runner in runners:
            assignment.put(runner, modules)

    print(f"{MODULES:,} modules, {RUNNERS} runners")
    full = timed(assign_all)
    print(f"full assignment             {full:8.1f} ms")
    before = dict(assignment.first)
    shares = Counter(before.values())
    total = sum(weight for _, weight in runners)
    relative = [shares[name] / (MODULES * weight / total) for name, weight in runners]
    lost = runners[RUNNERS // 2]
    gone = timed(lambda: assignment.remove(lost.runner))
    moved = [module for module, first in assignment.first.items() if before[module] != first]
    print(f"after one runner has gone   {gone:8.1f} ms, {full / gone:6.1f} times faster")
    others = sum(before[module] != lost.runner for module in moved)
    print(
        f"  modules that moved        {len(moved):8} of {shares[lost.runner]}, {others} of others"
    )
    back = timed(lambda: assignment.put(lost, modules))
    print(f"after it has come back      {back:8.1f} ms, {full / back:6.1f} times faster")
    assert dict(assignment.first) == before
    print(f"shares                      {min(relative):8.2f} to {max(relative):.2f}", end="")
    print(f", standard deviation {statistics.pstdev(relative):.3f}")


if __name__ == "__main__":
    main()
