"""What led to a cause, and what followed from it."""

import asyncio

import pytest

from eshet_rules.audit.chain import chain_of
from eshet_rules.audit.query import Filter, Reader
from eshet_rules.audit.trail import Trail

TIME = "2026-06-25T18:{:02}:{:02}.000000Z"


class Chained:
    """A trail whose records are about causes, and their parents."""

    def __init__(self, folder, size=64 << 20):
        self.file = folder / "trail.jsonl"
        self.trail = Trail(self.file, size=size)
        self.trail.open()
        self._number = 0

    def write(self, *pairs, **fields):
        """Write a record for each text, as "timer < bell"."""
        for pair in pairs:
            cause, _, parent = pair.partition(" < ")
            self._number += 1
            record = {
                "time": TIME.format(self._number // 60, self._number % 60),
                "level": "debug",
                "event": "output.set",
                "rule": 'hall."light"',
                **({"cause": cause} if cause else {}),
                **({"parent": parent} if parent else {}),
                "path": "/lamp",
                "value": pair,
                **fields,
            }
            self.trail.append(record, record["time"])

    def of(self, cause, **wanted):
        """Return what is shown of the chain of a cause."""
        chain = chain_of(self.file, cause)
        reader = Reader(self.file, Filter(chain=chain, **wanted), pytest.fail)
        return [record["value"] for record in reader.records()]


@pytest.fixture
def trail(tmp_path):
    chained = Chained(tmp_path)
    yield chained
    chained.trail.close()


@pytest.fixture
def evening(trail):
    trail.write("door", "bell", "light < bell", "timer < light", "fan < bell", "off < timer", "")
    return trail


def test_it_goes_back_to_what_came_first_and_on_to_all_that_followed(evening):
    assert evening.of("light") == ["bell", "light < bell", "timer < light", "off < timer"]
    everything = ["bell", "light < bell", "timer < light", "fan < bell", "off < timer"]
    assert evening.of("bell") == everything
    assert evening.of("door") == ["door"]
    assert evening.of("nothing") == []


def test_more_can_be_asked_of_it(evening):
    assert evening.of("light", since=TIME.format(0, 4)) == ["timer < light", "off < timer"]
    assert evening.of("light", path="/bell") == []


def test_a_cause_that_begins_as_another_does_is_another(trail):
    trail.write("c-1", "c-10", "c-2 < c-10")
    assert trail.of("c-1") == ["c-1"]


def test_what_is_told_after_what_it_led_to_belongs_to_it(trail):
    # What a timer sets is told when that is answered: after what has heard of it.
    trail.write("bell", "heard < set", "heard again < heard", "set < timer", "timer < bell")
    everything = ["bell", "heard < set", "heard again < heard", "set < timer", "timer < bell"]
    for cause in ("bell", "timer", "heard again"):
        assert trail.of(cause) == everything


def test_a_value_that_looks_like_a_cause_is_none(trail):
    forged = {"cause": "mine", "parent": "bell"}
    trail.write("bell", "mine")
    trail.write("other", value=forged)
    trail.write("", value={"a": [forged]})
    trail.write("another", value='"cause":"mine","parent":"bell"')
    assert trail.of("mine") == ["mine"]
    assert trail.of("bell") == ["bell"]


def test_causes_that_name_each_other_have_an_end(trail):
    trail.write("egg < hen", "hen < egg")
    assert trail.of("egg") == ["egg < hen", "hen < egg"]


def test_it_goes_over_all_files_of_the_trail(tmp_path):
    trail = Chained(tmp_path, size=2000)
    trail.write("0", *(f"{n} < {n - 1}" for n in range(1, 100)))
    trail.trail.close()
    assert len(list(tmp_path.glob("*.zst"))) > 5
    assert len(trail.of("0")) == len(trail.of("50")) == len(trail.of("99")) == 100


def test_a_long_chain_is_found_without_reading_the_trail_for_each_step(tmp_path, monkeypatch):
    trail = Chained(tmp_path)
    trail.write("0", *(f"{n} < {n - 1}" for n in range(1, 500)))
    trail.trail.close()
    reads = []
    read = chain_of.__globals__["_read"]
    monkeypatch.setitem(chain_of.__globals__, "_read", lambda p: reads.append(p) or read(p))
    chain_of(trail.file, "499")
    assert len(reads) <= 4


def test_what_is_damaged_is_passed_over(tmp_path):
    trail = Chained(tmp_path, size=2000)
    trail.write("0", *(f"{n} < {n - 1}" for n in range(1, 100)))
    trail.trail.close()
    [_, first, *_] = sorted(tmp_path.glob("*.zst"))
    first.write_bytes(b"nothing of the kind")
    chain = chain_of(trail.file, "99")
    told = []
    records = list(Reader(trail.file, Filter(chain=chain), told.append).records())
    assert 80 < len(records) < 100
    assert told


async def test_what_follows_later_is_shown_as_it_comes(evening, advance):
    shown = []

    async def follow():
        wanted = Filter(chain=chain_of(evening.file, "timer"))
        reader = Reader(evening.file, wanted, pytest.fail)
        async for record in reader.follow():
            shown.append(record["value"])  # noqa: PERF401 - it never ends

    following = asyncio.create_task(follow())
    await advance(1)
    assert shown == ["bell", "light < bell", "timer < light", "off < timer"]
    evening.write("more < off", "fan again < fan", "last < more")
    await advance(1)
    following.cancel()
    assert shown[4:] == ["more < off", "last < more"]
