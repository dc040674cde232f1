"""`eshet-rules replay --versus` compares with kept versions of modules."""

from datetime import UTC, datetime

import pytest
from click.testing import CliRunner

from eshet_rules.cli import main
from eshet_rules.modules.discovery import version_of
from eshet_rules.reload.version_store import VersionStore
from eshet_rules.runner.state_folder import state_folder

HALL = """
from eshet import yarp
from eshet_rules import rule

@rule
async def light(config):
    lux = await yarp.state_observe("/hall/lux")
    await yarp.state_register("/hall/light", lux < {dark})
"""


async def evening(house):
    lux = house.device("/hall/lux", 80, settable=False)
    await house.load("hall.py", dark=40)
    for level in (60, 30, 60):
        await house.advance(minutes=10)
        await lux.report(level)
    await house.advance(minutes=1)


@pytest.fixture
def replay(recorder, tmp_path):
    """Replay a day of which the trail has the outputs of a third version."""
    recorder.write("hall", HALL.format(dark=20))
    recorder.live(evening)
    state = tmp_path / "state"
    old = HALL.format(dark=40).encode()
    store = VersionStore(state_folder(state, recorder.folder) / "versions")
    store.add("hall", version_of(old), old, datetime(2026, 3, 1, tzinfo=UTC))
    options = ["--audit", str(recorder.trail), "--state-dir", str(state)]
    options += ["--from", "2026-03-28T18:00:00+00:00", "--to", "2026-03-28T19:00:00+00:00"]

    def replay(*arguments):
        command = ["replay", str(recorder.folder), *options, *arguments]
        return CliRunner().invoke(main, command, prog_name="eshet-rules")

    return replay


def test_the_present_rules_are_compared_with_an_earlier_version(recorder, replay):
    recorder.write("hall", HALL.format(dark=70))
    result = replay("--versus", "hall")
    assert result.exit_code == 1
    assert "/hall/light is True" in result.stdout
    recorder.write("hall", f"# new\n{HALL.format(dark=40)}")
    result = replay("--versus", "hall")
    assert (result.exit_code, result.stdout) == (0, "no difference\n")
    assert replay("--diff").exit_code == 1  # from the recording


def test_an_unknown_version_and_two_kinds_of_versions_are_refused(replay):
    result = replay("--versus", "hall@zz")
    assert (result.exit_code, "no kept version" in result.stderr) == (2, True)
    result = replay("--versus", "hall", "--rules", "HEAD")
    assert "use either --rules or --versus" in result.stderr


def test_the_configuration_file_of_the_option_has_the_parameters(recorder, replay, tmp_path):
    recorder.write("hall", HALL.replace("{dark}", "config.dark"))
    (tmp_path / "other.toml").write_text("[rules.hall]\nparameters = {dark = 20}\n")
    result = replay("--diff", "--config", str(tmp_path / "other.toml"))
    assert (result.exit_code, result.stdout) == (0, "no difference\n"), result.stderr
