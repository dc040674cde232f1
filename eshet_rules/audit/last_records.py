"""The last input and output at each path, kept in memory."""

from collections import Counter
from typing import Any, Final

from eshet_rules.audit.records.inputs_outputs import Input, Output

__all__ = ["LastRecords"]

_MAX_PATHS: Final = 20_000


class LastRecords:
    """Keeps the last records of each path; of the paths, the last 20,000 that are new."""

    def __init__(self) -> None:
        self.inputs: Final[dict[str, Input]] = {}
        """Of a state, the record with which its present value began; else the last one."""
        self.outputs: Final[dict[str, Output]] = {}
        """The last ones that were sent."""
        self.skipped: Final[dict[str, Counter[str]]] = {}
        """How many outputs were skipped since, by the reason."""
        self.is_complete = False
        """Whether nothing has happened before the first record, as in a test."""
        self._found: Final[set[str]] = set()  # the paths whose values may be older than the records

    def since(self, path: str) -> str | None:
        """Return since when a path has its value, or when its last event was; None if unknown.

        It is not known of a value that a rule has found at its set-up, such as after a restart.
        """
        if path in self._found and not self.is_complete:
            return None
        record = self.inputs.get(path)
        return None if record is None else str(record.time)

    def note_input(self, record: Input) -> None:
        """Keep an input, unless it repeats the value of a state, or only reads one."""
        if record.module is None or record.kind == "get":
            return
        known = self.inputs.get(record.path)
        if known is None:
            _make_room(self.inputs)
        elif record.kind == "state" and _has_value_of(known, record):
            return
        if known is None and record.kind == "state" and record.trigger:
            self._found.add(record.path)
        elif self._found:
            self._found.discard(record.path)
        self.inputs[record.path] = record

    def note_output(self, record: Output) -> None:
        """Keep an output, or count it if it was skipped."""
        if record.module is None:
            return
        path = record.path
        if record.outcome == "skipped":
            if path not in self.skipped:
                _make_room(self.skipped)
                self.skipped[path] = Counter()
            self.skipped[path][record.why or ""] += 1
            return
        if path not in self.outputs:
            _make_room(self.outputs)
        self.outputs[path] = record
        self.skipped.pop(path, None)


def _has_value_of(one: Input, other: Input) -> bool:
    try:
        return bool(one.unknown == other.unknown and one.value == other.value)
    except Exception:  # a value may raise anything
        return False


def _make_room(records: dict[str, Any]) -> None:
    if len(records) >= _MAX_PATHS:
        del records[next(iter(records))]
