"""A trail is divided into the runs of the runner, also if the runner was killed."""

import tracemalloc
from datetime import UTC, datetime, timedelta
from pathlib import Path
from typing import Any

import pytest

from eshet_rules.audit.lines import encode
from eshet_rules.audit.query import stamp_of
from eshet_rules.replay.recording import Recording, read_recording, read_runs

START = datetime(2026, 3, 28, 18, tzinfo=UTC)
END = START + timedelta(hours=1)


def moment(at: float) -> datetime:
    return START + timedelta(seconds=at)


def record(at: float, event: str, **fields: Any) -> dict[str, Any]:
    return {"time": stamp_of(moment(at)), "level": "info", "event": event, **fields}


def received(at: float, value: object, trigger: str = "") -> dict[str, Any]:
    """Return the record of an input; with a trigger, of the present value in a set-up."""
    kind = {"kind": "state", "path": "/hall/lux", "module": "hall", "rule": "hall.light"}
    return record(at, "input.received", value=value, trigger=trigger, **kind)


def output(at: float, value: object, trigger: str = "state /hall/lux") -> dict[str, Any]:
    node = {"path": "/hall/light", "module": "hall", "rule": "hall.light"}
    return record(at, "output.published", value=value, outcome="done", trigger=trigger, **node)


def run(at: float, *values: object, server: str = "server.named", **started: Any) -> list[Any]:
    """Return the records of a run, with an input each second."""
    setting_up = [record(at, server, address="127.0.0.1:11236")] if server else []
    inputs = [
        each
        for second, value in enumerate(values, 1)
        for each in (received(at + second, value), output(at + second + 0.1, value))
    ]
    return [
        *setting_up,
        received(at + 0.1, values[0], "set-up hall"),
        output(at + 0.2, values[0], "set-up hall"),
        record(at + 0.3, "runner.started", modules=1, folder="/rules", **started),
        *inputs,
    ]


def stopped(at: float) -> dict[str, Any]:
    return record(at, "runner.stopped")


@pytest.fixture
def trail(tmp_path: Path) -> Path:
    return tmp_path / "trail.jsonl"


def values(recording: Recording) -> list[object]:
    return [each.value for each in recording.outputs if not each.in_set_up]


SERVERS = ["server.named", "server.found", "server.started", ""]


@pytest.mark.parametrize("server", SERVERS)
@pytest.mark.parametrize("end", [[], [stopped(90)]])
def test_only_the_last_run_is_replayed(trail, server, end):
    lines = [*run(0, 1, 2, server=server), *end, *run(100, 3, 4, server=server)]
    trail.write_bytes(b"".join(map(encode, lines)))
    recording = read_recording(trail, START, END)
    assert values(recording) == [3, 4]
    assert recording.start == moment(100.1)
    [text] = recording.lacking
    assert f"the runner was started at {recording.start.astimezone():%Y-%m-%d %H:%M:%S}" in text


@pytest.mark.parametrize("server", SERVERS)
def test_a_run_that_began_before_is_divided_from_the_next_one(trail, server):
    """The start of the killed run is not within the time."""
    lines = [*run(0, 1, 2, server=server), *run(100, 3, 4, server=server)]
    trail.write_bytes(b"".join(map(encode, lines)))
    recording = read_recording(trail, moment(1.5), END)
    assert values(recording) == [3, 4]
    assert recording.start == moment(100.1)


def test_a_recording_takes_no_more_memory_than_it_needs(trail):
    """Of earlier runs nothing is kept, and of a record only what a replay needs."""
    needless = {"inputs": {"/hall/lux": "x" * 1000}}
    earlier = [each for at in range(20) for each in run(at * 100, *range(90))]
    last = [{**each, **needless} for each in run(2000, *range(1000))]
    trail.write_bytes(b"".join(map(encode, [*earlier, *last])))
    read_recording(trail, START, END)  # so that what is made once is there
    tracemalloc.start()
    try:
        recording = read_recording(trail, START, END)
        _, peak = tracemalloc.get_traced_memory()
    finally:
        tracemalloc.stop()
    assert values(recording) == list(range(1000))
    assert peak < 6_000_000


def test_another_server_in_a_run_does_not_divide_it(trail):
    """An embedded server replaces a found one that has stopped."""
    again = record(50, "server.started", address="127.0.0.1:11236")
    lines = [*run(0, 1, 2, server="server.found"), again, received(60, 3), output(60.1, 3)]
    trail.write_bytes(b"".join(map(encode, lines)))
    assert values(read_recording(trail, START, END)) == [1, 2, 3]
    lines += run(100, 4)
    trail.write_bytes(b"".join(map(encode, lines)))
    assert [values(each) for each in read_runs(trail, START, END)] == [[1, 2, 3], [4]]


def test_a_runner_that_was_killed_in_its_set_up_is_no_run_to_replay(trail):
    lines = [*run(0, 1, 2), stopped(90), record(100, "server.named", address="127.0.0.1:11236")]
    trail.write_bytes(b"".join(map(encode, lines)))
    recording = read_recording(trail, START, END)
    assert values(recording) == [1, 2]
    assert recording.end == moment(90)


def test_each_run_has_its_times(trail):
    lines = [*run(0, 1, 2), *run(100, 3), stopped(150), *run(200, 4, kept=3)]
    trail.write_bytes(b"".join(map(encode, lines)))
    first, second, third = read_runs(trail, START, END)
    assert (first.start, first.end) == (moment(0.1), moment(2.1))  # killed: its last record
    assert (second.start, second.end) == (moment(100.1), moment(150))
    assert (third.start, third.end) == (moment(200.1), END)
    assert [each.is_new for each in (first, second, third)] == [True, True, False]


@pytest.mark.parametrize(
    ("since", "started", "text"),
    [
        (-10, {}, ": the replay begins there"),
        (10, {}, ""),
        (10, {"kept": 3}, "outputs that depend on it may differ"),
        (-10, {"kept": 3}, "outputs that depend on it may differ"),
    ],
)
def test_a_start_is_named_where_it_matters(trail, since, started, text):
    trail.write_bytes(b"".join(map(encode, run(0, *range(30), **started))))
    recording = read_recording(trail, moment(since), END, timedelta(minutes=5))
    assert recording.compared_from == pytest.approx(max(0, since - 0.1))
    if not text:
        assert recording.lacking == []
    else:
        [line] = recording.lacking
        assert line.endswith(text)
