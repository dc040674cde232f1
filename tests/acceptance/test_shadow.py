"""Changed rules in the shadow of a house, beside the real ones."""

import queue
from pathlib import Path

from eshet.sync_client import SyncClient
from tests.support.processes import command, line, running
from tests.support.rules import Folder
from tests.support.runner import PATIENCE, runner

RULE = """
from eshet import yarp
from eshet_rules import rule

@rule
async def light():
    motion = await yarp.event_listen("/motion")
    level = await yarp.state_observe("/level")
    await yarp.set_value("/lamp", yarp.latest(motion, initial=0) * {factor} + level)
"""


def test_a_shadow_has_no_effect(tmp_path: Path) -> None:
    real, changed = Folder(tmp_path / "rules"), Folder(tmp_path / "changed")
    real.write("hall.py", RULE.format(factor=1))
    changed.write("hall.py", RULE.format(factor=2))
    state = str(tmp_path / "state")
    where = ("--shadow", str(changed.path), "--state-dir", state)
    sets: queue.Queue[object] = queue.Queue()
    with running("eshet", "serve", "--listen", "127.0.0.1:0") as process:
        address = line(process).removeprefix("listening on ").strip()
        with SyncClient(server=address) as house:
            house.state_register("/level")
            house.state_changed("/level", 100)
            house.state_register("/lamp", sets.put)
            house.event_register("/motion")
            options = ("--server", address, "--state-dir", state)
            with (
                runner(real, address, *options) as live,
                runner(changed, address, *options, "--shadow", "-v") as shadow,
            ):
                live.wait_for("runner.started")
                shadow.wait_for("runner.started")
                assert sets.get(timeout=PATIENCE) == 100
                house.event_emit("/motion", 7)
                assert sets.get(timeout=PATIENCE) == 107
                shadow.wait_for("output.set", path="/lamp", value=114)
                assert shadow.stop() == live.stop() == 0
            assert sets.empty()
    said = command("eshet-rules", "shadow-diff", str(real.path), *where, "--from", "1h")
    assert "shadow: the runner was started" in said.stderr
    assert said.stdout == "no difference\n"  # the first seconds of both are not compared
