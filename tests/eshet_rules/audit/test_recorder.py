import asyncio
import contextlib
import io

import pytest

from eshet.cause import Cause, use_cause
from eshet.clock import wall_stamp
from eshet_rules.audit.query import Filter, Reader
from eshet_rules.audit.recorder import Recorder
from eshet_rules.audit.records.inputs_outputs import Input
from eshet_rules.audit.records.schema import EVENTS, check
from eshet_rules.audit.redaction import Redaction
from eshet_rules.audit.trail import Trail
from eshet_rules.logs import make_logger


def heard(value, level="debug"):
    return Input(
        wall_stamp(), level, "input.received", kind="event", path="/hall/bell", value=value
    )


@pytest.fixture
def file(tmp_path):
    return tmp_path / "trail.jsonl"


def events(file):
    return [each["event"] for each in Reader(file, Filter()).records()]


async def test_a_record_may_be_written_at_once_with_those_before_it(file):
    recorder = Recorder()
    with recorder.keeping(Trail(file)):
        recorder.record(heard(1))
        recorder.record(heard(2), at_once=True)
        assert [r.get("value") for r in Reader(file, Filter()).records()] == [None, 1, 2]


async def test_a_record_is_written_before_the_next_turn_of_the_loop(file, advance):
    recorder = Recorder()
    with recorder.keeping(Trail(file)):
        recorder.record(heard(1))
        assert events(file) == ["trail.started"]
        await advance(0)
        assert events(file) == ["trail.started", "input.received"]


async def test_what_is_logged_is_written_at_once_after_what_was_heard_before(file):
    recorder = Recorder()
    log = make_logger(io.StringIO(), recorder=recorder)
    with recorder.keeping(Trail(file)):
        recorder.record(heard(1))
        log.info("module.loaded", rules=[])
        assert events(file) == ["trail.started", "input.received", "module.loaded"]


def test_what_waits_when_its_loop_ends_is_written_with_the_trail_closed(file):
    recorder = Recorder()

    async def hear():
        recorder.record(heard(1))
        asyncio.get_running_loop().stop()

    for _ in range(2):
        with recorder.keeping(Trail(file)), contextlib.suppress(RuntimeError):
            asyncio.run(hear())
    assert events(file).count("input.received") == 2


def test_without_a_loop_all_is_written_at_once(file):
    recorder = Recorder()
    with recorder.keeping(Trail(file)):
        recorder.record(heard(1))
        assert events(file) == ["trail.started", "input.received"]


async def test_much_in_one_turn_is_not_kept_in_memory(file):
    recorder = Recorder()
    with recorder.keeping(Trail(file)):
        for _ in range(1000):
            recorder.record(heard("x" * 1000))
        assert len(events(file)) > 900


@pytest.mark.parametrize(
    ("level", "shown"),
    [
        ("debug", ["input.received", "module.loaded", "client.disconnected"]),
        ("info", ["module.loaded", "client.disconnected"]),
        ("warning", ["client.disconnected"]),
    ],
)
async def test_the_trail_keeps_all_and_the_stream_shows_what_matters_enough(file, level, shown):
    recorder = Recorder()
    stream = io.StringIO()
    log = make_logger(stream, level=level, recorder=recorder)
    with recorder.keeping(Trail(file)):
        recorder.record(heard(1))
        log.info("module.loaded", rules=["light"])
        log.warning("client.disconnected", server="here", reason="none")
    assert events(file) == [
        "trail.started",
        "input.received",
        "module.loaded",
        "client.disconnected",
    ]
    for event in ("input.received", "module.loaded", "client.disconnected"):
        assert (EVENTS[event].SENTENCE in stream.getvalue()) == (event in shown)


async def test_a_record_of_a_log_has_the_cause_and_its_parent(file):
    recorder = Recorder()
    log = make_logger(io.StringIO(), recorder=recorder)
    parent = Cause("event", "/bell")
    with recorder.keeping(Trail(file)), use_cause(Cause("state", "/door", parent)) as cause:
        log.info("runner.stopped")
    [record] = Reader(file, Filter(event="runner.stopped")).records()
    assert (record["cause"], record["parent"]) == (cause.id, parent.id)


def test_what_is_logged_has_no_secrets(file):
    recorder = Recorder(Redaction(["pin"]))
    stream = io.StringIO()
    log = make_logger(stream, recorder=recorder)
    with recorder.keeping(Trail(file)):
        log.info("unlocked", pin="4711", who={"pin": "4711"}, logger="door")
    assert "4711" not in stream.getvalue()
    assert b"4711" not in file.read_bytes()


@pytest.mark.parametrize("level", ["debug", "info"])
async def test_a_console_that_takes_nothing_stops_nobody_and_is_told_once(file, level):
    recorder = Recorder()
    with (
        open("/dev/full", "w") as stream,  # noqa: ASYNC230, PTH123
        recorder.keeping(Trail(file)),
    ):
        log = make_logger(stream, level=level, recorder=recorder)
        for _ in range(3):
            recorder.record(heard(1), at_once=True)
            log.info("module.loaded", rules=[])
        with contextlib.suppress(OSError):
            stream.close()
        log.info("runner.stopped")
    [problem] = Reader(file, Filter(event="log.not_shown")).records()
    check(problem)
    assert "No space left" in problem["error"]
    assert events(file).count("module.loaded") == 3


async def test_a_watch_that_fails_ends_without_ending_what_it_watches(file, caplog):
    recorder = Recorder()
    seen = []

    def fail(record):
        raise ValueError("a bug in what only watches")

    with recorder.keeping(Trail(file)), recorder.watched(fail), recorder.watched(seen.append):
        for number in range(3):
            recorder.record(heard(number), at_once=True)
        recorder.keep({"time": wall_stamp(), "level": "info", "event": "a message"})
        assert [each.value for each in seen[:3]] == [0, 1, 2]
        assert len(seen) == 4
        assert len(events(file)) == 5
    [logged] = caplog.records
    assert "a function that watches records failed" in logged.message


def test_a_log_record_stays_whole_for_those_who_watch_though_the_console_takes_fields_out(file):
    recorder = Recorder()
    log = make_logger(io.StringIO(), "console", recorder=recorder)
    seen = []
    with recorder.keeping(Trail(file)), recorder.watched(seen.append):
        log.info("the front door opens", rule="door.watch")
    [record] = seen
    assert {"event": "the front door opens", "level": "info"}.items() <= record.items()
    assert record["time"]


async def test_in_a_cluster_the_trail_has_the_token_of_each_module_but_the_console_does_not(file):
    console, recorder = io.StringIO(), Recorder()
    log = make_logger(console, "json", level="debug", recorder=recorder)
    recorder.token_of = {"hall": 7}.get
    with recorder.keeping(Trail(file)):
        record = heard(1)
        record.module = "hall"
        recorder.record(record, at_once=True)
        recorder.record(heard(2), at_once=True)
        for module in ("hall", "attic", ["no", "name"]):
            log.info("a message", module=module)
        log.info("a message", module="hall", token=8)
    [_, *records] = Reader(file, Filter()).records()
    tokens = [each.get("token") for each in records]
    assert tokens == [7, None, 7, None, None, 8]
    check(records[0])
    assert console.getvalue().count('"token"') == 1
