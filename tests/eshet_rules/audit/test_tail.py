"""What follows a position in a trail, whatever happens to its files."""

import os
from collections.abc import Callable, Iterator
from pathlib import Path
from typing import Any

import pytest

from eshet_rules.audit import trail as trail_module
from eshet_rules.audit.archive import closed_files
from eshet_rules.audit.lines import decode
from eshet_rules.audit.tail import PART_SIZE, Gap, Position, Tail
from eshet_rules.audit.trail import Trail


class Written:
    """A trail on a clock that goes on by a second for each record."""

    def __init__(self, file: Path, monkeypatch: pytest.MonkeyPatch) -> None:
        self.file = file
        self._second = 0
        monkeypatch.setattr(trail_module, "wall_stamp", self._now)
        self._tails: list[Tail] = []
        self.open()

    def open(self, size: int = 4096) -> None:
        self.trail = Trail(self.file, size=size)
        self.trail.open()

    def close(self) -> None:
        self.trail.close()
        for tail in self._tails:
            tail.close()

    def tail(self, position: Position | None = None) -> Tail:
        self._tails.append(Tail(self.file, position))
        return self._tails[-1]

    def _now(self) -> str:
        self._second += 1
        minutes, seconds = divmod(self._second, 60)
        return f"2026-11-25T03:{minutes:02}:{seconds:02}.000000Z"

    def note(self, *numbers: int, text: str = "") -> None:
        for number in numbers:
            time = self._now()
            self.trail.append(
                {"time": time, "level": "info", "event": "note", "number": number, "text": text},
                time,
            )

    def begin_next(self) -> None:
        """Fill the open file, so that the next record begins another one, and compress it."""
        closed = len(closed_files(self.file))
        while len(closed_files(self.file)) == closed:
            self.note(0, text="x" * 2000)
        self.trail._archive.join()


@pytest.fixture
def written(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> Iterator[Written]:
    written = Written(tmp_path / "trail.jsonl", monkeypatch)
    yield written
    written.close()


def read(tail: Tail) -> list[int | Gap]:
    """Return the numbers of all notes that follow, and the gaps between them."""
    found: list[int | Gap] = []
    while (part := tail.read()) is not None:
        found += [part] if isinstance(part, Gap) else numbers(part.lines)
    return found


def numbers(lines: bytes) -> list[int]:
    records: list[dict[str, Any]] = [decode(line) for line in lines.splitlines()]
    return [each["number"] for each in records if each.get("number")]


def end_of(tail: Tail) -> Position:
    """Read on to the end, and return that position."""
    part = tail.read()
    assert part is not None
    assert not isinstance(part, Gap)
    assert tail.read() is None
    return part.end


def test_it_reads_new_lines_when_they_are_there(written: Written) -> None:
    tail = written.tail()
    assert read(tail) == []
    written.note(1, 2)
    assert read(tail) == [1, 2]
    assert read(tail) == []
    written.note(3)
    assert read(tail) == [3]


def test_a_trail_may_begin_later(written: Written) -> None:
    tail = written.tail()
    written.trail.close()
    written.file.unlink()
    assert tail.read() is None
    written.open()
    written.note(1)
    assert read(tail) == [1]


def test_an_incomplete_line_is_read_when_it_is_complete(written: Written) -> None:
    tail = written.tail()
    written.note(1)
    line = written.file.read_bytes().splitlines(keepends=True)[-1]
    with written.file.open("ab") as file:
        file.write(line[:20])
        file.flush()
        assert read(tail) == [1]
        file.write(line[20:])
    assert read(tail) == [1]


def test_it_goes_on_over_closed_files(written: Written) -> None:
    tail = written.tail()
    written.note(1)
    assert read(tail) == [1]
    written.note(2)
    written.begin_next()
    written.note(3)
    written.begin_next()
    written.note(4)
    assert read(tail) == [2, 3, 4]


@pytest.mark.parametrize("closed", [0, 1, 3])
def test_another_tail_continues_after_a_position(written: Written, closed: int) -> None:
    written.note(1)
    position = end_of(written.tail())
    written.note(2)
    for _ in range(closed):
        written.begin_next()
    written.note(3)
    assert read(written.tail(position)) == [2, 3]


def test_a_long_file_is_read_in_parts_of_complete_lines(written: Written) -> None:
    def parts(tail: Tail) -> list[list[int]]:
        found = []
        while (part := tail.read()) is not None:
            assert not isinstance(part, Gap)
            found.append(numbers(part.lines))
        return found

    written.trail.close()
    written.open(1 << 23)
    written.note(*range(1, 8), text="x" * 100_000)
    written.note(8, text="x" * (PART_SIZE + 1))
    written.note(9)
    begin = Position("2026-11-25T03:00:01.000000Z", 0)
    assert parts(written.tail(begin)) == [[1, 2], [3, 4], [5, 6], [7], [8], [9]]
    written.trail.close()
    written.open()
    written.note(10)
    written.trail._archive.join()
    assert closed_files(written.file)[0].suffix == ".zst"
    assert [each for part in parts(written.tail(begin)) for each in part] == [*range(1, 11)]


def change(of: Callable[[Written], object], written: Written) -> list[int | Gap]:
    """Return what follows the position before a change, and a note after it."""
    written.note(1)
    position = end_of(written.tail())
    written.note(2)
    of(written)
    written.note(3)
    return read(written.tail(position))


def test_a_deleted_file_is_a_gap(written: Written) -> None:
    def delete(written: Written) -> None:
        written.begin_next()
        closed_files(written.file)[0].unlink()

    gap, number = change(delete, written)
    assert isinstance(gap, Gap)
    assert gap.since == "2026-11-25T03:00:02.000000Z"
    assert gap.until > "2026-11-25T03:00:03.000000Z"
    assert number == 3


def test_a_file_that_is_read_may_be_deleted(written: Written) -> None:
    tail = written.tail()
    written.note(1)
    assert read(tail) == [1]
    written.note(2)
    written.begin_next()
    closed_files(written.file)[0].unlink()
    written.note(3)
    assert read(tail) == [2, 3]


def test_files_that_were_deleted_before_they_were_read_are_a_gap(written: Written) -> None:
    tail = written.tail()
    written.note(1)
    assert read(tail) == [1]
    for _ in range(2):
        written.begin_next()
    for path in closed_files(written.file):
        path.unlink()
    written.note(3)
    [gap, number] = read(tail)
    assert isinstance(gap, Gap)
    assert number == 3


def test_a_truncated_file_is_a_gap(written: Written) -> None:
    tail = written.tail()
    written.note(*range(1, 10))
    assert read(tail) == list(range(1, 10))
    written.file.write_bytes(b"")
    written.note(10)
    [gap, number] = read(tail)
    assert isinstance(gap, Gap)
    assert number == 10
    assert read(tail) == []


def test_what_is_no_file_is_not_read(tmp_path: Path) -> None:
    os.mkfifo(tmp_path / "trail.jsonl")
    assert Tail(tmp_path / "trail.jsonl", None).read() is None


def test_a_folder_of_another_machine_is_a_gap(written: Written) -> None:
    written.note(1)
    before = Position("2026-11-24T00:00:00.000000Z", 1000, "2026-11-24T01:00:00.000000Z")
    assert read(written.tail(before)) == [
        Gap("2026-11-24T01:00:00.000000Z", "2026-11-25T03:00:01.000000Z"),
        1,
    ]
