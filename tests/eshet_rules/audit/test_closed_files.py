"""Reading the closed files of a trail, whatever state they are in."""

from pathlib import Path
from typing import Any

import pytest

from eshet_rules.audit import trail as trail_module
from eshet_rules.audit.archive import closed_files
from eshet_rules.audit.frames import frames_of, read_frame
from eshet_rules.audit.query import Damage, Filter, Reader
from eshet_rules.audit.trail import Trail


def stamp(second: int) -> str:
    return f"2026-11-25T03:{second // 60:02}:{second % 60:02}.000000Z"


def note(number: int) -> dict[str, Any]:
    time = stamp(number)
    return {"time": time, "level": "info", "event": "note", "logger": "n", "number": number}


@pytest.fixture
def file(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> Path:
    """Return the open file of a trail of 30 records, after several closed ones."""
    monkeypatch.setattr(trail_module, "wall_stamp", lambda: stamp(0))
    file = tmp_path / "trail.jsonl"
    trail = Trail(file, size=800)
    trail.open()
    for number in range(30):
        assert trail.append(note(number), stamp(number))
    trail.close()
    assert len(closed_files(file)) > 3
    return file


def read(file: Path, wanted: Filter = Filter()) -> tuple[list[int], list[Damage]]:  # noqa: B008
    damages: list[Damage] = []
    found = Reader(file, wanted, damages.append).records()
    return [each["number"] for each in found if "number" in each], damages


def expand(path: Path) -> Path:
    """Replace a compressed file by what it was before."""
    with path.open("rb") as closed:
        data = b"".join(read_frame(closed, frame) for frame in frames_of(closed)[0])
    path.unlink()
    plain = path.with_suffix("")
    plain.write_bytes(data)
    return plain


@pytest.mark.parametrize("position", [0, 1, -1])
def test_a_closed_file_that_is_not_compressed_yet_is_read_in_its_place(
    file: Path, position: int
) -> None:
    expand(closed_files(file)[position])
    assert read(file) == (list(range(30)), [])


def test_a_file_that_is_there_in_both_forms_is_read_once(file: Path) -> None:
    compressed = closed_files(file)[1]
    data = compressed.read_bytes()
    expand(compressed)
    compressed.write_bytes(data)
    assert read(file) == (list(range(30)), [])


def test_a_closed_file_that_can_not_be_read_is_reported_and_the_others_are_read(
    file: Path,
) -> None:
    victim = closed_files(file)[1]
    victim.unlink()
    victim.with_suffix("").mkdir()
    numbers, damages = read(file)
    assert 0 < len(numbers) < 30
    assert (numbers[0], numbers[-1]) == (0, 29)
    assert [(each.file, each.lines) for each in damages] == [(victim.with_suffix(""), 0)]
    assert damages[0].problem.startswith("it can't be read: ")


@pytest.mark.parametrize(("gone", "missing"), [([0], 0), ([0, 1], 0), ([1], 1), ([1, 2], 1)])
def test_only_files_that_are_missing_in_the_middle_are_reported(
    file: Path, gone: list[int], missing: int
) -> None:
    files = closed_files(file)
    for position in gone:
        files[position].unlink()
    _, damages = read(file)
    assert len(damages) == missing
    if missing:
        after = files[max(gone) + 1].with_suffix("")
        assert damages == [Damage(after, "files before this one are missing")]


@pytest.mark.parametrize(
    ("wanted", "numbers"),
    [
        (Filter(since=stamp(10)), range(10, 30)),
        (Filter(until=stamp(10)), range(10)),
        (Filter(since=stamp(5), until=stamp(6)), [5]),
        (Filter(since=stamp(6), until=stamp(6)), []),
        (Filter(event="note"), range(30)),
        (Filter(rule="x"), []),
        (Filter(path="/x"), []),
        (Filter(cause="x"), []),
    ],
)
def test_a_filter_selects_the_same_in_all_forms_of_a_file(
    file: Path, wanted: Filter, numbers: Any
) -> None:
    expand(closed_files(file)[1])
    assert read(file, wanted) == (list(numbers), [])


RECORD = {
    "time": stamp(5),
    "event": "output.set",
    "rule": "hall.light",
    "path": "/hall/lamp",
    "cause": "c-2",
    "parent": "c-1",
}


@pytest.mark.parametrize(
    ("wanted", "matches"),
    [
        (Filter(), True),
        (Filter(rule="hall.light"), True),
        (Filter(rule="hall.ligh"), False),
        (Filter(rule="hall.*"), True),
        (Filter(path="/hall/*"), True),
        (Filter(path="/bath/*"), False),
        (Filter(event="output.set"), True),
        (Filter(event="output"), False),
        (Filter(cause="c-2"), True),
        (Filter(cause="c-1"), True),
        (Filter(cause="c-3"), False),
        (Filter(since=stamp(5)), True),
        (Filter(since=stamp(6)), False),
        (Filter(until=stamp(5)), False),
        (Filter(until=stamp(6)), True),
        (Filter(rule="hall.light", path="/bath"), False),
    ],
)
def test_a_record_matches_if_all_of_a_filter_do(wanted: Filter, matches: bool) -> None:
    assert wanted.matches(RECORD) is matches
    bare = {"time": stamp(5), "event": "note", "logger": "n"}
    is_bare = all(each is None for each in (wanted.rule, wanted.path, wanted.event, wanted.cause))
    assert wanted.matches(bare) is (is_bare and matches)


@pytest.mark.parametrize("path", ["/a", "/a*", "/[a]", "/a?", None])
def test_only_a_path_without_a_glob_is_exact(path: str | None) -> None:
    assert Filter(path=path).exact_path == (path if path == "/a" else None)
