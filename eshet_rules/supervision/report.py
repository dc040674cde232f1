"""What a running runner tells of each of its rules."""

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
    """One rule, as it is now.

    Args:
        rule: its full name, as `hall.hall_light`.
        module: in which it is.
        status: how it is.
        reads: the paths that it has observed, listened to or asked for.
        writes: the paths that it is, sets, calls or emits.
        sets: those of them that it has set.
    """

    rule: str
    module: str
    status: RuleStatus
    reads: tuple[str, ...] = ()
    writes: tuple[str, ...] = ()
    sets: tuple[str, ...] = ()

    def plain(self) -> Mapping[str, Any]:
        """Return it as plain data, which can be sent and printed."""
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
            "why": _text(status.why),
            "running": status.running,
            "queued": status.queued,
            "reads": _first(self.reads),
            "writes": _first(self.writes),
        }


def _text(text: str, longest: int = _LONGEST_TEXT) -> str:
    return encodable(shorten(text, longest))


def _first(paths: Iterable[str]) -> list[str]:
    """Return as many paths as can be sent in one message with all the rest."""
    paths = [encodable(path) for path in paths]
    lengths = itertools.accumulate(map(len, paths))
    return [path for path, length in zip(paths, lengths, strict=True) if length < _LONGEST_PATHS]
