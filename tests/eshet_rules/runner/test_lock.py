import os
import subprocess
import sys
from pathlib import Path

import pytest

from eshet_rules.exceptions import StateFolderError, StateInUse, TrailInUse
from eshet_rules.runner.lock import locked, locked_trail

HOLD = """
import sys
from pathlib import Path
from eshet_rules.runner.lock import locked
with locked(Path(sys.argv[1])):
    print("locked", flush=True)
    sys.stdin.read()
"""


@pytest.fixture
def other(tmp_path):
    """Another process that has the lock."""
    with subprocess.Popen(  # noqa: S603
        [sys.executable, "-c", HOLD, str(tmp_path)],
        stdin=subprocess.PIPE,
        stdout=subprocess.PIPE,
        text=True,
    ) as process:
        assert process.stdout.readline() == "locked\n"
        yield process
        process.kill()


def test_a_folder_is_made_and_had_and_given_free(tmp_path):
    for _ in range(2):
        with locked(tmp_path / "deep" / "state"):
            assert (tmp_path / "deep/state/lock").read_text() == f"{os.getpid()}\n"


def test_what_is_in_the_folder_is_for_its_owner_only(tmp_path):
    with locked(tmp_path / "state" / "house"):
        assert (tmp_path / "state" / "house").stat().st_mode & 0o077 == 0


def test_who_comes_second_is_told_who_has_it(tmp_path, other):
    with pytest.raises(StateInUse, match=rf"process {other.pid}.*kill {other.pid}"):
        locked(tmp_path).__enter__()
    assert (tmp_path / "lock").read_text() == f"{other.pid}\n"


def test_it_is_free_when_the_other_was_killed(tmp_path, other):
    other.kill()
    other.wait()
    with locked(tmp_path):
        assert (tmp_path / "lock").read_text() == f"{os.getpid()}\n"


def test_a_folder_that_can_not_be_made_is_an_error_that_says_what_to_do(tmp_path):
    (tmp_path / "file").touch()
    with pytest.raises(StateFolderError, match=r"can't be used: .*; name one .* with --state-dir"):
        locked(tmp_path / "file" / "state").__enter__()


def test_a_trail_that_another_process_writes_is_refused(tmp_path):
    trail = tmp_path / "f" / "house.jsonl"
    hold = HOLD.replace("locked(", "locked_trail(").replace("import locked", "import locked_trail")
    with subprocess.Popen(  # noqa: S603
        [sys.executable, "-c", hold, str(trail)],
        stdin=subprocess.PIPE,
        stdout=subprocess.PIPE,
        text=True,
    ) as process:
        assert process.stdout.readline() == "locked\n"
        in_use = pytest.raises(TrailInUse, match=rf"process {process.pid}, writes")
        with in_use as caught, locked_trail(trail):
            pass
        assert "--audit" in str(caught.value)
        with locked_trail(tmp_path / "f" / "house-garden.jsonl"):
            pass
        process.kill()
    with locked_trail(trail):
        pass


@pytest.mark.parametrize("trail", ["/dev/null", "/proc/none/trail.jsonl"])
def test_where_no_file_can_be_beside_a_trail_it_is_not_locked(trail):
    with locked_trail(Path(trail)), locked_trail(Path(trail)):
        pass
