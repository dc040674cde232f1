"""Where the records of an explanation come from.

All records are plain data, as in a trail.
"""

from collections import defaultdict
from collections.abc import Callable, Iterable, Iterator, Mapping
from pathlib import Path
from typing import Any, Final, Protocol

from eshet_rules.audit.query import ENDLESS, Damage
from eshet_rules.why.backward import OUTPUTS, backward

__all__ = [
    "BackwardRecords",
    "ListedRecords",
    "RecentRecords",
    "Record",
    "Records",
    "TrailRecords",
    "is_output",
]

Record = Mapping[str, Any]


class Records(Protocol):
    """The records of inputs and outputs."""

    def output(self, path: str, before: str = ENDLESS) -> Record | None:
        """Return the last output to a path that was not skipped; None if there is none."""

    def input(self, path: str, before: str = ENDLESS) -> Record | None:
        """Return the last input at a path; of a state, that with which its value began."""

    def skipped(self, path: str, before: str = ENDLESS) -> Mapping[str, int]:
        """Return how many outputs to a path were skipped since the last one, by the reason."""


class BackwardRecords:
    """Records that are read one after another, the newest first."""

    def newest_first(self, path: str, before: str) -> Iterator[Record]:
        """Iterate over the records of a path."""
        raise NotImplementedError

    def output(self, path: str, before: str = ENDLESS) -> Record | None:
        """See `Records`."""
        outputs = filter(is_output, self.newest_first(path, before))
        return next((each for each in outputs if each["outcome"] != "skipped"), None)

    def input(self, path: str, before: str = ENDLESS) -> Record | None:
        """See `Records`."""
        found: Record | None = None
        for each in self.newest_first(path, before):
            if each["event"] != "input.received" or not each.get("module") or each["kind"] == "get":
                continue
            if found is not None and not _has_value_of(each, found):
                break
            found = each
            if each["kind"] != "state":
                break
        return found

    def skipped(self, path: str, before: str = ENDLESS) -> Mapping[str, int]:
        """See `Records`."""
        counted: dict[str, int] = {}
        for each in filter(is_output, self.newest_first(path, before)):
            if each["outcome"] != "skipped":
                break
            why = each.get("why") or ""
            counted[why] = counted.get(why, 0) + 1
        return counted


class TrailRecords(BackwardRecords):
    """The records of a trail.

    Args:
        file: its open file.
        report: called with each damaged part that was met, maybe more than once.
    """

    def __init__(
        self, file: Path, report: Callable[[Damage], object] = lambda damage: None
    ) -> None:
        self._file: Final = file
        self._report: Final = report

    def newest_first(self, path: str, before: str) -> Iterator[Record]:
        """See `BackwardRecords`."""
        return backward(self._file, path, before, self._report)


class ListedRecords(BackwardRecords):
    """Records in a list.

    Args:
        records: in the order of time.
    """

    def __init__(self, records: Iterable[Record]) -> None:
        self._by_path: Final[defaultdict[str, list[Record]]] = defaultdict(list)
        for each in records:
            if "path" in each:
                self._by_path[each["path"]].append(each)

    def newest_first(self, path: str, before: str) -> Iterator[Record]:
        """See `BackwardRecords`."""
        for each in reversed(self._by_path.get(path, ())):
            if each["time"] < before:
                yield each


class RecentRecords:
    """The last records of each path, and for earlier ones other records.

    Args:
        inputs: the last inputs, by path; see `Records.input`.
        outputs: the last outputs.
        skipped: see `Records.skipped`.
        earlier: all records.
    """

    def __init__(
        self,
        inputs: Mapping[str, Record],
        outputs: Mapping[str, Record],
        skipped: Mapping[str, Mapping[str, int]],
        earlier: Records,
    ) -> None:
        self._inputs = inputs
        self._outputs = outputs
        self._skipped = skipped
        self._earlier = earlier

    def output(self, path: str, before: str = ENDLESS) -> Record | None:
        """See `Records`."""
        last = self._outputs.get(path)
        if last is not None and last["time"] < before:
            return last
        return self._earlier.output(path, before)

    def input(self, path: str, before: str = ENDLESS) -> Record | None:
        """See `Records`."""
        last = self._inputs.get(path)
        if last is None or last["time"] >= before:
            return self._earlier.input(path, before)
        if last["kind"] == "state" and last.get("trigger"):
            # A rule found this value when it was set up: it may be older than the runner.
            earlier = self._earlier.input(path, before)
            if earlier is not None and self._is_one_value(path, earlier, last):
                return earlier
        return last

    def _is_one_value(self, path: str, earlier: Record, last: Record) -> bool:
        """Whether two inputs have one value, and no rule has set another one between them."""
        if not _has_value_of(earlier, last):
            return False
        output = self.output(path, last["time"])
        if output is None or output["time"] < earlier["time"] or output["outcome"] != "done":
            return True
        return _has_value_of(output, last)

    def skipped(self, path: str, before: str = ENDLESS) -> Mapping[str, int]:
        """See `Records`."""
        if path in self._skipped or before != ENDLESS:
            return self._skipped.get(path) or self._earlier.skipped(path, before)
        return {}


def is_output(record: Record) -> bool:
    """Whether a record is one of an output of a rule."""
    return record["event"] in OUTPUTS and record.get("module") is not None


def _has_value_of(one: Record, other: Record) -> bool:
    return one.get("unknown", False) == other.get("unknown", False) and bool(
        one.get("value") == other.get("value")
    )
