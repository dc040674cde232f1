"""What a runner of a cluster is to do next about the leases of modules. No I/O.

A module that nobody runs is taken at once by the runner that ranks first for it: if two believe
that they do, compare-and-set decides. A module that runs elsewhere than it should is moved only
after no runner has joined or changed for `SETTLED` seconds, and few at a time.
"""

from collections.abc import Collection
from dataclasses import dataclass, field
from typing import Final, Literal

from eshet_rules.cluster.roster import KnownLease, Roster

__all__ = ["Plan", "make_plan", "why_free"]

SETTLED: Final = 2.0
"""Seconds for which a runner must rank first for a module that another one runs."""

FAVOUR: Final = 5.0
"""Seconds for which only that runner may take a module in whose favour it was given up."""

MOVING: Final = 8
"""Maximum number of modules that a runner gives up at the same time to balance the load."""

WhyFree = Literal["new", "released", "moved", "gone"]


@dataclass(frozen=True)
class Plan:
    """What to do next.

    Args:
        take: the modules whose leases to take.
        give: the modules to give up, each with the runner in whose favour; empty for any.
        is_waiting: whether there may be more to do later without a change of the entries.
    """

    take: list[str] = field(default_factory=list)
    give: dict[str, str] = field(default_factory=dict)
    is_waiting: bool = False


def make_plan(
    roster: Roster,
    runner: str,
    modules: Collection[str],
    held: Collection[str],
    leaving: Collection[str],
    now: float,
) -> Plan:
    """Return what a runner is to do next.

    Args:
        roster: what is known of the cluster.
        runner: the name of this runner, which is present.
        modules: the modules that it may run.
        held: the modules whose leases it holds.
        leaving: those among them that it is giving up.
        now: the loop's time.
    """
    own = roster.runners.get(runner)
    if own is None or own.modules is None:
        return Plan(is_waiting=True)
    take, waits = _to_take(roster, runner, own.number, modules, held, now)
    others = _to_give(roster, runner, modules, held, leaving)
    if own.presence.is_draining:
        return Plan(take, others, is_waiting=waits)
    # Modules that this runner can't run any more do not wait.
    give = {module: to for module, to in others.items() if module not in modules}
    rest = [module for module in others if module not in give]
    if rest and now - roster.settled_at > SETTLED:
        free = MOVING - len(leaving) - _on_their_way(roster, runner, now)
        give |= {module: others[module] for module in rest[: max(0, free)]}
    return Plan(take, give, is_waiting=waits or len(give) < len(others))


def _to_take(
    roster: Roster,
    runner: str,
    number: int,
    modules: Collection[str],
    held: Collection[str],
    now: float,
) -> tuple[list[str], bool]:
    """Return the modules to take, and whether others may have to be taken later."""
    take, waits = [], False
    first = roster.assignment.first
    for module in modules:
        if module in held:
            continue
        role = roster.role_of(module)
        known = roster.lease_of(role)
        if known is None:
            is_awaited = roster.is_awaited(role, now)
            is_due = first.get(module) == runner and not is_awaited
            waits = waits or is_awaited
        elif roster.is_held(known.lease):
            # One of its own that it does not know of: the answer to a request was lost.
            is_due = known.lease.runner == runner and known.lease.presence == number
        elif (favoured := _favoured(roster, known, now)) is not None:
            is_due = favoured == runner
            waits = waits or not is_due
        else:
            is_due = first.get(module) == runner
        if is_due:
            take.append(module)
    return take, waits


def _favoured(roster: Roster, known: KnownLease, now: float) -> str | None:
    """Return the runner that may take a lease that was given up in its favour; None for any."""
    to = known.lease.to
    candidate = roster.runners.get(to)
    can_run = (
        candidate is not None
        and candidate.modules is not None
        and not candidate.presence.is_draining
        and known.lease.module in candidate.modules.runs
    )
    return to if known.lease.released and can_run and now - known.heard < FAVOUR else None


def _to_give(
    roster: Roster,
    runner: str,
    modules: Collection[str],
    held: Collection[str],
    leaving: Collection[str],
) -> dict[str, str]:
    """Return the modules that another runner is to run, each with that runner; empty for any."""
    is_candidate = not roster.runners[runner].presence.is_draining
    give = {}
    for module in held:
        if module in leaving:
            continue
        first = roster.assignment.first.get(module)
        if first is not None and first != runner:
            give[module] = first
        elif not is_candidate or module not in modules:
            give[module] = ""
    return give


def _on_their_way(roster: Roster, runner: str, now: float) -> int:
    """Return the number of modules that this runner has given up, and nobody has taken yet."""
    return sum(
        known.lease.runner == runner and _favoured(roster, known, now) is not None
        for known in roster.leases
    )


def why_free(known: KnownLease | None) -> WhyFree:
    """Return why nobody holds a lease."""
    if known is None:
        return "new"
    if known.lease.released:
        return "moved" if known.lease.to else "released"
    return "gone"
