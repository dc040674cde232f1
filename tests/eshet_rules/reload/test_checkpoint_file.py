"""The file of a checkpoint: when it is written, what is made of an unusable one, and its times."""

import asyncio
import hashlib
import math
from collections.abc import Callable
from pathlib import Path
from typing import Any

import msgpack
import pytest

from eshet import Unknown, yarp
from eshet.clock import clock_watcher, wall_time
from eshet.reactive.core.markers import NoValue
from eshet.reactive.core.origin import of_caller
from eshet.reactive.handover.handover import Lost, Snapshot
from eshet.reactive.handover.matching import Description
from eshet_rules.reload.checkpoint import Checkpoint, decode, encode, encode_module
from eshet_rules.reload.packing import pack, unpack
from eshet_rules.reload.snapshot import ModuleSnapshot
from tests.support.rules import Log

ABOUT = Description("light", "time_window of /motion", "0123", "60.0", None)
NAMED = Description("", "keep", "4567", "", "count")
MAGIC = b"eshet-rules checkpoint 3\n"


def signed(body: bytes, magic: bytes = MAGIC) -> bytes:
    return magic + hashlib.sha256(body).digest() + body


def stamped(written: Any, **modules: ModuleSnapshot) -> bytes:
    """Return a checkpoint with such a time of the write."""
    body = {name: encode_module(each)[0] for name, each in modules.items()}
    stamp = {"version": "", "nodes": [], "outputs": [], "written": written}
    return signed(msgpack.packb({**body, "": msgpack.packb(stamp)}))


FULL = ModuleSnapshot(
    "abcd",
    [Snapshot(ABOUT, [1, 2]), Snapshot(NAMED, ["abcd", 7])],
    [Snapshot(Description("light", "set_value", "1"), "on")],
    [Snapshot(Description("light", "Value", "2"), [True])],
)


@pytest.fixture
def file(tmp_path: Path) -> Path:
    return tmp_path / "state" / "checkpoint"


def test_all_parts_of_a_snapshot_come_back_with_its_epoch() -> None:
    [(name, back)] = decode(encode({"hall": FULL}), 7.0).items()
    assert (name, back.version, back.epoch, back.was_down) == ("hall", "abcd", 7.0, True)
    assert (back.nodes, back.outputs, back.notified) == (FULL.nodes, FULL.outputs, FULL.notified)


@pytest.mark.parametrize("notified", [None, "x", {}])
def test_a_file_without_a_list_of_notified_values_is_read(notified: Any) -> None:
    module = msgpack.unpackb(encode_module(FULL)[0])
    if notified is None:
        del module["notified"]
    else:
        module["notified"] = notified
    back = decode(signed(msgpack.packb({"hall": msgpack.packb(module)})), 0.0)["hall"]
    assert (back.notified, back.nodes) == ([], FULL.nodes)


def test_a_lost_state_is_left_out_with_its_reason() -> None:
    data, left_out = encode_module(
        ModuleSnapshot("v", [Snapshot(ABOUT, Lost("why")), Snapshot(NAMED, 1)])
    )
    assert left_out == {ABOUT: "why"}
    assert len(msgpack.unpackb(data)["nodes"]) == 1


def test_what_can_not_be_packed_of_notified_values_is_no_problem() -> None:
    data, left_out = encode_module(ModuleSnapshot("v", notified=[Snapshot(ABOUT, object())]))
    assert (left_out, msgpack.unpackb(data)["notified"]) == ({}, [])


def test_a_missing_file_has_no_state_and_no_message(file: Path, log: Log) -> None:
    assert Checkpoint(file, log.logger).read(0.0) == {}
    assert log.events() == []


def test_a_file_that_can_not_be_opened_is_logged_and_left_alone(file: Path, log: Log) -> None:
    file.mkdir(parents=True)
    assert Checkpoint(file, log.logger).read(0.0) == {}
    assert log.events() == ["checkpoint.unreadable"]
    assert "directory" in log.find("checkpoint.unreadable")["error"]
    assert file.exists()


@pytest.mark.parametrize(
    ("data", "problem"),
    [
        (b"", "does not begin like a checkpoint"),
        (b"something else", "does not begin like a checkpoint"),
        (MAGIC, "checksum"),
        (signed(b"x")[:-1] + b"y", "checksum"),
        (signed(b"\xc1"), ""),
        (signed(msgpack.packb([1])), "not a map of modules"),
        (signed(msgpack.packb({1: b""})), "not a map of modules"),
    ],
)
def test_a_damaged_file_is_set_aside(file: Path, log: Log, data: bytes, problem: str) -> None:
    file.parent.mkdir()
    file.write_bytes(data)
    assert Checkpoint(file, log.logger).read(0.0) == {}
    record = log.find("checkpoint.damaged")
    assert problem in record["error"]
    assert record["set_aside"] == str(file.with_suffix(".damaged"))
    assert file.with_suffix(".damaged").read_bytes() == data
    assert not file.exists()


@pytest.mark.parametrize("data", [b"damaged", signed(b"\x81\xa1x\xc4\x00")])
def test_a_file_that_can_not_be_set_aside_is_logged(file: Path, log: Log, data: bytes) -> None:
    (file.with_suffix(".damaged") / "occupied").mkdir(parents=True)
    file.write_bytes(data)
    assert Checkpoint(file, log.logger).read(0.0) == {}
    assert "checkpoint.not_set_aside" in log.events()
    assert len(log.events()) == 2


@pytest.mark.parametrize("count", [1, 10, 11, 30])
def test_at_most_ten_problems_of_a_file_are_listed(file: Path, log: Log, count: int) -> None:
    modules = {f"m{number:02}": b"\xc1" for number in range(count)}
    file.parent.mkdir()
    file.write_bytes(signed(msgpack.packb(modules)))
    assert Checkpoint(file, log.logger).read(0.0) == {}
    problems = log.find("checkpoint.partly_damaged")["error"].split("; module ")
    assert len(problems) == min(count, 10)
    assert problems[0].startswith("module m00: ")


def test_a_long_name_of_a_damaged_module_is_shortened() -> None:
    problems: list[str] = []
    decode(signed(msgpack.packb({"x" * 1000: b"\xc1"})), 0.0, problems.append)
    assert len(problems[0]) < 300


def test_the_file_is_written_only_when_it_would_change_or_is_gone(file: Path, log: Log) -> None:
    checkpoint = Checkpoint(file, log.logger)
    one = {"hall": checkpoint.pack_module("hall", FULL)}
    first = checkpoint.pack(one)
    assert first is not None
    again = checkpoint.pack(one)
    assert again is not None  # it was not written yet
    checkpoint.write(again)
    assert checkpoint.pack(dict(one)) is None
    assert file.read_bytes() == again
    assert (file.stat().st_mode & 0o777, file.parent.stat().st_mode & 0o777) == (0o600, 0o700)
    other = checkpoint.pack({**one, "bath": one["hall"]})
    assert other is not None
    checkpoint.write(other)
    assert checkpoint.pack(one) is not None
    file.unlink()
    assert checkpoint.pack({**one, "bath": one["hall"]}) is not None
    assert set(decode(other, 0.0)) == {"hall", "bath"}


def test_the_rule_and_place_of_state_that_can_not_be_packed_are_logged_once(
    file: Path, log: Log
) -> None:
    checkpoint = Checkpoint(file, log.logger)
    placed = Description("light", "keep", "1", "", "count", of_caller())
    nodes = [Snapshot(placed, object()), Snapshot(NAMED, object())]
    for module in ("hall", "hall", "bath"):
        checkpoint.pack_module(module, ModuleSnapshot("v", nodes))
    told = [(r["module"], r.get("rule"), r["what"]) for r in log.records]
    assert told == [
        ("hall", "hall.light", "'count'"),
        ("hall", None, "'count'"),
        ("bath", "bath.light", "'count'"),
        ("bath", None, "'count'"),
    ]
    assert log.records[0]["place"] is not None
    assert log.records[1].get("place") is None


@pytest.mark.parametrize(
    ("written", "behind"),
    [
        (-10.0, 0.0),
        (0.0, 0.0),
        (100.0, -100.0),
        (None, 0.0),
        ("x", 0.0),
        (math.inf, 0.0),
        (math.nan, 0.0),
    ],
)
async def test_no_time_has_passed_while_the_clock_is_behind_the_last_write(
    written: Any, behind: float
) -> None:
    time = wall_time() + written if isinstance(written, float) else written
    back = decode(stamped(time, hall=FULL), 7.0)
    assert list(back) == ["hall"]
    assert back["hall"].epoch == pytest.approx(7.0 + behind)


@pytest.mark.parametrize("body", [{}, {"": b""}, {"": b"\xc1"}, {"": msgpack.packb([1])}])
def test_a_file_without_the_time_of_its_write_is_read(body: dict[str, bytes]) -> None:
    assert decode(signed(msgpack.packb(body)), 7.0) == {}


async def test_reading_tells_the_clock_when_the_file_was_written(
    file: Path, log: Log, advance: Callable[[float], Any]
) -> None:
    checkpoint = Checkpoint(file, log.logger)
    data = checkpoint.pack({"hall": checkpoint.pack_module("hall", FULL)})
    assert data is not None
    checkpoint.write(data)
    began = wall_time()
    await advance(50)
    loop = asyncio.get_running_loop()
    seen: list[tuple[float, float]] = []
    watcher = clock_watcher()
    watcher.restore = lambda now, at: seen.append((now, at))  # type: ignore[method-assign]
    epoch = loop.time() - wall_time()
    assert list(Checkpoint(file, log.logger).read(epoch)) == ["hall"]
    [(now, at)] = seen
    assert now == pytest.approx(loop.time())
    assert at == pytest.approx(began)


@pytest.mark.parametrize(
    ("value", "data"),
    [
        (Unknown, msgpack.ExtType(1, b"")),
        (NoValue, msgpack.ExtType(2, b"")),
        (yarp.FSM.START, msgpack.ExtType(3, b"")),
        ([Unknown], [msgpack.ExtType(1, b"")]),
    ],
)
def test_the_codes_of_marks_are_those_of_earlier_files(value: Any, data: Any) -> None:
    assert msgpack.unpackb(pack(value)) == data
    assert unpack(msgpack.packb(data)) == value
