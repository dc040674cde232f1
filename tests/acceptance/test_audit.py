"""The trail of a runner in a process of its own."""

import json

import pytest

from eshet_rules.audit.records.schema import check
from tests.support.processes import command, line, running
from tests.support.rules import Folder

RULE = """
from eshet import yarp
from eshet_rules import rule

@rule
async def light():
    await yarp.state_register("/hall/light", yarp.Value(False), settable=True)
"""


@pytest.fixture
def server():
    with running("eshet", "serve", "--listen", "127.0.0.1:0") as process:
        yield line(process).split()[-1]


def test_a_runner_keeps_a_trail_that_is_followed_while_it_runs(tmp_path, server):
    folder = Folder(tmp_path / "rules")
    folder.write("hall.py", RULE)
    where = [str(folder.path), "--state-dir", str(tmp_path / "state")]
    with (
        running("eshet-rules", "run", *where, "-q", server=server) as runner,
        running("eshet-rules", "audit", *where, "--follow", "--json", server=server) as audit,
    ):
        events = []
        while not events or events[-1] != "runner.started":
            events.append(json.loads(line(audit))["event"])
        assert events[0] == "trail.started"
        command("eshet", "set", "/hall/light", "true", server=server)
        heard, said = (json.loads(line(audit)) for _ in range(2))
        assert (heard["event"], heard["kind"], heard["value"]) == ("input.received", "set", True)
        assert (said["event"], said["value"]) == ("output.published", True)
        assert heard["cause"] == said["cause"]
        runner.terminate()
        assert runner.wait() == 0
    shown = command("eshet-rules", "audit", *where, "--event", "runner.stopped")
    assert (shown.returncode, shown.stdout.split()[-1]) == (0, "stopped")
    all_records = command("eshet-rules", "audit", *where, "--json").stdout.splitlines()
    assert len(all_records) > 5
    for each in all_records:
        check(json.loads(each))


def test_a_full_disk_stops_no_rule(tmp_path, server):
    folder = Folder(tmp_path / "rules")
    folder.write("hall.py", RULE)
    arguments = [str(folder.path), "--state-dir", str(tmp_path / "state"), "--audit", "/dev/full"]
    with running("eshet-rules", "run", *arguments, server=server) as runner:
        text = ""
        while "running" not in text:
            text += line(runner) + "\n"
        assert text.count("can't write the trail") == 1
        assert "No space left on device" in text
        command("eshet", "set", "/hall/light", "true", server=server)
        assert command("eshet", "get", "/hall/light", server=server).stdout == "true\n"
        runner.terminate()
        assert runner.wait() == 0


@pytest.mark.parametrize("option", [["--no-audit"], ["--audit", "log.jsonl"]])
def test_where_the_trail_is_can_be_said(tmp_path, server, option):
    folder = Folder(tmp_path / "rules")
    folder.write("hall.py", RULE)
    state = ["--state-dir", str(tmp_path / "state"), "--once", "-v"]
    run = command("eshet-rules", "run", "rules", *state, *option, server=server, cwd=tmp_path)
    assert run.returncode == 0
    assert "state published" in run.stdout
    found = [path.name for path in tmp_path.rglob("*.jsonl")]
    assert found == (["log.jsonl"] if "--audit" in option else [])
