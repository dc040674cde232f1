"""The newest records of a trail are those that the reader finds, in the other order."""

import pytest

from eshet_rules.audit import frames, newest
from eshet_rules.audit import trail as trail_module
from eshet_rules.audit.newest import newest_first
from eshet_rules.audit.query import Filter, Reader
from eshet_rules.audit.trail import Trail
from tests.eshet_rules.audit.test_query import record, stamp


@pytest.fixture(autouse=True)
def small_blocks(monkeypatch):
    monkeypatch.setattr(trail_module, "wall_stamp", lambda: stamp(0))
    monkeypatch.setattr(newest, "FRAME_SIZE", 700)
    monkeypatch.setattr(frames, "FRAME_SIZE", 700)


@pytest.fixture
def file(tmp_path):
    """A trail of several closed files and an open one."""
    trail = Trail(tmp_path / "trail.jsonl", size=8000)
    trail.open()
    for number in range(200):
        trail.append(record(number), stamp(number))
    trail.close()
    assert len(list(tmp_path.iterdir())) > 3
    return tmp_path / "trail.jsonl"


FILTERS = [
    Filter(),
    Filter(rule="hall.*"),
    Filter(path="/bath/heater"),
    Filter(event="output.set"),
    Filter(cause="c-10"),
    Filter(since=stamp(50), until=stamp(150)),
    Filter(path="/hall/fan", since=stamp(20), until=stamp(21)),
    Filter(rule="nothing"),
]


@pytest.mark.parametrize("wanted", FILTERS)
def test_all_are_those_of_the_reader(file, wanted):
    found = newest_first(file, wanted, 10_000)
    assert found.records[::-1] == list(Reader(file, wanted).records())
    assert found.next is None
    assert found.damaged == 0


@pytest.mark.parametrize("wanted", FILTERS)
@pytest.mark.parametrize("most_bytes", [1500, 1 << 20])
def test_pages_together_are_all_of_them(file, wanted, most_bytes):
    found = []
    until = wanted.until
    while until is not None:
        part = newest_first(
            file,
            Filter(
                rule=wanted.rule,
                path=wanted.path,
                event=wanted.event,
                cause=wanted.cause,
                since=wanted.since,
                until=until,
            ),
            7,
            most_bytes,
        )
        found += part.records
        until = part.next
    assert found[::-1] == list(Reader(file, wanted).records())


def test_records_of_one_time_are_not_parted(tmp_path):
    trail = Trail(tmp_path / "trail.jsonl")
    trail.open()
    for number in range(30):
        trail.append({**record(number), "time": stamp(number // 10)}, stamp(number // 10))
    trail.close()
    found = newest_first(tmp_path / "trail.jsonl", Filter(rule="*"), 5)
    assert [each["number"] for each in found.records] == list(range(29, 19, -1))


def test_damage_is_counted_and_the_rest_is_found(file):
    lines = file.read_bytes().splitlines(keepends=True)
    wrong = len(lines) // 2
    lines[wrong] = lines[wrong].replace(b"value", b"VALUE")
    file.write_bytes(b"".join(lines))
    whole = list(Reader(file, Filter()).records())
    found = newest_first(file, Filter(), 10_000)
    assert found.records[::-1] == whole
    assert found.damaged == 1


def test_a_line_that_is_being_written_is_left_out(file):
    with file.open("ab") as end:
        end.write(b'{"time":"2099-')
    assert newest_first(file, Filter(), 1).records[0]["number"] == 199


def test_a_very_long_line_is_read(tmp_path):
    trail = Trail(tmp_path / "trail.jsonl")
    trail.open()
    for number in range(5):
        trail.append({**record(number), "value": "x" * 5000}, stamp(number))
    trail.close()
    found = newest_first(tmp_path / "trail.jsonl", Filter(rule="*"), 10)
    assert [each["number"] for each in found.records] == [4, 3, 2, 1, 0]


def test_a_trail_that_does_not_exist_has_no_records(tmp_path):
    assert newest_first(tmp_path / "trail.jsonl", Filter(), 10) == ([], None, 0)


def test_long_records_come_in_short_pages(file):
    wanted = Filter(path="/hall/fan")
    whole = newest_first(file, wanted, 10_000).records
    found = []
    until = wanted.until
    while until is not None:
        page = newest_first(file, Filter(path="/hall/fan", until=until), 10_000, most_found=500)
        assert len(page.records) < 10
        found += page.records
        until = page.next
    assert found == whole
