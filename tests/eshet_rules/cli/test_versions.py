import json
from datetime import UTC, datetime

import pytest
from click.testing import CliRunner

from eshet_rules.cli import main
from eshet_rules.modules.discovery import version_of
from eshet_rules.reload.version_store import VersionStore
from eshet_rules.runner.state_folder import state_folder

ONE, TWO = b"a = 1\n", b"a = '\xc3\xbc'\n"


@pytest.fixture
def call(tmp_path):
    """Call the command for a rules folder with kept versions."""
    rules, state = tmp_path / "rules", tmp_path / "state"
    rules.mkdir()
    store = VersionStore(state_folder(state, rules) / "versions")
    store.add("hall", version_of(ONE), ONE, datetime(2026, 1, 1, tzinfo=UTC))
    store.add("hall", version_of(TWO), TWO, datetime(2026, 1, 2, tzinfo=UTC))
    store.add("bath", version_of(ONE), ONE, datetime(2026, 1, 3, tzinfo=UTC))

    def call(*arguments):
        where = ["--rules", str(rules), "--state-dir", str(state)]
        return CliRunner().invoke(main, [*arguments, *where], prog_name="eshet-rules")

    return call


def test_the_versions_of_all_modules_are_listed(call):
    done = call("versions")
    assert done.exit_code == 0
    rows = [line.split()[:2] for line in done.output.splitlines()]
    assert rows == [
        ["MODULE", "VERSION"],
        ["bath", version_of(ONE)],
        ["hall", version_of(TWO)],
        ["hall", version_of(ONE)],
    ]


def test_a_folder_of_which_nothing_is_kept_is_named(tmp_path):
    rules, state = tmp_path / "rules", tmp_path / "state"
    rules.mkdir()
    where = ["--rules", str(rules), "--state-dir", str(state)]
    folder = state_folder(state, rules) / "versions"
    done = CliRunner().invoke(main, ["versions", *where])
    assert (done.exit_code, done.stdout) == (0, "")
    assert (
        f"no version is kept in {folder}; another rules folder is named with --rules" in done.stderr
    )
    for command in ("versions", "show"):
        done = CliRunner().invoke(main, [command, "hall", *where])
        assert (done.exit_code, done.stdout) == (2, "")
        assert f"looked in {folder}" in done.stderr


def test_those_of_a_module_are_listed_as_json(call):
    newest, oldest = map(json.loads, call("versions", "hall", "--json").output.splitlines())
    assert newest["until"] is None
    assert oldest == {
        "module": "hall",
        "version": version_of(ONE),
        "since": "2026-01-01T00:00:00Z",
        "until": "2026-01-02T00:00:00Z",
        "bytes": len(ONE),
        "failed": False,
    }


@pytest.mark.parametrize("command", ["versions", "show"])
@pytest.mark.parametrize("name", ["ha\udcffll", "ha\udcffll@3f", "hall@\udcff"])
def test_a_name_that_can_not_be_encoded_is_unknown(call, command, name):
    done = call(command, name)
    assert done.exit_code == 2
    assert "kept" in done.stderr


def test_a_version_that_failed_on_probation_is_marked(call, tmp_path):
    store = VersionStore(state_folder(tmp_path / "state", tmp_path / "rules") / "versions")
    store.mark_failed("hall", version_of(TWO))
    newest, oldest = call("versions", "hall").output.splitlines()[1:]
    assert newest.endswith("on probation")
    assert not oldest.endswith("on probation")


def test_a_version_is_shown_byte_for_byte(call):
    assert call("show", f"hall@{version_of(ONE)[:4]}").stdout_bytes == ONE
    assert call("show", "hall").stdout_bytes == TWO


def test_an_unknown_version_names_the_others(call):
    done = call("show", "hall@zz")
    assert done.exit_code == 2
    assert f"kept: {version_of(TWO)}, {version_of(ONE)}" in done.stderr
    assert "did you mean hall?" in call("versions", "hal").stderr
