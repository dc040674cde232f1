"""The report of a runner on one of its rules."""

import itertools
from collections.abc import Iterable, Mapping
from dataclasses import dataclass
from typing import Any, Final

from eshet.text import encodable, shorten
from eshet_rules.supervision.status import RuleStatus

__all__ = ["RuleReport"]

_LONGEST_TEXT: Final = 500
_LONGEST_NAME: Final = 200
_LONGEST_PATHS: Final = 15_000


@dataclass(frozen=True)
class RuleReport:
    """The present state of a rule, and the paths that it uses.

    Args:
        rule: its full name, such as `hall.hall_light`.
        module: its module.
        status: its status.
        reads: the paths that it has observed, listened to or requested.
        writes: the paths that it owns, sets, calls or emits.
        holds: the paths among them that it sets to each value of a Value.
        drives: the paths among them that it drives.
        waiting: number of inputs that wait for the rules of its module.
        waiting_s: for how many seconds the oldest of them waits.
    """

    rule: str
    module: str
    status: RuleStatus
    reads: tuple[str, ...] = ()
    writes: tuple[str, ...] = ()
    holds: tuple[str, ...] = ()
    drives: tuple[str, ...] = ()
    waiting: int = 0
    waiting_s: float = 0.0

    def plain(self) -> Mapping[str, Any]:
        """Return the report as plain data, which can be sent and printed."""
        status = self.status
        return {
            "rule": _text(self.rule, _LONGEST_NAME),
            "module": _text(self.module, _LONGEST_NAME),
            "state": str(status.state),
            "since": status.since.isoformat(timespec="seconds").replace("+00:00", "Z"),
            "version": status.version,
            "strategy": _text(status.strategy),
            "restarts": status.restarts,
            "last_error": status.last_error and _text(status.last_error),
            "errors": status.errors,
            "why": _text(status.why),
            "running": status.running,
            "queued": status.queued,
            "waiting": self.waiting,
            "waiting_s": round(self.waiting_s, 1),
            "reads": _first(self.reads),
            "writes": _first(self.writes),
        }


def _text(text: str, longest: int = _LONGEST_TEXT) -> str:
    return encodable(shorten(text, longest))


def _first(paths: Iterable[str]) -> list[str]:
    """Return as many paths as fit into one message together with the rest of the report."""
    paths = [encodable(path) for path in paths]
    lengths = itertools.accumulate(map(len, paths))
    return [path for path, length in zip(paths, lengths, strict=True) if length < _LONGEST_PATHS]
