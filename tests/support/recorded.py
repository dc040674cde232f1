"""What callbacks of rules record, where no reload gets at it."""

from typing import Any

__all__ = ["record", "recorded"]

_records: list[tuple[str, Any]] = []


def record(name: str, value: Any) -> None:
    """Record a call."""
    _records.append((name, value))


def recorded() -> list[tuple[str, Any]]:
    """Return what was recorded since the last time, and forget it."""
    records = list(_records)
    _records.clear()
    return records
