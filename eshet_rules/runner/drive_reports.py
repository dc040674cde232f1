"""Reports on paths with drivers, as plain data for messages."""

from collections.abc import Iterator, Mapping
from typing import Any, Final

from eshet import codec
from eshet.exceptions import UnsupportedValue
from eshet.text import encodable, safe_repr
from eshet_rules.audit.redaction import Redaction
from eshet_rules.reload.reloader import Reloader

__all__ = ["DriveReports"]

_LONGEST_VALUE: Final = 500
"""Maximum size of a value, in bytes."""


class DriveReports:
    """Reports who decides over each path with `yarp.drive`.

    Args:
        reloader: knows the drivers.
        redaction: knows the paths whose values are secret.
    """

    def __init__(self, reloader: Reloader, redaction: Redaction | None = None) -> None:
        self._reloader = reloader
        self._redaction = redaction or Redaction()

    def of(self, path: str) -> dict[str, Any] | None:
        """Return the report on a path; None if it has no drivers, or its values are secret."""
        if self._redaction.hides(path):
            return None
        report = self._reloader.drives.report_of(path)
        return None if report is None else _sendable(report)

    def after(self, path: str) -> Iterator[dict[str, Any]]:
        """Iterate over the reports on the paths that come after a path, in order.

        The report on a path with secret values has only the path, and `hidden`.
        """
        for report in self._reloader.drives.report():
            if report["path"] > path:
                is_secret = self._redaction.hides(report["path"])
                yield {"path": report["path"], "hidden": True} if is_secret else _sendable(report)


def _sendable(value: Any) -> Any:
    """Return a value, or its text if it can't be sent or is long."""
    if isinstance(value, Mapping):
        return {name: _sendable(each) for name, each in value.items()}
    if isinstance(value, list):
        return [_sendable(each) for each in value]
    try:
        is_short = len(codec.pack(value)) <= _LONGEST_VALUE
    except UnsupportedValue:
        is_short = False
    return value if is_short else encodable(safe_repr(value, _LONGEST_VALUE))
