"""Reports on paths with drivers, as plain data for messages."""

from collections.abc import Iterator, Mapping
from typing import Any, Final

from eshet import codec
from eshet.exceptions import ProtocolError, UnsupportedValue
from eshet.text import encodable, safe_repr
from eshet_rules.audit.redaction import Redaction
from eshet_rules.reload.reloader import Reloader

__all__ = ["DriveReports"]

_LONGEST_VALUE: Final = 500
"""Maximum size of a value, in bytes."""

_DEEPEST_VALUE: Final = 100
"""Maximum nesting of a value: less than that of a message, which contains it."""

_PARTS: Final = {"drivers": 2, "override": 1, "sent": 1}
"""How deep the parts of a report are nested; all else in it are values."""


class DriveReports:
    """Reports who decides over each path with `yarp.drive`.

    Args:
        reloader: knows the drivers.
        redaction: knows the paths with secret values.
    """

    def __init__(self, reloader: Reloader, redaction: Redaction | None = None) -> None:
        self._reloader = reloader
        self._redaction = redaction or Redaction()

    def of(self, path: str) -> dict[str, Any] | None:
        """Return the report on a path; None if it has no drivers, or its values are secret."""
        if self._redaction.hides(path):
            return None
        report = self._reloader.drives.report_of(path)
        return None if report is None else _plain(report)

    def after(self, path: str) -> Iterator[dict[str, Any]]:
        """Iterate over the reports on the paths that come after a path, in order.

        The report on a path with secret values has only the path, and `hidden`.
        """
        for report in self._reloader.drives.report():
            if report["path"] > path:
                is_secret = self._redaction.hides(report["path"])
                yield {"path": report["path"], "hidden": True} if is_secret else _plain(report)


def _plain(report: dict[str, Any]) -> dict[str, Any]:
    return {name: _sendable(value, _PARTS.get(name, 0)) for name, value in report.items()}


def _sendable(value: Any, depth: int) -> Any:
    """Return a value, or its text if it can't be sent or is long.

    Args:
        value: the value.
        depth: how deep the parts of a list or dict are each treated in this way.
    """
    if depth and isinstance(value, Mapping):
        return {name: _sendable(each, depth - 1) for name, each in value.items()}
    if depth and isinstance(value, list):
        return [_sendable(each, depth - 1) for each in value]
    try:
        packed = codec.pack(value)
        codec.check(packed, _DEEPEST_VALUE)
        is_short = len(packed) <= _LONGEST_VALUE
    except (UnsupportedValue, ProtocolError):
        is_short = False
    return value if is_short else encodable(safe_repr(value, _LONGEST_VALUE))
