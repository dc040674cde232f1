import subprocess
import sys

import pytest
from click.testing import CliRunner

from eshet_rules.cli import main
from tests.support.processes import command, line, running


@pytest.mark.parametrize("args", [["--help"], ["run", "--help"], ["run", "-h"]])
def test_help_is_there(args):
    result = CliRunner().invoke(main, args)
    assert result.exit_code == 0
    assert "Usage:" in result.output


def test_the_version_is_told():
    assert "eshet-rules" in CliRunner().invoke(main, ["--version"]).output


@pytest.mark.parametrize(
    ("args", "message"),
    [
        (["enable"], "Missing argument 'NAMES...'"),
        (["run", ".", "--server", "house:port:1"], "is not a server address"),
        (["run", ".", "--log-format", "xml"], "'xml' is not one of"),
        (["run", ".", "--unheard-of"], "No such option"),
        (["run", ".", "--cluster", "house", "--once"], "--cluster runs modules together"),
        (["run", ".", "--cluster", "house", "--shadow"], "--cluster runs modules together"),
        (["run", ".", "--cluster", "house", "--only", "hall"], "--cluster runs modules together"),
        (["run", ".", "--cluster", "the house"], "is not a valid name"),
        (["drain", "hall"], "Got unexpected extra argument (hall)"),
        (["rum", "."], "No such command 'rum'"),
    ],
)
def test_wrong_usage_exits_with_two_and_says_what_is_wrong(args, message):
    result = CliRunner().invoke(main, args)
    assert result.exit_code == 2
    assert message in result.output


def test_the_address_of_the_environment_is_checked_too():
    result = CliRunner().invoke(main, ["run", "."], env={"ESHET_SERVER": "house:port:1"})
    assert result.exit_code == 2
    assert "ESHET_SERVER" in result.output or "is no address" in result.output


def test_help_does_not_import_the_runner():
    code = (
        "import sys; sys.argv = ['eshet-rules', '--help']\n"
        "from eshet_rules.cli import main\n"
        "try: main()\n"
        "except SystemExit: pass\n"
        "print(*[name for name in ('watchfiles', 'structlog', 'eshet_rules.runner.main') "
        "if name in sys.modules])"
    )
    done = subprocess.run(  # noqa: S603
        [sys.executable, "-c", code], capture_output=True, text=True, check=True
    )
    assert done.stdout.splitlines()[-1] == ""


@pytest.fixture
def house(tmp_path):
    """Rules, configuration and a state folder that only their owner can write."""
    for name in (".", "rules", "rules/up", "state"):
        (tmp_path / name).mkdir(exist_ok=True)
        (tmp_path / name).chmod(0o755)
    (tmp_path / "rules" / "up" / "hall.py").write_text("async def main(): ...\n")
    (tmp_path / "rules" / "eshet-rules.toml").touch()
    return tmp_path


def run_once(house, *options):
    rules, state = str(house / "rules"), str(house / "state")
    return command("eshet-rules", "run", rules, "--once", "--state-dir", state, *options)


def test_a_cluster_without_a_name_is_refused_as_each_machine_would_run_all_modules(house):
    (house / "rules/eshet-rules.toml").write_text('[cluster]\nserver = "nats://127.0.0.1"\n')
    done = command("eshet-rules", "run", str(house / "rules"), "--server", "127.0.0.1:1")
    assert done.returncode == 2
    assert "eshet-rules.toml: cluster.name: it is missing, so this runner would run" in done.stderr


@pytest.mark.parametrize(
    "name", ["rules", "rules/up", "rules/up/hall.py", "rules/eshet-rules.toml", "state"]
)
def test_what_others_can_change_is_refused_before_anything_runs(house, name):
    (house / name).chmod(0o777)
    refused = run_once(house)
    assert refused.returncode == 2
    assert f"run `chmod o-w {house / name}`, or use --insecure" in refused.stderr
    assert list((house / "state").iterdir()) == []


def test_a_state_folder_that_somebody_else_has_made_is_refused(house):
    run_once(house)
    [place] = (house / "state").iterdir()
    place.chmod(0o777)
    assert run_once(house).returncode == 2


def test_what_others_can_change_runs_for_those_who_insist(house):
    (house / "rules").chmod(0o777)
    with running("eshet", "serve", "--listen", "127.0.0.1:0") as process:
        server = line(process).removeprefix("listening on ")
        assert run_once(house, "--insecure", "--server", server).returncode == 0


@pytest.mark.parametrize(
    "arguments",
    [
        ["run", ""],
        ["run", "--state-dir", ""],
        ["run", "--audit", ""],
        ["run", "--config", ""],
        ["audit", ""],
        ["audit", "--state-dir", ""],
        ["init", ""],
    ],
    ids=" ".join,
)
def test_an_empty_path_is_refused_since_it_would_mean_the_current_folder(arguments):
    result = CliRunner().invoke(main, arguments)
    assert result.exit_code == 2
    assert "'' is not a path" in result.stderr
