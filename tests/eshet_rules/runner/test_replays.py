import asyncio
import os
import subprocess
import sys
from datetime import UTC
from pathlib import Path

import msgspec
import pytest

from eshet.clock import wall_now
from eshet_rules.audit.lines import encode
from eshet_rules.audit.query import stamp_of
from eshet_rules.config import Configuration, WatchSettings
from eshet_rules.modules.discovery import Source, version_of
from eshet_rules.runner import replay_process, side_process
from eshet_rules.runner.replay_process import Request, Result, SourceFile, replay_change
from eshet_rules.runner.replays import Replays

FOLDER = Path("/rules")


def sources(**texts):
    return {
        name: Source(name, FOLDER / f"{name}.py", text.encode(), version_of(text.encode()), ())
        for name, text in texts.items()
    }


class Processes:
    """Replays that last until they are released."""

    def __init__(self):
        self.requests = []
        self.released = asyncio.Event()
        self.result = Result(since="2026-01-01T00:00:00+00:00")
        self.cancelled = 0

    async def run(self, request):
        self.requests.append(request)
        try:
            await self.released.wait()
        except asyncio.CancelledError:
            self.cancelled += 1
            raise
        return self.result


@pytest.fixture
def processes():
    return Processes()


@pytest.fixture
def make(log, processes):
    def make(span="24h", trail=Path("/state/audit")):
        configuration = Configuration(watch=WatchSettings(replay=span))
        return Replays(
            FOLDER,
            configuration,
            trail,
            log.logger,
            lambda names: {*names, "hall"} if "_settings" in names else names,
            processes.run,
        )

    return make


def changed(request):
    return {n: None if each is None else each.data.decode() for n, each in request.before.items()}


async def test_a_change_is_replayed_and_the_difference_is_logged(make, log, processes, advance):
    replays = make()
    processes.released.set()
    processes.result = Result(["/light is True: once"], 3, "2026-01-01T00:00:00+00:00")
    before = sources(hall="a = 1", bath="b = 1")
    replays.start(before, sources(hall="a = 2", bath="b = 1", new="c = 1"))
    await advance(0)
    (request,) = processes.requests
    assert changed(request) == {"hall": "a = 1", "new": None}
    assert [each.data for each in request.after] == [b"a = 2", b"b = 1", b"c = 1"]
    assert (request.seconds, request.trail) == (86400, "/state/audit")
    record = log.find("replay.differs")
    assert (record["modules"], record["more"]) == (["hall", "new"], 3)
    assert record["differences"] == ["/light is True: once"]
    version = before["hall"].version
    command = f"`eshet-rules replay /rules --from 24h --versus=hall@{version}`"
    assert record["advice"] == f"{command} shows all differences"


async def test_modules_that_import_a_changed_helper_come_first(make, log, processes, advance):
    replays = make()
    processes.released.set()
    replays.start(sources(_settings="a = 1"), sources(_settings="a = 2"))
    await advance(0)
    assert processes.requests[0].first == ["_settings", "hall"]
    assert log.find("replay.same")["modules"] == ["_settings"]


async def test_the_record_says_how_much_was_compared(make, log, processes, advance):
    both = sources(hall="a = 1"), sources(hall="a = 2")
    processes.released.set()
    times = "2026-01-01T00:00:00+00:00", "2026-01-02T00:00:00+00:00"
    for differences, event in (([], "replay.same"), (["/light is True: once"], "replay.differs")):
        processes.result = Result(differences, 0, *times, 1204)
        make().start(*both)
        await advance(0)
        record = log.find(event)
        assert (record["since"], record["until"], record["inputs"]) == (*times, 1204)
    too_little = "only 2 s of inputs are recorded"
    processes.result = Result([], 0, *times, 0, too_little)
    make().start(*both)
    await advance(0)
    record = log.find("replay.nothing_yet")
    assert (record["error"], record["inputs"]) == (too_little, 0)
    assert "--from 24h --versus=hall@" in record["advice"]


async def test_nothing_is_replayed_if_it_is_off_or_nothing_differs(make, processes, advance):
    make("").start(sources(hall="a = 1"), sources(hall="a = 2"))
    make().start(sources(hall="a = 1"), sources(hall="a = 1"))
    await advance(0)
    assert processes.requests == []


async def test_a_newer_save_ends_a_replay_and_compares_both_changes(make, log, processes, advance):
    replays = make()
    first, second = sources(hall="a = 1", bath="b = 1"), sources(hall="a = 2", bath="b = 1")
    third = sources(hall="a = 2", bath="b = 2")
    replays.start(first, second, adds=True)
    await advance(0)
    replays.start(second, third, adds=True)
    await advance(0)
    assert processes.cancelled == 1
    assert changed(processes.requests[1]) == {"bath": "b = 1", "hall": "a = 1"}
    replays.start(third, second, adds=True)
    await advance(0)
    assert changed(processes.requests[2]) == {"hall": "a = 1"}
    replays.start(second, first, adds=True)  # all is undone
    processes.released.set()
    await advance(0)
    assert (len(processes.requests), processes.cancelled, log.events()) == (3, 3, [])


async def test_a_finished_replay_is_not_compared_again(make, processes, advance):
    replays = make()
    processes.released.set()
    replays.start(sources(hall="a = 1"), sources(hall="a = 2"), adds=True)
    await advance(0)
    replays.start(sources(hall="a = 2"), sources(hall="a = 3"), adds=True)
    await advance(0)
    assert changed(processes.requests[1]) == {"hall": "a = 2"}


async def test_failures_are_logged_with_what_to_do(make, log, processes, advance):
    both = sources(hall="a = 1"), sources(hall="a = 2")
    make(trail=None).start(*both)
    await advance(0)
    record = log.find("replay.failed")
    assert record["error"] == "no audit trail is written"
    assert "--no-audit" in record["advice"]
    log.clear()
    make().start(*both)
    await advance(601)
    record = log.find("replay.failed")
    assert record["error"] == "it has taken longer than 600 s"
    assert processes.cancelled == 1
    log.clear()
    processes.released.set()
    processes.result = Result(error="hall can't be set up in the replay: NameError")
    make().start(sources(), both[0])
    await advance(0)
    advice = "`eshet-rules replay /rules --from 24h --diff` shows all errors"
    assert log.find("replay.failed")["advice"] == advice


async def test_an_error_of_the_system_is_logged(make, log, processes, advance, monkeypatch):
    async def refuse(request):
        raise OSError(11, "Resource temporarily unavailable")

    monkeypatch.setattr(processes, "run", refuse)
    make().start(sources(hall="a = 1"), sources(hall="a = 2"))
    await advance(0)
    assert "Resource temporarily unavailable" in log.find("replay.failed")["error"]


async def test_the_end_of_the_runner_ends_the_replay(make, log, processes, advance):
    replays = make()
    await replays.close()
    replays.start(sources(hall="a = 1"), sources(hall="a = 2"))
    await advance(0)
    await replays.close()
    assert (processes.cancelled, log.events()) == (1, [])


@pytest.fixture
def request_(tmp_path):
    config = str(tmp_path / "eshet-rules.toml")
    trail = str(tmp_path / "trail.jsonl")
    return Request(str(tmp_path), config, trail, 60.0, [], [], {}, [], 5)


def test_the_process_answers(request_):
    result = asyncio.run(replay_change(request_))
    assert result.error.startswith("there is no audit trail yet")


@pytest.fixture
def endless(request_, tmp_path):
    """A request with a rule that waits at its import until somebody writes to the file `pipe`."""
    start = {"time": stamp_of(wall_now(UTC)), "level": "info", "event": "input.received"}
    record = {**start, "kind": "event", "path": "/motion", "value": 1, "module": "hall"}
    (tmp_path / "trail.jsonl").write_bytes(encode(record))
    os.mkfifo(tmp_path / "pipe")
    source = f"open({str(tmp_path / 'pipe')!r}).read()".encode()
    hall = SourceFile("hall", str(tmp_path / "hall.py"), source)
    return msgspec.structs.replace(request_, after=[hall], before={"hall": None})


def test_a_replay_that_is_cancelled_kills_its_process(endless, tmp_path):
    async def cancel():
        replaying = asyncio.create_task(replay_change(endless))
        writer = await asyncio.to_thread(open, tmp_path / "pipe", "wb")  # until it reads
        with writer:
            replaying.cancel()
            with pytest.raises(asyncio.CancelledError):
                await replaying
            with pytest.raises(BrokenPipeError):  # nothing reads any more
                os.write(writer.fileno(), b"{}\n")

    asyncio.run(cancel())


@pytest.mark.parametrize("end", ["", "os.close(1); signal.pause()"])
def test_the_process_is_waited_for_once(request_, monkeypatch, caplog, end):
    """Also if it ends in the same moment, or does not end after its answer."""
    monkeypatch.setattr(
        replay_process, "_START", f"import os, signal; print('{{}}', flush=True); {end}"
    )
    monkeypatch.setattr(side_process, "_LONGEST_EXIT", 0.01 if end else 20.0)
    ended = []
    monkeypatch.setattr(subprocess.Popen, "poll", lambda process: ended.append(process))
    monkeypatch.setattr(subprocess.Popen, "send_signal", lambda process, _: process.poll())
    assert asyncio.run(replay_change(request_)) == Result()
    assert (ended, caplog.messages) == ([], [])


def test_the_process_ends_with_the_runner(endless):
    start = "from eshet_rules.replay.changes import main; main()"
    process = subprocess.Popen([sys.executable, "-c", start], stdin=subprocess.PIPE)  # noqa: S603
    assert process.stdin is not None
    process.stdin.write(msgspec.json.encode(endless) + b"\n")
    process.stdin.close()
    assert process.wait(timeout=20) == 1


def test_a_trail_that_is_a_pipe_is_refused(request_, tmp_path):
    os.mkfifo(tmp_path / "trail.jsonl")  # nobody writes to it
    assert "is not a regular file" in asyncio.run(replay_change(request_)).error
