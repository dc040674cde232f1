"""The rules of a git revision, in a real repository."""

import subprocess

import pytest

from eshet_rules.replay.revisions import Commit, UnknownVersion, commit_of, revision_at
from tests.support.rules import Folder


@pytest.fixture
def git(folder):
    def git(*arguments):
        done = subprocess.run(  # noqa: S603
            ["git", "-C", str(folder.path), *arguments],  # noqa: S607
            check=True,
            capture_output=True,
            text=True,
        )
        return done.stdout.strip()

    git("init", "-q")
    git("config", "user.name", "Ann")
    git("config", "user.email", "ann@example.org")
    return git


@pytest.fixture
def commit(git):
    """Commit everything, and return the hash."""

    def commit(subject):
        git("add", "-A")
        git("commit", "-q", "-m", f"{subject}\n\nMore about it.")
        return git("rev-parse", "HEAD")

    return commit


@pytest.fixture
def rules(folder):
    """A rules folder in the repository."""
    return Folder(folder.path / "rules")


def test_a_revision_of_the_folder_without_the_rest_of_the_repository(folder, rules, commit):
    folder.write("README", "")
    rules.write("up/hall.py", "1")
    commit("First")
    rules.write("up/hall.py", "2")
    rules.write("new.py", "")
    with revision_at(rules.path, "HEAD") as place:
        assert Folder(place).sources()["up.hall"].data == b"1"
        assert [each.name for each in place.iterdir()] == ["up"]
    assert not place.exists()
    assert rules.sources()["up.hall"].data == b"2"


@pytest.mark.parametrize("revision", ["nowhere", "--output=x", "HEAD~9", ""])
def test_a_revision_that_does_not_exist(rules, commit, revision):
    rules.write("hall.py", "")
    commit("First")
    with pytest.raises(UnknownVersion), revision_at(rules.path, revision):
        pass
    assert commit_of(rules.path, revision or "nowhere") is None


def test_a_link_to_outside_in_a_revision(rules, commit):
    rules.write("hall.py", "")
    (rules.path / "link.py").symlink_to("../../../etc/passwd")
    commit("First")
    with pytest.raises(UnknownVersion, match="link"), revision_at(rules.path, "HEAD"):
        pass


def test_the_commit_that_is_checked_out_and_whether_the_folder_differs(folder, rules, commit):
    rules.write("hall.py", "1")
    first = commit("Light the hall")
    folder.write("elsewhere", "changed")
    assert commit_of(rules.path) == Commit(first, "Light the hall", is_changed=False)
    rules.write("hall.py", "2")
    assert commit_of(rules.path) == Commit(first, "Light the hall", is_changed=True)
    second = commit("Dim it")
    rules.write("new.py", "")
    assert commit_of(rules.path) == Commit(second, "Dim it", is_changed=True)
    assert commit_of(rules.path, "HEAD~1") == Commit(first, "Light the hall", is_changed=False)


def test_a_folder_in_no_repository_or_without_a_commit(rules, git, tmp_path_factory, monkeypatch):
    rules.write("hall.py", "")
    assert commit_of(rules.path) is None
    monkeypatch.setenv("GIT_CEILING_DIRECTORIES", "/")
    assert commit_of(tmp_path_factory.mktemp("other")) is None


def test_a_folder_that_the_repository_ignores(folder, rules, commit):
    folder.write(".gitignore", "rules/")
    commit("First")
    rules.write("hall.py", "")
    assert commit_of(rules.path) is None


def test_without_git(rules, monkeypatch):
    rules.write("hall.py", "")
    monkeypatch.setenv("PATH", "")
    assert commit_of(rules.path) is None
    with (
        pytest.raises(UnknownVersion, match="git is not installed"),
        revision_at(rules.path, "HEAD"),
    ):
        pass
