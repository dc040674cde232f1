"""The motion light over a kill of the runner, with real processes and the real clock."""

import signal
import time
from pathlib import Path

from tests.support.processes import command, line, running
from tests.support.rules import Folder

WINDOW = 6.0  # seconds
DOWN = 2.0  # how long nobody runs the rule, in seconds
EARLY = 0.05  # how far two clocks of one machine may be apart, in seconds

RULE = f"""
from eshet import yarp
from eshet_rules import rule

@rule
async def light():
    motion = await yarp.event_listen("/hall/motion")
    moved = yarp.len(yarp.time_window(motion, {WINDOW})) > 0
    await yarp.state_register("/hall/light", yarp.no_repeat(moved))
    await yarp.action_call("/hall/switch", yarp.no_repeat(moved))
"""

HOUSE = """
import asyncio
from eshet import Client

async def main():
    house = Client()
    await house.wait_for_connection()
    motion = await house.event_register("/hall/motion")
    await house.action_register("/hall/switch", lambda on: print("switched", on, flush=True))
    await house.action_register("/hall/move", lambda: motion("at the door"))
    print("ready", flush=True)
    await asyncio.Event().wait()

asyncio.run(main())
"""


def _is_remembered(state: Path) -> bool:
    return any(b"at the door" in file.read_bytes() for file in state.glob("*/checkpoint"))


def test_the_light_goes_off_when_it_would_have_though_the_runner_was_killed(tmp_path: Path) -> None:
    folder = Folder(tmp_path / "rules")
    folder.write("hall.py", RULE)
    house_script = tmp_path / "house.py"
    house_script.write_text(HOUSE)
    run = ["eshet-rules", "run", str(folder.path), "--state-dir", str(tmp_path / "state")]
    with running("eshet", "serve", "--listen", "127.0.0.1:0") as server:
        address = line(server).removeprefix("listening on ")
        with (
            running("python", str(house_script), server=address) as house,
            running("eshet", "observe", "/hall/light", server=address) as observer,
        ):
            assert line(house) == "ready"
            with running(*run, server=address) as first:
                while (seen := line(observer)) != "false":
                    assert seen == "unknown"
                assert line(house) == "switched False"
                moved = time.monotonic()
                assert command("eshet", "call", "/hall/move", server=address).returncode == 0
                assert line(observer) == "true"
                seen_moving = time.monotonic()
                assert line(house) == "switched True"
                while not _is_remembered(tmp_path / "state"):
                    time.sleep(0.01)
                first.send_signal(signal.SIGKILL)
                first.wait(10)
            assert line(observer) == "unknown"
            while time.monotonic() < seen_moving + DOWN:
                time.sleep(0.01)
            restarted = time.monotonic()
            with running(*run, server=address):
                assert line(observer) == "true"
                assert line(observer) == "false"
                # Had it begun afresh, it would be on for the whole window from then on.
                assert moved + WINDOW - EARLY < time.monotonic() < restarted + WINDOW
                assert line(house) == "switched False"
