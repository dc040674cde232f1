"""Versions of rules and roll-backs, with real processes."""

import json
import textwrap
from pathlib import Path

import pytest

from eshet.sync_client import SyncClient
from eshet_rules.modules.discovery import version_of
from tests.support.processes import command, line, running
from tests.support.rules import Folder
from tests.support.runner import Runner, runner

RULE = """
    from eshet import yarp
    from eshet_rules import keep, rule

    @rule
    async def visitors():
        count = keep("visitors", 0)
        door = await yarp.event_listen("/door")
        await yarp.state_register("/visitors", count)
        await yarp.state_register("/version", yarp.Value({version}))

        @door.on_event
        def add(_):
            count.value += {step}
    """


@pytest.fixture(scope="module")
def server():
    with running("eshet", "serve", "--listen", "127.0.0.1:0") as process:
        yield line(process).split()[-1]


@pytest.fixture
def folder(tmp_path: Path) -> Folder:
    return Folder(tmp_path / "rules")


def save(folder: Folder, text: str) -> str:
    """Save the module, and return its version."""
    folder.write("hall.py", text)
    return version_of(textwrap.dedent(text).encode())


def get(path: str, server: str) -> str:
    return command("eshet", "get", path, server=server).stdout.strip()


def listed(server: str) -> str:
    return command("eshet-rules", "list", server=server).stdout


def kept(rules: tuple[str, ...], wanted: list[tuple[str, bool]]) -> bool:
    """Return whether these versions are kept, the newest first; they are written after a moment."""
    for _ in range(20):
        done = command("eshet-rules", "versions", "hall", "--json", *rules)
        rows = [json.loads(row) for row in done.stdout.splitlines()]
        if [(row["version"], row["failed"]) for row in rows] == wanted:
            return True
    return False


def test_a_version_is_looked_at_and_run_again(folder: Folder, tmp_path: Path, server: str) -> None:
    where = ("--state-dir", str(tmp_path / "state"))
    rules = ("--rules", str(folder.path), *where)

    def start() -> None:
        house.wait_for("runner.started")

    good = save(folder, RULE.format(version=1, step=1))
    with runner(folder, server, *where) as house, SyncClient(server=server) as visitor:
        start()
        visitor.event_register("/door")
        visitor.event_emit("/door", None)
        bad = save(folder, RULE.format(version=2, step=100))
        house.wait_for("module.reloaded", version=bad)

        assert kept(rules, [(bad, False), (good, False)])
        shown = command("eshet-rules", "show", f"hall@{good[:5]}", *rules)
        assert shown.stdout == textwrap.dedent(RULE.format(version=1, step=1))

        done = command("eshet-rules", "rollback", "hall", "--why", "counts wrong", server=server)
        assert done.stdout == (
            f"rolled back hall from {bad} to {good}, until {folder.path}/hall.py changes\n"
        )
        record = house.wait_for("module.rolled_back")
        assert (record["version"], record["replaced"]) == (good, bad)
        assert "@" in record["by"]
        assert record["why"] == "counts wrong"
        visitor.event_emit("/door", None)
        assert get("/visitors", server) == "2"
        assert f"hall: rolled back to {good}" in listed(server)
        assert house.stop() == 0

    with runner(folder, server, *where) as house:  # it survives a restart
        start()
        assert (get("/version", server), get("/visitors", server)) == ("1", "2")
        assert f"hall: rolled back to {good}" in listed(server)
        done = command("eshet-rules", "rollback", "hall@zz", server=server)
        assert done.returncode == 1
        assert f"kept: {good}, {bad}" in done.stderr

        newest = save(folder, RULE.format(version=3, step=1))  # a change of the file ends it
        house.wait_for("module.roll_back_ended")
        house.wait_for("module.reloaded", version=newest)
        assert "rolled back" not in listed(server)

        _write_back(house, folder, good, server)
        assert house.stop() == 0


def _write_back(house: Runner, folder: Folder, good: str, server: str) -> None:
    """Roll back and write the file: then the module runs the version of its file."""
    file = folder.path / "hall.py"
    file.chmod(0o640)
    done = command("eshet-rules", "rollback", f"hall@{good}", "--write", server=server)
    assert done.stdout.endswith(f"to {good}, and wrote {file}\n")
    house.wait_for("module.file_written", version=good)
    assert version_of(file.read_bytes()) == good
    assert file.stat().st_mode & 0o777 == 0o640
    assert get("/version", server) == "1"
    assert "rolled back" not in listed(server)


LOOP = """
    import asyncio
    from eshet import yarp
    from eshet_rules import keep, rule

    @rule
    async def steps():
        count = keep("steps", 0)
        await yarp.state_register("/steps", count)
        await yarp.state_register("/pace", yarp.Value({pace}))
        go = await yarp.event_listen("/go")

        @go.on_event
        def step(_):
            count.value += {pace}

        await asyncio.sleep({seconds})
        raise NameError("out of step")
    """


def test_a_version_that_fails_on_probation_is_taken_back(
    folder: Folder, tmp_path: Path, server: str
) -> None:
    where = ("--state-dir", str(tmp_path / "state"))
    good = save(folder, LOOP.format(pace=1, seconds=10**6))
    with runner(folder, server, *where) as house, SyncClient(server=server) as walker:
        house.wait_for("runner.started")
        walker.event_register("/go")
        walker.event_emit("/go", None)
        bad = save(folder, LOOP.format(pace=100, seconds=3))
        house.wait_for("module.reloaded", version=bad)
        walker.event_emit("/go", None)
        assert get("/steps", server) == "101"

        house.wait_for("rule.stays_failed", rule="hall.steps")
        record = house.wait_for("module.rolled_back")
        assert (record["version"], record["replaced"]) == (good, bad)
        assert record["by"] == "probation"
        assert "NameError: out of step" in record["why"]
        assert (get("/pace", server), get("/steps", server)) == ("1", "1")
        assert "by     probation" in listed(server)
        rules = ("--rules", str(folder.path), *where)
        assert kept(rules, [(good, False), (bad, True)])
        assert house.stop() == 0

    with runner(folder, server, *where) as house:
        house.wait_for("runner.started")
        assert get("/steps", server) == "1"
        repaired = save(folder, LOOP.format(pace=2, seconds=10**6))
        house.wait_for("module.reloaded", version=repaired)
        assert "rolled back" not in listed(server)
        assert house.stop() == 0
