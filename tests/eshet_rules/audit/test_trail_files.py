"""When a trail begins a new file, what it does when its file is gone, and what counts as lost."""

import contextlib
import shutil
from collections.abc import Callable
from pathlib import Path
from typing import Any

import msgspec
import pytest

from eshet_rules.audit import trail as trail_module
from eshet_rules.audit.archive import closed_files
from eshet_rules.audit.lines import decode, encode
from eshet_rules.audit.trail import Trail, open_file


def stamp(second: int, day: int = 25) -> str:
    return f"2026-11-{day:02}T03:{second // 60:02}:{second % 60:02}.000000Z"


def note(number: int, time: str, text: str = "") -> dict[str, Any]:
    return {
        "time": time, "level": "info", "event": "note", "logger": "n", "number": number, "t": text,
    }  # fmt: skip


class Runs:
    """A trail that is opened again and again, on a clock that the test sets."""

    def __init__(self, file: Path) -> None:
        self.file = file
        self.now = stamp(0)
        self.problems: list[tuple[str, dict[str, Any]]] = []
        self.trail: Trail

    def begin(self, **options: Any) -> None:
        self.trail = Trail(self.file, report=self.report, **options)
        self.trail.open()

    def report(self, problem: Any) -> None:
        self.problems.append((problem.EVENT, msgspec.to_builtins(problem)))

    def append(self, number: int, time: str, text: str = "") -> bool:
        return self.trail.append(note(number, time, text), time)

    @property
    def records(self) -> list[dict[str, Any]]:
        return [decode(line) for line in self.file.read_bytes().splitlines()]

    @property
    def numbers(self) -> list[int]:
        return [each["number"] for each in self.records if each["event"] == "note"]

    @property
    def closed(self) -> list[str]:
        return [path.name for path in closed_files(self.file)]


@pytest.fixture
def runs(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> Runs:
    runs = Runs(tmp_path / "audit" / "trail.jsonl")
    monkeypatch.setattr(trail_module, "wall_stamp", lambda: runs.now)
    return runs


@pytest.mark.parametrize("day", [24, 25, 26])
def test_after_a_restart_on_another_day_the_file_of_before_is_closed(runs: Runs, day: int) -> None:
    runs.begin()
    runs.append(1, stamp(1))
    runs.trail.close()
    runs.now = stamp(0, day)
    runs.begin()
    assert runs.closed == []
    runs.append(2, stamp(5, day))
    runs.trail.close()
    if day == 25:
        assert (runs.closed, runs.numbers) == ([], [1, 2])
    else:
        assert runs.closed == ["trail-000001-20261125T030000.jsonl.zst"]
        assert runs.numbers == [2]
        assert runs.records[0]["after"] == "trail-000001-20261125T030000"
    assert runs.problems == []


def test_a_file_is_named_by_the_time_of_its_first_record_also_after_a_restart(runs: Runs) -> None:
    runs.now = stamp(7)
    runs.begin()
    runs.append(1, stamp(8))
    runs.trail.close()
    runs.now = stamp(9)
    runs.begin()
    for number, day in ((2, 26), (3, 26), (4, 27)):
        runs.append(number, stamp(10 * number, day))
    runs.trail.close()
    assert runs.closed == [
        "trail-000001-20261125T030007.jsonl.zst",
        "trail-000002-20261126T030020.jsonl.zst",
    ]
    assert runs.numbers == [4]


@pytest.mark.parametrize("spare", [-1, 0, 1])
def test_a_line_that_just_fits_is_in_the_same_file(runs: Runs, spare: int) -> None:
    runs.begin()
    begun = runs.file.stat().st_size
    lines = [encode(note(number, stamp(number), "x" * 50)) for number in (1, 2)]
    runs.trail.close()
    runs.begin(size=begun + sum(map(len, lines)) + spare)
    for number in (1, 2):
        runs.append(number, stamp(number), "x" * 50)
    runs.trail.close()
    assert runs.numbers == ([2] if spare < 0 else [1, 2])
    assert len(runs.closed) == (1 if spare < 0 else 0)


def test_what_is_collected_is_flushed_when_it_is_more_than_64_kb(runs: Runs) -> None:
    runs.begin()
    length = len(encode(note(1, stamp(1))))
    text = "x" * (4096 - length)
    wants = [runs.trail.collect(note(1, stamp(1), text), stamp(1)) for _ in range(17)]
    assert wants == [False] * 16 + [True]
    assert runs.numbers == []
    assert runs.trail.flush()
    assert runs.numbers == [1] * 17
    assert not runs.trail.collect(note(2, stamp(1), text), stamp(1))
    runs.trail.close()
    assert runs.numbers[-1] == 2


@pytest.mark.parametrize(
    "remove", [lambda file: file.unlink(), lambda file: file.rename(file.with_suffix(".moved"))]
)
def test_a_file_that_is_gone_is_replaced_and_its_records_count_as_lost(
    runs: Runs, remove: Callable[[Path], object]
) -> None:
    runs.begin()
    for number in (1, 2, 3):
        assert runs.append(number, stamp(number))
    remove(runs.file)
    assert runs.append(4, stamp(3))  # the same second: it is not looked for again
    assert not runs.file.exists()
    assert runs.append(5, stamp(4))
    runs.trail.close()
    [_, gap, last] = runs.records
    assert (gap["event"], gap["lost"], gap["since"]) == ("trail.records_lost", 5, stamp(0))
    assert "moved or deleted" in gap["error"]
    assert (gap["time"], gap["level"], last["number"]) == (stamp(4), "error", 5)
    [(event, problem)] = runs.problems
    assert (event, problem["file"]) == ("trail.moved", str(runs.file))
    assert "new file" in problem["error"]


def test_a_folder_that_is_gone_is_made_again(runs: Runs) -> None:
    runs.begin()
    runs.append(1, stamp(1))
    shutil.rmtree(runs.file.parent)
    assert runs.append(2, stamp(2))
    runs.trail.close()
    assert runs.numbers == [2]


def test_an_outage_is_reported_once_tried_each_second_and_its_gap_recorded(runs: Runs) -> None:
    runs.begin()
    runs.append(1, stamp(1))
    runs.trail.close()
    folder = runs.file.parent
    shutil.rmtree(folder)
    folder.write_text("not a folder")
    runs.now = stamp(10)
    runs.begin()
    assert not runs.append(2, stamp(10))
    assert not runs.append(3, stamp(11))
    folder.unlink()
    assert not runs.append(4, stamp(11))  # in the second of the last failure
    assert runs.append(5, stamp(12))
    assert runs.append(6, stamp(12))
    [started, gap, *notes] = runs.records
    assert (started["event"], [each["number"] for each in notes]) == ("trail.started", [5, 6])
    assert (gap["lost"], gap["since"], gap["time"]) == (3, stamp(10), stamp(12))
    assert [event for event, _ in runs.problems] == ["trail.not_written"]
    assert runs.problems[0][1]["file"] == str(runs.file)
    folder_again = runs.file.parent
    shutil.rmtree(folder_again)
    folder_again.write_text("not a folder")
    assert not runs.append(7, stamp(13))
    assert [event for event, _ in runs.problems][-2:] == ["trail.moved", "trail.not_written"]
    folder_again.unlink()
    runs.now = stamp(14)
    runs.trail.close()
    [_, gap] = runs.records
    assert (gap["event"], gap["time"]) == ("trail.records_lost", stamp(14))


def test_one_file_is_open_until_the_end_over_days_and_a_move(runs: Runs) -> None:
    def open_files() -> int:
        found = 0
        for each in list(Path("/proc/self/fd").iterdir()):
            with contextlib.suppress(FileNotFoundError):  # that of the listing itself
                found += str(each.readlink()).startswith(str(runs.file))
        return found

    runs.begin()
    for day in (1, 2, 3):
        runs.append(day, stamp(1, day))
        assert open_files() == 1
    runs.file.unlink()
    runs.append(4, stamp(5, 3))
    assert open_files() == 1
    runs.trail.close()
    assert open_files() == 0


def test_closing_twice_or_a_trail_that_was_never_open_does_nothing(runs: Runs) -> None:
    Trail(runs.file).close()
    assert not runs.file.exists()
    runs.begin()
    runs.append(1, stamp(1))
    runs.trail.close()
    runs.trail.close()
    assert runs.numbers == [1]


@pytest.mark.parametrize(
    ("place", "file"),
    [
        ("folder", "folder/trail.jsonl"),
        ("file", "file"),
        ("new", "new/trail.jsonl"),
        ("new.jsonl", "new.jsonl"),
        ("folder.d", "folder.d/trail.jsonl"),
    ],
)
def test_the_open_file_is_a_file_or_in_a_folder(tmp_path: Path, place: str, file: str) -> None:
    (tmp_path / "folder").mkdir()
    (tmp_path / "folder.d").mkdir()
    (tmp_path / "file").write_text("")
    assert open_file(tmp_path / place) == tmp_path / file


def test_a_device_has_no_days_and_no_size(tmp_path: Path) -> None:
    problems: list[Any] = []
    trail = Trail(Path("/dev/null"), size=100, report=problems.append)
    trail.open()
    for day in (1, 2, 3):
        assert trail.append(note(day, stamp(1, day), "x" * 200), stamp(1, day))
    trail.close()
    assert problems == []
