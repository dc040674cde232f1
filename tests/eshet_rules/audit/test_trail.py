import errno
import os
import resource
import shutil
import threading
import zlib

import msgspec
import pytest

from eshet_rules.audit import trail as trail_module
from eshet_rules.audit.archive import closed_files
from eshet_rules.audit.frames import frames_of, read_frame
from eshet_rules.audit.lines import BrokenLine, decode, encode
from eshet_rules.audit.trail import Trail, open_file


def stamp(second, day=25):
    return f"2099-11-{day:02}T03:{second // 60:02}:{second % 60:02}.000000Z"


def note(number, time, text=""):
    return {
        "time": time,
        "level": "info",
        "event": "note",
        "logger": "n",
        "number": number,
        "t": text,
    }


class Bench:
    """A trail, what it reported, and what a reader finds in it."""

    def __init__(self, file, **options):
        self.file = file
        self.problems = []
        self.options = options
        self.trail = self.opened()

    def note_problem(self, problem):
        self.problems.append((problem.EVENT, msgspec.to_builtins(problem)))

    def opened(self):
        trail = Trail(self.file, report=self.note_problem, **self.options)
        trail.open()
        return trail

    def append(self, number, time=None, text=""):
        time = time or stamp(number)
        return self.trail.append(note(number, time, text), time)

    def lines(self):
        lines = []
        for path in closed_files(self.file):
            if path.suffix == ".zst":
                with path.open("rb") as file:
                    data = b"".join(read_frame(file, frame) for frame in frames_of(file)[0])
            else:
                data = path.read_bytes()
            lines += data.splitlines(keepends=True)
        if self.file.exists():
            lines += self.file.read_bytes().splitlines(keepends=True)
        return lines

    def records(self):
        return [decode(line) for line in self.lines()]

    def numbers(self):
        return [record["number"] for record in self.records() if record["event"] == "note"]

    def events(self):
        return [record["event"] for record in self.records()]


@pytest.fixture(autouse=True)
def the_clock_shows_the_time_of_the_first_record(monkeypatch):
    monkeypatch.setattr(trail_module, "wall_stamp", lambda: stamp(0))


@pytest.fixture
def file(tmp_path):
    return tmp_path / "audit" / "trail.jsonl"


@pytest.fixture
def bench(file):
    bench = Bench(file)
    yield bench
    bench.trail.close()


def test_a_record_is_in_the_file_when_append_returns(bench):
    assert bench.append(1)
    assert bench.numbers() == [1]
    assert bench.lines()[-1].endswith(b"\n")


def test_each_file_begins_with_the_version_of_the_schema(bench):
    first = bench.records()[0]
    assert (first["event"], first["schema"]) == ("trail.started", 2)


def test_keys_come_in_order_and_without_space_so_that_bytes_can_be_searched():
    line = encode({"time": "T", "level": "info", "event": "e", "path": "/a", "value": {"b": 1}})
    assert line.startswith(
        b'{"time":"T","level":"info","event":"e","path":"/a","value":{"b":1},"crc":"'
    )


def test_files_are_for_their_owner_only(bench):
    bench.append(1)
    assert bench.file.stat().st_mode & 0o777 == 0o600
    assert bench.file.parent.stat().st_mode & 0o777 == 0o700


@pytest.mark.parametrize("place", ["audit", "log.jsonl"])
def test_a_trail_is_at_a_folder_or_a_file(tmp_path, place):
    expected = {"audit": "audit/trail.jsonl", "log.jsonl": "log.jsonl"}[place]
    assert open_file(tmp_path / place) == tmp_path / expected


def test_a_second_start_goes_on_with_the_same_file(bench):
    bench.append(1)
    bench.trail.close()
    bench.trail = bench.opened()
    bench.append(2)
    assert bench.numbers() == [1, 2]
    assert bench.events().count("trail.started") == 1


@pytest.mark.parametrize("value", [b"\x00", "\ud800", float("nan"), {b"a": 1}, {1: {2: 3}}, 2**70])
def test_whatever_a_value_is_it_makes_a_line(value):
    line = encode({"time": "T", "value": value, "event": "\ud800"})
    assert decode(line)["time"] == "T"
    assert line.count(b"\n") == 1


@pytest.mark.parametrize("text", ["a\nb", '"}\n{"time":"', "\r\n", "\u2028", "\x1b[2J", "\x00"])
def test_no_value_can_forge_a_line(bench, text):
    bench.append(1, text=text)
    bench.append(2)
    assert bench.numbers() == [1, 2]
    assert bench.records()[1]["t"] == text


class TestTornLines:
    """What a kill in the midst of a write leaves."""

    def test_a_torn_last_line_is_cut_off_and_reported(self, bench):
        bench.append(1)
        bench.append(2)
        bench.trail.close()
        whole = bench.file.read_bytes()
        last = len(bench.lines()[-1])
        for cut in range(1, last):
            bench.file.write_bytes(whole[:-cut])
            bench.problems.clear()
            bench.trail = bench.opened()
            bench.trail.close()
            assert bench.numbers() == [1]
            assert bench.problems == [("trail.repaired", {"cut": last - cut})]

    @pytest.mark.parametrize("length", [1, 65535, 65536, 65537, 200_000])
    def test_a_torn_line_may_be_long(self, bench, length):
        bench.append(1)
        bench.trail.close()
        with bench.file.open("ab") as file:
            file.write(b"x" * length)
        bench.trail = bench.opened()
        assert bench.problems == [("trail.repaired", {"cut": length})]
        assert bench.numbers() == [1]

    def test_a_file_without_any_whole_line_begins_anew(self, file):
        file.parent.mkdir()
        file.write_bytes(b'{"time":"2026-')
        bench = Bench(file)
        assert bench.events() == ["trail.started"]
        bench.trail.close()

    def test_a_flipped_bit_is_noticed_wherever_it_is(self, bench):
        bench.append(1)
        line = bench.lines()[-1].rstrip(b"\n")
        for position in range(len(line)):
            for bit in range(8):
                flipped = bytearray(line)
                flipped[position] ^= 1 << bit
                with pytest.raises(BrokenLine):
                    decode(bytes(flipped))


class TestRotation:
    """When a file is full, or its day is over."""

    def test_a_full_file_is_closed_and_compressed(self, file):
        bench = Bench(file, size=2000)
        for number in range(50):
            assert bench.append(number)
        bench.trail.close()
        assert bench.numbers() == list(range(50))
        assert len(closed_files(file)) == 3
        assert {path.suffix for path in closed_files(file)} == {".zst"}
        assert file.stat().st_size <= 2000

    def test_each_file_names_the_one_before_it(self, file):
        bench = Bench(file, size=1000)
        for number in range(20):
            bench.append(number)
        bench.trail.close()
        after = [r.get("after") for r in bench.records() if r["event"] == "trail.started"]
        names = [path.name.partition(".jsonl")[0] for path in closed_files(file)]
        assert after == [None, *names]

    def test_a_new_day_begins_a_new_file(self, bench):
        bench.append(1, stamp(1, day=25))
        bench.append(2, stamp(2, day=25))
        bench.append(3, stamp(1, day=26))
        bench.trail.close()
        assert bench.numbers() == [1, 2, 3]
        days = [decode(line)["time"][8:10] for line in file_lines(bench.file)]
        assert set(days) == {"26"}

    def test_the_index_of_a_closed_file_tells_times_and_paths(self, file):
        bench = Bench(file, size=1000)
        for number in range(20):
            record = {**note(number, stamp(number)), "path": f"/{number % 3}"}
            bench.trail.append(record, record["time"])
        bench.trail.close()
        with closed_files(file)[1].open("rb") as closed:
            [frame], _ = frames_of(closed)
            lines = read_frame(closed, frame).splitlines()
        assert (frame.first, frame.last) == (decode(lines[0])["time"], decode(lines[-1])["time"])
        assert frame.lines == len(lines)
        assert set(frame.paths) == {"/0", "/1", "/2"}

    def test_what_could_not_be_compressed_is_at_the_next_start(self, file):
        bench = Bench(file, size=1000)
        for number in range(10):
            bench.append(number)
        bench.trail.close()
        for path in closed_files(file):  # as if it had been killed before that
            with path.open("rb") as closed:
                data = b"".join(read_frame(closed, frame) for frame in frames_of(closed)[0])
            path.with_suffix("").write_bytes(data)
            path.unlink()
        (file.parent / "trail-x.jsonl.part").write_bytes(b"x")
        bench.trail = bench.opened()
        bench.trail.close()
        assert {path.suffix for path in closed_files(file)} == {".zst"}
        assert bench.numbers() == list(range(10))

    def test_the_oldest_files_go_when_all_are_too_large(self, file):
        bench = Bench(file, size=1000, total=2000)
        for number in range(200):
            bench.append(number)
        bench.trail.close()
        numbers = bench.numbers()
        assert 0 < len(numbers) < 200
        assert numbers == list(range(numbers[0], 200))
        assert sum(path.stat().st_size for path in closed_files(file)) <= 2000

    def test_two_files_that_begin_at_the_same_time_have_two_names(self, file):
        bench = Bench(file, size=500)
        for number in range(20):
            bench.append(number, stamp(1))
        bench.trail.close()
        assert bench.numbers() == list(range(20))

    def test_the_order_of_files_is_kept_when_the_clock_is_set_back(self, file):
        bench = Bench(file, size=500)
        for number in range(20):
            bench.append(number, stamp(100 - number))
        bench.trail.close()
        assert bench.numbers() == list(range(20))


def file_lines(path):
    return path.read_bytes().splitlines()


class Failing:
    """Stands for `os` in the trail, whose n-th call that can fail does, and those after it."""

    CALLS = frozenset({"open", "write", "ftruncate", "fstat", "pread"})

    def __init__(self, *which):
        self.which = which
        self.calls = 0

    def __getattr__(self, name):
        value = getattr(os, name)
        return self.counted(value) if name in self.CALLS else value

    def counted(self, function):
        def call(*args):
            self.calls += 1
            if self.calls in self.which:
                raise OSError(errno.EIO, "Input/output error")
            return function(*args)

        return call


class TestFaults:
    """What the system refuses stops nothing, and is told."""

    def test_a_device_that_is_full_stops_nothing(self):
        from pathlib import Path

        bench = Bench(Path("/dev/full"))
        for number in range(200):
            assert not bench.append(number)
        assert [event for event, _ in bench.problems] == ["trail.not_written"]
        assert "No space left" in bench.problems[0][1]["error"]
        bench.trail.close()

    def test_when_there_is_space_again_the_gap_is_told(self, file):
        soft, hard = resource.getrlimit(resource.RLIMIT_FSIZE)
        bench = Bench(file)
        bench.append(1)
        size = file.stat().st_size
        try:
            resource.setrlimit(resource.RLIMIT_FSIZE, (size + 50, hard))
            for number in range(2, 12):
                assert not bench.append(number)
                assert file.stat().st_size == size
        finally:
            resource.setrlimit(resource.RLIMIT_FSIZE, (soft, hard))
        assert bench.append(12)
        assert bench.numbers() == [1, 12]
        gap = bench.records()[-2]
        assert (gap["event"], gap["lost"], gap["since"]) == ("trail.records_lost", 10, stamp(2))
        assert "too large" in gap["error"]
        bench.trail.close()

    def test_what_can_not_be_written_is_tried_again_with_another_second_only(
        self, bench, monkeypatch
    ):
        failing = Failing(*range(1000))
        monkeypatch.setattr(trail_module, "os", failing)
        bench.append(1, stamp(1))
        calls = failing.calls
        for _ in range(50):
            bench.append(2, stamp(1))
        assert failing.calls == calls
        bench.append(3, stamp(2))
        assert failing.calls > calls

    @pytest.mark.parametrize("which", range(1, 40))
    def test_whichever_call_fails_what_is_acknowledged_is_there(self, file, monkeypatch, which):
        failing = Failing(which, which + 1)
        monkeypatch.setattr(trail_module, "os", failing)
        bench = Bench(file, size=1000)
        acknowledged = [number for number in range(30) if bench.append(number)]
        bench.trail.close()
        numbers = bench.numbers()  # which decodes each line
        assert numbers == acknowledged
        lost = sum(r["lost"] for r in bench.records() if r["event"] == "trail.records_lost")
        assert lost == 30 - len(acknowledged) or bench.problems

    def test_a_file_that_could_not_be_mended_is_before_it_is_closed(self, bench, monkeypatch):
        def write(fd, data):
            if data.startswith(b'{"time":"2099-11-25'):
                os.write(fd, data[:10])
                raise OSError(errno.ENOSPC, "No space left on device")
            return os.write(fd, data)

        def ftruncate(fd, size):
            raise OSError(errno.EIO, "Input/output error")

        bench.append(1)
        system = Writing(write)
        system.ftruncate = ftruncate
        monkeypatch.setattr(trail_module, "os", system)
        assert not bench.append(2, stamp(2))
        assert not bench.append(3, stamp(3))
        assert bench.file.read_bytes().endswith(b'"2')
        del system.ftruncate
        assert bench.append(4, stamp(4, day=26))
        bench.trail.close()
        assert bench.numbers() == [1, 4]
        assert [r["lost"] for r in bench.records() if r["event"] == "trail.records_lost"] == [2]

    def test_a_file_that_can_not_be_closed_is_written_on(self, file, monkeypatch):
        bench = Bench(file, size=1000)

        def rename(self, target):
            raise OSError(errno.EROFS, "Read-only file system")

        monkeypatch.setattr(type(file), "rename", rename)
        for number in range(50):
            assert bench.append(number)
        assert {event for event, _ in bench.problems} == {"trail.not_closed"}
        assert len(bench.problems) < 10
        assert bench.numbers() == list(range(50))
        bench.trail.close()

    def test_a_folder_that_can_not_be_made_stops_nothing(self, tmp_path):
        (tmp_path / "audit").write_text("in the way")
        bench = Bench(tmp_path / "audit" / "trail.jsonl")
        assert not bench.append(1)
        assert [event for event, _ in bench.problems] == ["trail.not_written"]
        (tmp_path / "audit").unlink()
        assert bench.append(2)
        assert bench.events()[:2] == ["trail.started", "trail.records_lost"]
        bench.trail.close()


def test_records_of_many_threads_are_whole(bench):
    def append(start):
        for number in range(start, start + 200):
            bench.append(number, stamp(1))

    threads = [threading.Thread(target=append, args=(start,)) for start in range(0, 1000, 200)]
    for thread in threads:
        thread.start()
    for thread in threads:
        thread.join()
    assert sorted(bench.numbers()) == list(range(1000))


def test_what_is_collected_is_written_by_one_write_in_its_order(bench, monkeypatch):
    failing = Failing()
    monkeypatch.setattr(trail_module, "os", failing)
    for number in range(100):
        bench.trail.collect(note(number, stamp(1)), stamp(1))
    assert bench.numbers() == []
    bench.append(100)
    assert failing.calls == 1
    assert bench.numbers() == list(range(101))


def test_when_a_rule_is_interrupted_while_it_logs_the_trail_goes_on_whole(bench, monkeypatch):
    class Interrupted(BaseException):
        pass

    def write(fd, data):
        os.write(fd, data[: len(data) // 2])
        raise Interrupted

    bench.append(1)
    with monkeypatch.context() as patched:
        patched.setattr(trail_module, "os", Writing(write))
        with pytest.raises(Interrupted):
            bench.append(2)
    bench.append(3)
    assert bench.numbers() == [1, 3]
    assert [event for event, _ in bench.problems] == ["trail.repaired"]


class Writing:
    """Stands for `os` in the trail, with another `write`."""

    def __init__(self, write):
        self.write = write

    def __getattr__(self, name):
        return getattr(os, name)


@pytest.mark.parametrize(
    ("name", "other"),
    [
        ("house.jsonl", "house-garden.jsonl"),
        ("house.jsonl", "house-garden-000001-20261125T032241.jsonl"),
        ("house.jsonl", "house-000001-notes.jsonl"),
        ("t[1].jsonl", "t1-000001-20261125T032241.jsonl"),
        ("t*.jsonl", "tree-000001-20261125T032241.jsonl"),
    ],
)
def test_files_of_other_trails_in_the_folder_are_left_alone(tmp_path, name, other):
    (tmp_path / other).write_bytes(b"of another\n")
    Trail(tmp_path / name).close()
    trail = Trail(tmp_path / name, total=0)
    trail.open()
    trail.close()
    assert (tmp_path / other).read_bytes() == b"of another\n"
    assert closed_files(tmp_path / name) == []


def test_a_name_with_the_characters_of_a_pattern_has_its_own_closed_files(tmp_path):
    file = tmp_path / "t[1].jsonl"
    trail = Trail(file)
    trail.open()
    trail.append(note(1, stamp(1)), stamp(1))
    trail.append(note(2, stamp(1, day=26)), stamp(1, day=26))
    trail.close()
    assert len(closed_files(file)) == 1


@pytest.mark.parametrize(
    "body", [b"{", b"[]", b'{"a":%b}' % (b"[" * 100_000), b'{"time":1,"event":2}', b'{"time":""}']
)
def test_a_forged_line_with_a_right_checksum_is_a_broken_one(body):
    body = body[:-1]
    with pytest.raises(BrokenLine):
        decode(b'%b,"crc":"%08x"}' % (body, zlib.crc32(body)))


def delete_file(bench, aside):
    bench.file.unlink()


def move_file(bench, aside):
    bench.file.rename(aside)


def delete_folder(bench, aside):
    shutil.rmtree(bench.file.parent)


def move_folder(bench, aside):
    bench.file.parent.rename(aside)


def replace_file(bench, aside):
    """As editors save."""
    aside.write_bytes(bench.file.read_bytes())
    aside.replace(bench.file)


GONE = [delete_file, move_file, delete_folder, move_folder]


class TestMoved:
    """The file or its folder is moved or deleted while the trail is open."""

    @pytest.fixture
    def bench(self, tmp_path):
        bench = Bench(tmp_path / "audit" / "trail.jsonl")
        yield bench
        bench.trail.close()

    @pytest.mark.parametrize("change", GONE)
    def test_another_file_is_begun_with_a_record_of_the_gap(self, bench, tmp_path, change):
        assert bench.append(1)
        change(bench, tmp_path / "aside")
        assert bench.append(2)
        assert bench.append(3)
        assert bench.numbers() == [2, 3]
        assert [event for event, _ in bench.problems] == ["trail.moved"]
        gap = bench.records()[1]
        assert bench.events()[:2] == ["trail.started", "trail.records_lost"]
        assert gap["lost"] == 2  # "trail.started", and 1
        assert "moved or deleted" in gap["error"]

    @pytest.mark.parametrize("change", GONE)
    def test_a_change_shortly_before_the_end_is_recorded_at_the_end(self, bench, tmp_path, change):
        assert bench.append(1)
        change(bench, tmp_path / "aside")
        bench.trail.close()
        assert bench.events() == ["trail.started", "trail.records_lost"]
        assert bench.records()[1]["lost"] == 2
        assert [event for event, _ in bench.problems] == ["trail.moved"]

    def test_one_that_was_truncated_is_gone_on_with_after_a_record_of_the_gap(self, bench):
        assert bench.append(1)
        assert bench.append(2)
        os.truncate(bench.file, 0)
        assert bench.append(3)
        assert bench.numbers() == [3]
        gap = bench.records()[1]
        assert bench.events()[:2] == ["trail.started", "trail.records_lost"]
        assert gap["lost"] == 3
        assert "truncated" in gap["error"]

    def test_one_that_was_replaced_is_gone_on_with(self, bench, tmp_path):
        assert bench.append(1)
        replace_file(bench, tmp_path / "aside")
        assert bench.append(2)
        assert bench.numbers() == [1, 2]

    def test_what_was_moved_is_whole(self, bench, tmp_path):
        for number in range(5):
            assert bench.append(number)
        move_file(bench, tmp_path / "audit" / "trail.jsonl.1")
        assert bench.append(5)
        moved = (tmp_path / "audit" / "trail.jsonl.1").read_bytes().splitlines()
        assert [decode(line).get("number") for line in moved] == [None, *range(5)]

    def test_what_can_not_be_begun_anew_is_lost_and_counted(self, bench, tmp_path):
        assert bench.append(1)
        delete_folder(bench, tmp_path)
        bench.file.parent.touch()  # a file, in which there can be no other
        assert not bench.append(2)
        bench.file.parent.unlink()
        assert bench.append(3)
        events = [event for event, _ in bench.problems]
        assert events == ["trail.moved", "trail.not_written"]
        assert [r["lost"] for r in bench.records() if r["event"] == "trail.records_lost"] == [3]

    def test_closing_a_full_file_is_no_such_thing(self, bench):
        bench.trail.close()
        bench.options = {"size": 1000}
        bench.trail = bench.opened()
        for number in range(20):
            assert bench.append(number)
        bench.trail.close()
        assert bench.problems == []
        assert bench.numbers() == list(range(20))
