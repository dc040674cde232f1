import subprocess
import sys

import pytest
from click.testing import CliRunner

from eshet_rules.cli import main


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
        (["run", ".", "--server", "house:port:1"], "is no address of a server"),
        (["run", ".", "--log-format", "xml"], "'xml' is not one of"),
        (["run", ".", "--unheard-of"], "No such option"),
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
        "print(*[name for name in ('watchfiles', 'structlog', 'eshet_rules.runner') "
        "if name in sys.modules])"
    )
    done = subprocess.run(  # noqa: S603
        [sys.executable, "-c", code], capture_output=True, text=True, check=True
    )
    assert done.stdout.splitlines()[-1] == ""
