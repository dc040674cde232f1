import asyncio
import random
from datetime import UTC, datetime

import pytest

from eshet_rules.audit import trail as trail_module
from eshet_rules.audit.archive import closed_files
from eshet_rules.audit.query import Damage, Filter, Reader, stamp_of
from eshet_rules.audit.trail import Trail


def stamp(second):
    return f"2099-11-25T{second // 3600:02}:{second // 60 % 60:02}:{second % 60:02}.000000Z"


ALL = Filter()
RULES = ("hall.light", "hall.fan", "bath.heater")
PATHS = ("/hall/light", "/hall/fan", "/bath/heater")


def record(number):
    return {
        "time": stamp(number),
        "level": "debug",
        "event": ("output.set", "input.received")[number % 2],
        "rule": RULES[number % 3],
        "cause": f"c-{number // 2:x}",
        "parent": f"c-{number // 2 - 1:x}",
        "path": PATHS[number % 3],
        "value": f'"path":"/forged", {number}',
        "number": number,
    }


@pytest.fixture(autouse=True)
def the_clock_shows_the_time_of_the_first_record(monkeypatch):
    monkeypatch.setattr(trail_module, "wall_stamp", lambda: stamp(0))


@pytest.fixture
def file(tmp_path):
    return tmp_path / "trail.jsonl"


def write(file, numbers, size=3000):
    trail = Trail(file, size=size)
    trail.open()
    for number in numbers:
        assert trail.append(record(number), stamp(number))
    trail.close()


def read(file, wanted=ALL, damages=None):
    damages = [] if damages is None else damages
    found = Reader(file, wanted, damages.append).records()
    return [each["number"] for each in found if "number" in each]


@pytest.mark.parametrize(
    ("wanted", "test"),
    [
        (Filter(), lambda r: True),
        (Filter(rule="hall.light"), lambda r: r["rule"] == "hall.light"),
        (Filter(rule="hall.*"), lambda r: r["rule"].startswith("hall.")),
        (Filter(path="/bath/heater"), lambda r: r["path"] == "/bath/heater"),
        (Filter(path="/hall/*"), lambda r: r["path"].startswith("/hall/")),
        (Filter(path="/forged"), lambda r: False),
        (Filter(event="output.set"), lambda r: r["event"] == "output.set"),
        (Filter(cause="c-5"), lambda r: "c-5" in (r["cause"], r["parent"])),
        (Filter(since=stamp(50)), lambda r: r["number"] >= 50),
        (Filter(until=stamp(50)), lambda r: r["number"] < 50),
        (
            Filter(rule="hall.*", event="output.set", since=stamp(20), until=stamp(70)),
            lambda r: (
                r["rule"] != "bath.heater" and r["number"] % 2 == 0 and 20 <= r["number"] < 70
            ),
        ),
    ],
)
def test_what_is_wanted_is_found_in_order_in_all_files(file, wanted, test):
    write(file, range(100))
    assert len(closed_files(file)) > 3
    assert read(file, wanted) == [n for n in range(100) if test(record(n))]


def test_only_parts_that_may_have_it_are_read(file, monkeypatch):
    write(file, range(100))
    monkeypatch.setattr("eshet_rules.audit.query.read_frame", lambda *args: pytest.fail("read"))
    assert read(file, Filter(since=stamp(99))) == [99]
    assert read(file, Filter(path="/nowhere")) == []


def test_a_trail_of_which_there_is_no_open_file_is_read(file):
    write(file, range(50))
    file.unlink()
    numbers = read(file)
    assert numbers == list(range(len(numbers)))


def test_what_is_not_there_has_no_records(file):
    assert read(file) == []


def test_a_line_that_is_being_written_is_not_served(file):
    write(file, range(3))
    whole = file.read_bytes()
    for cut in range(1, 100):
        file.write_bytes(whole[:-cut])
        damages = []
        assert read(file, damages=damages) == [0, 1]
        assert damages == []


class TestDamage:
    """What was not written is not served, and told."""

    @pytest.mark.parametrize("seed", range(30))
    def test_flipped_bits_cost_the_lines_they_are_in_and_no_other(self, file, seed):
        chance = random.Random(seed)  # noqa: S311
        write(file, range(20), size=1 << 20)
        data = bytearray(file.read_bytes())
        starts = [0, *(i + 1 for i, byte in enumerate(data) if byte == 10)]
        hit = set()
        for _ in range(3):
            position = chance.randrange(len(data) - 1)
            data[position] ^= 1 << chance.randrange(8)
            line = max(i for i, start in enumerate(starts) if start <= position)
            hit |= {line, line + 1} if position + 1 in starts else {line}  # a newline joins two
        file.write_bytes(data)
        damages = []
        numbers = read(file, damages=damages)
        assert set(range(20)) - {line - 1 for line in hit} <= set(numbers)
        assert numbers == sorted(numbers)
        assert damages

    @pytest.mark.parametrize("seed", range(30))
    def test_a_compressed_file_that_is_damaged_serves_nothing_wrong(self, file, seed):
        chance = random.Random(seed)  # noqa: S311
        write(file, range(100))
        closed = closed_files(file)
        victim = chance.choice(closed)
        data = bytearray(victim.read_bytes())
        if seed % 2:
            data[chance.randrange(len(data))] ^= 1 << chance.randrange(8)
        else:
            del data[chance.randrange(len(data)) :]
        victim.write_bytes(data)
        damages = []
        numbers = read(file, damages=damages)
        assert numbers == sorted(set(numbers))
        assert set(numbers) <= set(range(100))
        assert {damage.file for damage in damages} == {victim}

    def test_without_its_index_a_file_is_read_in_whole(self, file):
        write(file, range(100))
        victim = closed_files(file)[0]
        data = victim.read_bytes()
        victim.write_bytes(data[:-1])
        damages = []
        numbers = read(file, Filter(rule="hall.light"), damages)
        assert numbers == [n for n in range(100) if n % 3 == 0]
        assert "index" in damages[0].problem

    def test_a_file_that_is_missing_in_the_middle_is_told(self, file):
        write(file, range(100))
        closed_files(file)[1].unlink()
        damages = []
        read(file, damages=damages)
        [damage] = damages
        assert "missing" in damage.problem

    def test_that_the_oldest_have_gone_is_no_damage(self, file):
        write(file, range(100))
        closed_files(file)[0].unlink()
        damages = []
        assert read(file, damages=damages)[-1] == 99
        assert damages == []

    def test_lines_that_are_broken_are_counted(self, file):
        write(file, range(3))
        file.write_bytes(file.read_bytes().replace(b"number", b"numbre"))
        damages = []
        assert read(file, damages=damages) == []
        assert damages == [Damage(file, "it has damaged lines", 3)]


FILTERS = {
    "all": ALL,
    "path": Filter(path="/hall/fan"),
    "glob": Filter(path="/bath/*"),
    "rule": Filter(rule="hall.fan"),
    "event": Filter(event="output.set"),
    "cause": Filter(cause="c-1"),
    "times": Filter(since=stamp(40), until=stamp(50)),
    "nothing": Filter(path="/none"),
}


@pytest.mark.parametrize("wanted", FILTERS.values(), ids=FILTERS)
class TestDamageUnderEveryFilter:
    """What can't be read may have been what is asked for."""

    def flip(self, path, numbers):
        """Change a byte of the path in the records of these numbers."""
        lines = path.read_bytes().splitlines(keepends=True)
        for number in numbers:
            [at] = [at for at, line in enumerate(lines) if b'"number":%d,' % number in line]
            lines[at] = lines[at].replace(b'"path":"/', b'"path":"o')
        path.write_bytes(b"".join(lines))

    def test_of_the_open_file(self, file, wanted):
        write(file, range(60), size=1 << 20)
        self.flip(file, [1, 5, 45])
        damages = []
        read(file, wanted, damages)
        assert damages == [Damage(file, "it has damaged lines", 3)]

    def test_that_was_there_before_a_file_was_compressed(self, file, wanted):
        write(file, range(60), size=1 << 20)
        self.flip(file, [1, 5, 45])
        file.rename(file.with_name("trail-000001-20991125T000000.jsonl"))
        write(file, [])
        [closed] = closed_files(file)
        damages = []
        read(file, wanted, damages)
        assert closed.suffix == ".zst"
        assert damages == [Damage(closed, "it has damaged lines", 3)]

    def test_of_a_compressed_file_without_its_index(self, file, wanted):
        write(file, range(60), size=1 << 20)
        self.flip(file, [1, 5, 45])
        file.rename(file.with_name("trail-000001-20991125T000000.jsonl"))
        write(file, [])
        [closed] = closed_files(file)
        closed.write_bytes(closed.read_bytes()[:-1])
        damages = []
        read(file, wanted, damages)
        assert [damage.lines for damage in damages] == [0, 3]

    def test_there_is_none_without_damage(self, file, wanted):
        write(file, range(100))
        damages = []
        read(file, wanted, damages)
        assert damages == []


class TestFollow:
    """What happens from now on."""

    async def follow(self, file, wanted=ALL):
        seen = []

        async def run():
            async for each in Reader(file, wanted).follow():
                seen.extend([each["number"]] if "number" in each else [])

        task = asyncio.create_task(run())
        return seen, task

    async def test_it_goes_on_over_rotations_and_restarts(self, file, advance):
        seen, task = await self.follow(file)
        await advance(1)
        for start in range(0, 100, 20):  # each with a start of its own
            write(file, range(start, start + 20), size=1500)
            await advance(1)
            assert seen == list(range(start + 20))
        task.cancel()

    async def test_it_shows_what_is_wanted_only(self, file, advance):
        write(file, range(10))
        seen, task = await self.follow(file, Filter(rule="hall.light"))
        write(file, range(10, 20))
        await advance(1)
        assert seen == [n for n in range(20) if n % 3 == 0]
        task.cancel()

    async def test_a_line_in_two_parts_is_one(self, file, advance):
        write(file, range(2))
        whole = file.read_bytes()
        file.write_bytes(whole[:-10])
        seen, task = await self.follow(file)
        await advance(1)
        assert seen == [0]
        with file.open("ab") as out:
            out.write(whole[-10:])
        await advance(1)
        assert seen == [0, 1]
        task.cancel()

    async def test_a_torn_line_that_is_cut_off_is_no_part_of_the_next(self, file, advance):
        write(file, range(2))
        whole = file.read_bytes()
        file.write_bytes(whole[:-10])
        seen, task = await self.follow(file)
        await advance(1)
        write(file, range(2, 4))  # which cuts it off
        await advance(1)
        assert seen == [0, 2, 3]
        task.cancel()

    async def test_it_waits_for_a_trail_to_begin(self, file, advance):
        seen, task = await self.follow(file)
        await advance(5)
        write(file, range(3))
        await advance(1)
        assert seen == [0, 1, 2]
        task.cancel()


@pytest.mark.parametrize(
    ("rule", "numbers"),
    [
        ("vents.vent[bath]", [0]),
        ("vents.vent[*]", [0, 1, 2]),
        ("vents.vent[b*", [0, 1]),
        ("vents.[uv]ent*", [0, 1, 2]),
        ("vents.vent[a]", [2]),
    ],
)
def test_brackets_in_the_name_of_a_rule_are_no_glob(file, rule, numbers):
    trail = Trail(file, size=3000)
    trail.open()
    for number, name in enumerate(("bath", "bed", "a")):
        made = {**record(number), "rule": f"vents.vent[{name}]"}
        assert trail.append(made, stamp(number))
    trail.close()
    assert read(file, Filter(rule=rule)) == numbers


def test_times_of_all_years_sort_like_the_years():
    years = (2, 999, 1000, 2026, 9998)
    stamps = [stamp_of(datetime(year, 1, 2, 3, 4, 5, tzinfo=UTC)) for year in years]
    assert stamps == sorted(stamps)
    assert stamps[1] == "0999-01-02T03:04:05.000000Z"
