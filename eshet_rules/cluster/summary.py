"""What a runner tells of itself and its cluster, as plain data for a message. No I/O."""

from collections import Counter
from collections.abc import Iterable
from typing import Any, Final

from eshet.text import encodable, shorten
from eshet_rules.cluster.entries import Modules, PresenceEntry
from eshet_rules.cluster.roster import Roster
from eshet_rules.config import ClusterSettings

__all__ = ["summarize"]

_MOST_LISTED: Final = 100
"""Maximum number of modules without a runner in a message."""

_LONGEST: Final = 16_000
"""Maximum length of the names of the modules that have a runner, in characters."""


def summarize(
    roster: Roster, presence: PresenceEntry, settings: ClusterSettings, modules: Modules
) -> dict[str, Any]:
    """Return what a runner knows of its cluster.

    Args:
        roster: knows the runners and the leases.
        presence: the last sign of life of this runner.
        settings: those of this runner.
        modules: those in its folder.

    Returns:
        Of this runner: `cluster`, `runner`: its name there, `host`, `labels`, `weight` and
        `draining`. Of all runners that are present: `runners`: the number of modules that each
        runs, by their names in the cluster. `held`: the first of these modules, so that those of a
        runner that does not answer are known. `without_runner`: the first modules of this folder
        that no runner runs. `needs`: for those of them that no runner may run, the condition on
        runners, by module.
    """
    held = sorted(
        (known.lease.module, known.lease.runner)
        for known in roster.leases
        if roster.is_held(known.lease)
    )
    counts = Counter(runner for _, runner in held)
    taken = {module for module, _ in held}
    free = sorted({*modules.runs, *modules.excluded} - taken)[:_MOST_LISTED]
    conditions = {each: settings.where_of(each) for each in free}
    return {
        "cluster": roster.cluster,
        "runner": encodable(presence.runner),
        "host": encodable(presence.host),
        "labels": [encodable(each) for each in settings.labels],
        "weight": presence.weight,
        "draining": presence.is_draining,
        "runners": {encodable(each): counts[each] for each in sorted(roster.runners)},
        "held": _first(held),
        "without_runner": [_shown(each) for each in free],
        "needs": {
            _shown(module): _shown(where.text)
            for module, where in conditions.items()
            if where is not None and module not in roster.assignment.first
        },
    }


def _first(held: Iterable[tuple[str, str]]) -> dict[str, list[str]]:
    """Return as many modules as fit into a message, by their runners."""
    first: dict[str, list[str]] = {}
    length = 0
    for module, runner in held:
        name = _shown(module)
        length += len(name)
        if length > _LONGEST:
            break
        first.setdefault(encodable(runner), []).append(name)
    return first


def _shown(text: str) -> str:
    return encodable(shorten(text, 200))
