"""Saved changes that are replayed and that wait for a commit, with real processes."""

import re
import signal
from pathlib import Path

import pytest

from eshet.sync_client import SyncClient
from tests.support.processes import command, line, running
from tests.support.rules import Folder
from tests.support.runner import runner

RULE = """
    from eshet import yarp
    from eshet_rules import rule

    @rule
    async def light():
        lux = await yarp.state_observe("/lux")
        await yarp.state_register("/light", lux < {dark})
        await yarp.state_register("/dark", yarp.Value({dark}))
    """

CONFIGURATION = """
    [watch]
    replay = "24h"
    commit = "{commit}"
    """


@pytest.fixture
def server():
    with running("eshet", "serve", "--listen", "127.0.0.1:0") as process:
        yield line(process).split()[-1]


@pytest.fixture
def folder(tmp_path: Path) -> Folder:
    return Folder(tmp_path / "rules")


@pytest.fixture
def sensor(server: str):
    with SyncClient(server=server) as sensor:
        sensor.state_register("/lux")
        sensor.state_changed("/lux", 80)
        yield sensor


def save(folder: Folder, dark: int) -> None:
    folder.write("hall.py", RULE.format(dark=dark))


def get(path: str, server: str) -> str:
    return command("eshet", "get", path, server=server).stdout.strip()


def test_a_change_waits_until_it_is_committed(
    folder: Folder, tmp_path: Path, server: str, sensor: SyncClient
) -> None:
    where = ("--state-dir", str(tmp_path / "state"))
    folder.write("eshet-rules.toml", CONFIGURATION.format(commit="ask"))
    save(folder, 40)
    with runner(folder, server, *where) as house:
        live = house.wait_for("module.loaded")["version"]
        house.wait_for("runner.started")
        for lux in (60, 30, 60):
            sensor.state_changed("/lux", lux)
        assert get("/light", server) == "false"
        save(folder, 70)
        assert house.wait_for("module.changes_wait")["modules"] == ["hall"]
        found = house.wait_for("replay.differs")
        assert found["modules"] == ["hall"]
        assert any(each.startswith("/light is False: ") for each in found["differences"])
        assert get("/dark", server) == "40"
        listed = command("eshet-rules", "list", server=server).stdout
        assert "hall: the change of its file" in listed
        shown = found["advice"].partition("`")[2].partition("`")[0].split()
        assert shown[-1] == f"--versus=hall@{live}"
        replayed = command(*shown, *where)
        assert replayed.stdout.splitlines() == found["differences"], replayed.stderr
        assert f"compared on {found['inputs']} inputs from " in replayed.stderr
        assert house.stop() == 0

    with runner(folder, server, *where) as house:  # a restart commits nothing
        house.wait_for("runner.started")
        assert house.wait_for("module.changes_wait")["modules"] == ["hall"]
        done = command("eshet-rules", "reload", server=server)
        assert (done.returncode, done.stdout) == (0, "reloaded hall\n"), done.stderr
        house.process.send_signal(signal.SIGHUP)
        house.wait_for("config.reloaded")
        house.wait_for("module.reloaded")
        assert get("/dark", server) == "40"
        done = command("eshet-rules", "commit", server=server)
        assert (done.returncode, done.stdout) == (0, "committed hall\n"), done.stderr
        house.wait_for("control.commit_requested")
        assert house.wait_for("module.reloaded")["version"] != live
        assert get("/dark", server) == "70"
        done = command("eshet-rules", "commit", server=server)
        assert (done.returncode, done.stdout) == (0, "no change waits\n")
        assert house.stop() == 0


def test_a_saved_change_is_live_at_once_and_then_replayed(
    folder: Folder, tmp_path: Path, server: str, sensor: SyncClient
) -> None:
    folder.write("eshet-rules.toml", CONFIGURATION.format(commit="auto"))
    save(folder, 40)
    with runner(folder, server, "--state-dir", str(tmp_path / "state")) as house:
        house.wait_for("runner.started")
        sensor.state_changed("/lux", 60)
        assert get("/light", server) == "false"
        save(folder, 40_000)
        house.wait_for("module.reloaded")
        house.wait_for("replay.differs")
        folder.write("hall.py", RULE.format(dark=40_000) + "# a comment\n")
        house.wait_for("module.reloaded")
        record = house.wait_for("replay.nothing_yet")
        assert record["modules"] == ["hall"]
        assert re.fullmatch("only [0-9]+ s of inputs are recorded", record["error"])
        assert record["inputs"] == 1
        folder.write("hall.py", RULE.format(dark="unknown_name"))
        house.wait_for("module.reload_aborted")  # the rule fails, so nothing is replayed
        save(folder, 30)
        house.wait_for("module.reloaded")
        assert house.stop() == 0  # while the replay runs
    assert [each["event"] for each in house.records].count("replay.failed") == 0


ENDLESS = """
    import asyncio
    from eshet_rules import rule

    @rule
    async def light():
        await asyncio.Event().wait()
    """


def test_a_kill_during_a_commit_leaves_the_version_that_ran(
    folder: Folder, tmp_path: Path, server: str, sensor: SyncClient
) -> None:
    where = ("--state-dir", str(tmp_path / "state"))
    folder.write("eshet-rules.toml", CONFIGURATION.format(commit="ask"))
    save(folder, 40)
    with runner(folder, server, *where) as house:
        house.wait_for("runner.started")
        folder.write("hall.py", ENDLESS)
        house.wait_for("module.changes_wait")
        with running("eshet-rules", "commit", server=server):
            house.wait_for("module.set_up_slow")
            house.process.kill()
            house.process.wait(timeout=20)
    with runner(folder, server, *where) as house:
        house.wait_for("runner.started")
        assert house.wait_for("module.changes_wait")["modules"] == ["hall"]
        assert get("/dark", server) == "40"
        assert house.stop() == 0


def test_the_usable_ones_of_several_changes_are_committed(
    folder: Folder, tmp_path: Path, server: str, sensor: SyncClient
) -> None:
    folder.write("eshet-rules.toml", CONFIGURATION.format(commit="ask"))
    save(folder, 40)
    folder.write("heating.py", "")
    with runner(folder, server, "--state-dir", str(tmp_path / "state")) as house:
        house.wait_for("runner.started")
        save(folder, 50)
        folder.write("heating.py", "import nothing_like_this\n")
        house.wait_for("module.changes_wait", modules=["hall", "heating"])
        done = command("eshet-rules", "commit", server=server)
        assert (done.returncode, done.stdout) == (1, "committed hall\n")
        assert done.stderr.startswith("eshet-rules: not reloaded: heating: ")
        assert house.stop() == 0


def test_without_the_file_of_committed_versions_no_change_becomes_live(
    folder: Folder, tmp_path: Path, server: str, sensor: SyncClient
) -> None:
    where = ("--state-dir", str(tmp_path / "state"))
    folder.write("eshet-rules.toml", CONFIGURATION.format(commit="ask"))
    save(folder, 40)
    with runner(folder, server, *where) as house:
        house.wait_for("runner.started")
        assert house.stop() == 0
    (file,) = (tmp_path / "state").rglob("committed.json")
    for dark in (50, 60):
        if dark == 50:
            file.write_bytes(file.read_bytes()[:-5])
        else:
            file.unlink()
        save(folder, dark)
        with runner(folder, server, *where) as house:
            record = house.wait_for("committed.restored")
            assert "eshet-rules commit" in record["advice"]
            assert ("damaged" in record) == (dark == 50)
            house.wait_for("runner.started")
            house.wait_for("module.changes_wait")
            assert get("/dark", server) == "40"
            assert house.stop() == 0
    assert file.with_name("committed.json.damaged").exists()
