import subprocess
import sys

import pytest
from click.testing import CliRunner

from eshet_rules.cli import main
from eshet_rules.cli.templates import NAMES, template
from eshet_rules.config import ConfigurationFile


def init(*arguments):
    return CliRunner().invoke(main, ["init", *map(str, arguments)], prog_name="eshet-rules")


def test_it_writes_a_rule_its_test_and_a_configuration_and_says_so(tmp_path):
    folder = tmp_path / "deep" / "house"
    result = init(folder)
    assert result.exit_code == 0
    assert result.output.splitlines() == [
        *(f"wrote {folder / name}" for name in NAMES),
        f"try it: eshet-rules run {folder}",
        f"test it: pytest {folder}",
    ]
    assert {file.name: file.read_text() for file in folder.iterdir()} == {
        name: template(name) for name in NAMES
    }


def test_the_test_that_it_writes_passes(tmp_path):
    init(tmp_path)
    done = subprocess.run(  # noqa: S603
        [sys.executable, "-m", "pytest", "-q", "-p", "no:asyncio", str(tmp_path)],
        capture_output=True,
        text=True,
        check=False,
        cwd=tmp_path,
    )
    assert done.returncode == 0, done.stdout
    assert "1 passed" in done.stdout


def test_its_configuration_is_right(tmp_path):
    init(tmp_path)
    file = ConfigurationFile(tmp_path / "eshet-rules.toml")
    assert dict(file.read().for_rule("hall.hall_light").parameters) == {"minutes": 2, "dark": 40}


@pytest.mark.parametrize("name", NAMES)
def test_nothing_is_written_where_one_of_them_is_there(tmp_path, name):
    (tmp_path / name).write_text("mine")
    result = init(tmp_path)
    assert result.exit_code == 1
    assert f"{tmp_path / name} exists already" in result.stderr
    assert [(file.name, file.read_text()) for file in tmp_path.iterdir()] == [(name, "mine")]


def test_a_link_to_nowhere_is_not_written_through(tmp_path):
    (tmp_path / "hall.py").symlink_to(tmp_path / "elsewhere.py")
    assert init(tmp_path).exit_code == 1
    assert not (tmp_path / "elsewhere.py").exists()
