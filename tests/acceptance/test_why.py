"""`eshet-rules why`, with real processes."""

import json
import textwrap
from pathlib import Path

import pytest

from eshet.sync_client import SyncClient
from tests.support.processes import command, line, running
from tests.support.rules import Folder
from tests.support.runner import runner

RULES = """
    from eshet import yarp
    from eshet_rules import rule

    @rule
    async def dark():
        lux = await yarp.state_observe("/hall/lux")
        await yarp.state_register("/hall/dark", yarp.no_repeat(lux < 40))

    @rule
    async def light():
        motion = await yarp.event_listen("/hall/motion")
        dark = await yarp.state_observe("/hall/dark")
        await yarp.set_value("/hall/lamp", yarp.no_repeat(yarp.hold(motion, 100) & dark))
    """


@pytest.fixture(scope="module")
def server():
    with running("eshet", "serve", "--listen", "127.0.0.1:0") as process:
        yield line(process).split()[-1]


def test_a_value_is_explained_now_in_the_past_and_without_a_runner(
    tmp_path: Path, server: str
) -> None:
    folder = Folder(tmp_path / "rules")
    folder.write("hall.py", textwrap.dedent(RULES))
    where = ("--state-dir", str(tmp_path / "state"))
    rules = ("--rules", str(folder.path), *where)

    def why(*arguments: str) -> str:
        done = command("eshet-rules", "why", *arguments, *rules, server=server)
        return done.stdout + done.stderr

    with SyncClient(server=server) as house:
        lamp = house.state_register("/hall/lamp", lambda value: lamp.changed(value))
        lamp.changed(False)
        lux = house.state_register("/hall/lux")
        lux.changed(12)
        house.event_register("/hall/motion")
        with runner(folder, server, *where) as home:
            home.wait_for("runner.started")
            house.event_emit("/hall/motion", "cat")
            while house.get("/hall/lamp") is not True:
                pass
            said = why("/hall/lamp")
            assert said.startswith("/hall/lamp = True, since ")
            assert "  set by hall.light (hall.py:14, version " in said
            assert "  /hall/motion emitted 'cat' at " in said
            assert "    /hall/lux = 12, since " in said
            assert "written by hall.light\nprovided by " in said
            said = why("/hall/lamp", "--needed")
            assert " ago)  <- changed, needed\n" in said

            elsewhere = command(
                "eshet-rules", "why", "/hall/lamp", "--needed", *where, server=server
            )
            assert elsewhere.stderr == "", "the trail is that of the runner"
            assert " ago)  <- changed, needed\n" in elsewhere.stdout

            for options in ([], ["--json"]):
                mistyped = ["eshet-rules", "why", "/hall/lapm", *options, *rules]
                assert command(*mistyped, server=server).returncode == 1
            said = why("/hall/lapm")
            assert "did you mean /hall/lamp?" in said
            said = why("/hall/lux")
            assert "from outside" in said
            assert "read by hall.dark" in said

            drawn = command("eshet-rules", "graph", "hall", server=server).stdout
            assert drawn.startswith('flowchart LR\n    n0(["/hall/dark"])\n')
            inside = command("eshet-rules", "graph", "--rule", "hall.light", server=server).stdout
            assert "hold at hall.py:14 = True" in inside
            beside = command("eshet-rules", "graph", "--rules", str(folder.path), server=server)
            assert beside.stdout == drawn

            lamp.changed(False)
            assert "/hall/lamp is False now, which no rule of this runner has set" in why(
                "/hall/lamp"
            )
            command("eshet-rules", "disable", "hall.light", server=server)
            assert "hall.light is disabled now: by command" in why("/hall/lamp")
            content = json.loads(why("/hall/lamp", "--json"))
            assert content["by_rule"]
            assert content["inputs"][0]["name"] == "/hall/dark"
            assert home.stop() == 0
        counted = command(
            "eshet-rules", "stats", str(folder.path), *where, "--format", "json", server=server
        )
        assert json.loads(counted.stdout)["rules"]["hall.light"]["outputs"]["done"] >= 2
        said = why("/hall/lamp")
        assert "no runner answers; this is from its audit trail" in said
        assert "  set by hall.light (version " in said
        said = why("/hall/lamp", "--needed")
        assert " ago)  <- changed, needed\n" in said
        assert "does not make" not in said
        assert why("/hall/lamp", "--at", "2020-01-01").startswith("/hall/lamp: nothing is recorded")
    gone = command(
        "eshet-rules", "why", "/x", "--rules", str(folder.path), "--state-dir", str(tmp_path / "no")
    )
    assert gone.returncode == 1
    assert "does not exist" in gone.stderr


ALARM = """
    from eshet import yarp
    from eshet_rules import rule

    async def remember(code):
        pass

    @rule
    async def alarm():
        code = await yarp.state_observe("/alarm/code")
        await yarp.set_value("/lamp", yarp.fn(lambda each: each == "471199")(code))
        await yarp.act(remember, yarp.value_to_event(code))
        await yarp.drive("/alarm/level", yarp.when(471199, code))
    """


def test_secret_values_are_shown_nowhere_and_damage_is_reported(
    tmp_path: Path, server: str
) -> None:
    folder = Folder(tmp_path / "rules")
    folder.write("alarm.py", textwrap.dedent(ALARM))
    folder.write("eshet-rules.toml", '[log]\nredact = ["/alarm/*"]\n')
    where = ("--state-dir", str(tmp_path / "state"))
    rules = ("--rules", str(folder.path), *where)

    def output(*arguments: str) -> str:
        done = command("eshet-rules", *arguments, server=server)
        return done.stdout + done.stderr

    with SyncClient(server=server) as house:
        code = house.state_register("/alarm/code")
        code.changed("123456")
        lamp = house.state_register("/lamp", lambda value: lamp.changed(value))
        level = house.state_register("/alarm/level", lambda value: level.changed(value))
        with runner(folder, server, *where) as home:
            home.wait_for("runner.started")
            code.changed("471199")
            while house.get("/lamp") is not True:
                pass
            said = [
                output("why", "/lamp", *rules),
                output("why", "/alarm/code", *rules),
                output("why", "/alarm/level", *rules),
                output("why-not", "/alarm/level", "--is", "7", *rules),
                output("why-not", "/lamp", *rules),
                output("graph", "--rule", "alarm.alarm"),
                output("list", "alarm.alarm"),
            ]
            assert home.stop() == 0
    trail = next((tmp_path / "state").rglob("*.jsonl"))
    assert "/lamp = True, since" in said[0]
    assert "/alarm/code = [redacted]" in said[5]
    for each in [*said, trail.read_text(), output("audit", str(folder.path), *where)]:
        assert "471199" not in each

    lines = trail.read_bytes().replace(b'"path":"/lamp","value":true', b'"path":"/lamp","value":0')
    trail.write_bytes(lines)
    for arguments in (("why", "/lamp", *rules), ("stats", str(folder.path), *where)):
        done = command("eshet-rules", *arguments, server=server)
        assert done.returncode == 3
        assert "trail.jsonl: it has damaged lines" in done.stderr
