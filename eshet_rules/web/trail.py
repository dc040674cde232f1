"""The newest records of the audit trail."""

from collections.abc import Mapping
from pathlib import Path
from typing import Any, Final

from eshet_rules.audit.newest import newest_first
from eshet_rules.audit.query import Filter
from eshet_rules.audit.recorder import fields_of
from eshet_rules.logs import renderer
from eshet_rules.runner.view import RunnerView

__all__ = ["MOST", "Trail"]

MOST: Final = 500
"""Maximum number of records in an answer."""


class Trail:
    """Reads the trail of a runner.

    Args:
        view: the runner.
    """

    def __init__(self, view: RunnerView) -> None:
        self._view = view
        self._render = renderer("console", colours=False, with_causes=False)

    async def newest(self, wanted: Filter, limit: int = MOST) -> dict[str, Any]:
        """Return the newest records that match a filter.

        Returns:
            `records`, the newest first; `next`, the argument `before` for earlier ones, None if
            there are none; and `damaged`, the number of damaged lines that were met.
        """
        file = self._view.trail
        if file is None:
            return {"records": [], "next": None, "damaged": 0}
        recorder = self._view.recorder
        if recorder is not None and recorder.trail is not None:
            recorder.trail.flush()
        return await self._view.threads.run(self._read, file, wanted, limit)

    def _read(self, file: Path, wanted: Filter, limit: int) -> dict[str, Any]:
        found = newest_first(file, wanted, limit)
        return {
            "records": [self.plain(each) for each in found.records],
            "next": found.next,
            "damaged": found.damaged,
        }

    def plain(self, record: Any) -> dict[str, Any]:
        """Return a record with its `text`, as the console shows it without its time and level."""
        fields = dict(record) if isinstance(record, Mapping) else fields_of(record)
        shown = self._render(None, "", {**fields, "time": "", "level": ""})
        return fields | {"text": shown.strip()}
