"""A path that rules and people share, with real processes."""

from pathlib import Path

import pytest

from eshet.sync_client import SyncClient
from tests.support.processes import command, line, running
from tests.support.rules import Folder
from tests.support.runner import runner

LAMP = """
    from eshet import yarp
    from eshet_rules import keep, rule

    @rule
    async def lamp():
        await yarp.state_register("/hall/light", keep("level", 0), settable=True)
    """

HALL = """
    from eshet import yarp
    from eshet_rules import rule

    @rule
    async def light():
        await yarp.drive("/hall/light", 10, override="2h")
    """


@pytest.fixture(scope="module")
def server():
    with running("eshet", "serve", "--listen", "127.0.0.1:0") as process:
        yield line(process).split()[-1]


def test_a_person_overrides_a_rule_until_the_path_is_released(tmp_path: Path, server: str) -> None:
    folder = Folder(tmp_path / "rules")
    folder.write("lamp.py", LAMP)
    folder.write("hall.py", HALL)
    where = ("--state-dir", str(tmp_path / "state"))

    def get() -> str:
        return command("eshet", "get", "/hall/light", server=server).stdout.strip()

    with runner(folder, server, *where) as house, SyncClient(server=server) as viewer:
        house.wait_for("runner.started")
        assert get() == "10"
        assert command("eshet", "set", "/hall/light", "30", server=server).returncode == 0
        house.wait_for("path.overridden")
        [report] = viewer.action_call(f"/eshet_rules/{folder.path.name}/drives")["drives"]
        assert report["decides"] == "person"
        assert house.stop() == 0

    with runner(folder, server, *where) as house:
        assert house.wait_for("path.overridden")["since"]  # it outlasts the restart
        house.wait_for("runner.started")
        assert get() == "30"
        done = command("eshet-rules", "release", "/hall/ligt", server=server)
        assert done.returncode == 1
        assert "no rule drives /hall/ligt with yarp.drive; did you mean /hall/light?" in done.stderr
        done = command("eshet-rules", "release", "/hall/light", server=server)
        assert done.stdout == "released /hall/light\n"
        house.wait_for("path.released")
        assert get() == "10"
        done = command("eshet-rules", "release", "/hall/light", server=server)
        assert done.stdout == "the rules decide already over /hall/light\n"
        assert house.stop() == 0
