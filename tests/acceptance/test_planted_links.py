"""A link that somebody plants where the runner writes never leads it to the files of others."""

import pytest

from eshet_rules.modules.discovery import version_of
from eshet_rules.runner.state_folder import state_folder
from tests.support.processes import command, line, running

RULE = """
from eshet_rules import keep, rule

@rule
async def counter():
    n = keep("n", 0)
    n.value += 1
"""

WRITTEN = [
    "rules-folder.json",
    "checkpoint",
    "checkpoint.new",
    "checkpoint.damaged",
    "switches.json",
    "switches.new",
    "roll-backs.json",
    "versions/hall/history.json",
    f"versions/hall/{version_of(RULE.encode())}.txt",
    "guard/crash",
    "guard/starts.json",
    "guard/blamed.json",
    "audit/trail.jsonl",
    "audit/trail.jsonl.lock",
    "audit/trail-000001-20261125T032241.jsonl.zst",
    "audit/trail-000001-20261125T032241.jsonl.part",
]
"""All that it writes in the state folder, now or in earlier versions, but for the lock."""


@pytest.fixture(scope="module")
def server():
    with running("eshet", "serve", "--listen", "127.0.0.1:0") as process:
        yield line(process).removeprefix("listening on ")


@pytest.fixture
def rules(tmp_path):
    folder = tmp_path / "rules"
    folder.mkdir(mode=0o755)
    (folder / "hall.py").write_text(RULE)
    return folder


@pytest.fixture
def once(tmp_path, rules, server):
    """Run the rules once."""

    def once():
        state = str(tmp_path / "state")
        return command(
            "eshet-rules", "run", str(rules), "--once", "--state-dir", state, server=server
        )

    return once


@pytest.fixture
def place(tmp_path, rules):
    """The state folder; it has been used, and a part of it is damaged."""
    place = state_folder(tmp_path / "state", rules)
    for folder in (place / "guard", place / "audit", place / "versions" / "hall"):
        folder.mkdir(parents=True, mode=0o700)
    return place


@pytest.mark.parametrize("target", ["precious", "nothing"])
def test_no_link_is_followed(once, place, tmp_path, target):
    (tmp_path / "precious").write_text("precious")
    for name in WRITTEN:
        (place / name).symlink_to(tmp_path / target)
    (place / "audit" / "trail-000001-20261125T032241.jsonl").write_text("{}\n")
    ended = once()
    assert ended.returncode == 0
    assert "can't write the trail" in ended.stdout
    assert (tmp_path / "precious").read_text() == "precious"
    assert not (tmp_path / "nothing").exists()


@pytest.mark.parametrize("target", ["precious", "nothing"])
def test_a_lock_that_is_a_link_is_an_error_that_says_so(once, place, tmp_path, target):
    (tmp_path / "precious").write_text("precious")
    (place / "lock").symlink_to(tmp_path / target)
    ended = once()
    assert ended.returncode == 1
    assert "it is a symbolic link, which is not followed" in ended.stderr
    assert (tmp_path / "precious").read_text() == "precious"
    assert not (tmp_path / "nothing").exists()


def test_all_that_is_written_is_in_the_table_and_private(once, place):
    once()
    once()
    written = [path for path in place.rglob("*") if path.is_file()]
    assert {str(path.relative_to(place)) for path in written} <= {"lock", *WRITTEN}
    assert {"checkpoint", "lock", "audit/trail.jsonl"} <= {
        str(path.relative_to(place)) for path in written
    }
    assert {path.stat().st_mode & 0o777 for path in written} == {0o600}
