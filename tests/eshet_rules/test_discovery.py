import os

import pytest

from eshet_rules.discovery import check_folder, discover
from eshet_rules.exceptions import RulesFolderError


def test_the_tree_gives_modules_their_names(folder):
    folder.write("hall.py", "")
    folder.write("upstairs/bath.py", "")
    folder.write("upstairs/__init__.py", "")
    assert list(folder.sources()) == ["hall", "upstairs", "upstairs.bath"]


@pytest.mark.parametrize(
    "name",
    [
        "test_hall.py",
        "hall_test.py",
        "conftest.py",
        ".hidden.py",
        ".git/hall.py",
        ".#hall.py",
        "#hall.py#",
        "hall.py~",
        ".hall.py.swp",
        "__pycache__/hall.py",
        "notes.txt",
        "__init__.py",
    ],
)
def test_what_is_no_module_is_not_found(folder, name):
    folder.write(name, "")
    assert folder.sources() == {}


@pytest.mark.parametrize(
    ("name", "is_helper"),
    [("_lights.py", True), ("_lib/lights.py", True), ("hall.py", False), ("a_b.py", False)],
)
def test_a_leading_underscore_makes_a_helper(folder, name, is_helper):
    folder.write(name, "")
    [source] = folder.sources().values()
    assert source.is_helper == is_helper


@pytest.mark.parametrize(
    ("name", "package"),
    [("hall.py", ""), ("up/bath.py", "up"), ("up/__init__.py", "up"), ("a/b/c.py", "a.b")],
)
def test_a_source_knows_the_package_of_its_relative_imports(folder, name, package):
    folder.write(name, "")
    [source] = folder.sources().values()
    assert source.package == package


def test_the_version_is_that_of_the_content(folder):
    folder.write("hall.py", "a = 1")
    first = folder.sources()["hall"]
    folder.write("hall.py", "a = 2")
    second = folder.sources()["hall"]
    folder.write("hall.py", "a = 1")
    assert folder.sources()["hall"].version == first.version != second.version


def test_a_file_with_the_same_times_and_size_is_not_read_again(folder):
    folder.write("hall.py", "")
    known = folder.sources()
    assert discover(folder.path, known)["hall"] is known["hall"]


def test_a_file_that_was_touched_is_read_again(folder):
    file = folder.write("hall.py", "a = 1")
    known = folder.sources()
    status = file.stat()
    file.write_text("a = 2")
    os.utime(file, ns=(status.st_atime_ns, status.st_mtime_ns + 1))
    assert discover(folder.path, known)["hall"].data == b"a = 2"


def test_a_link_is_followed_to_the_file(folder, tmp_path_factory):
    elsewhere = tmp_path_factory.mktemp("elsewhere") / "shared.py"
    elsewhere.write_text("a = 1")
    (folder.path / "hall.py").symlink_to(elsewhere)
    assert folder.sources()["hall"].data == b"a = 1"


def link(file):
    file.symlink_to(file.with_name("nowhere"))


def loop(file):
    file.symlink_to(file)


def device(file):
    file.symlink_to("/dev/zero")


@pytest.mark.parametrize(
    ("make", "problem"),
    [
        (link, "is a link to nothing"),
        (loop, "can't be read, Too many levels of symbolic links: check whose it is, and its mode"),
        (device, "is no ordinary file: put one with the rules in its place"),
        (os.mkfifo, "is no ordinary file: put one with the rules in its place"),
    ],
)
def test_a_file_that_can_not_be_read_is_there_with_the_problem(folder, make, problem):
    make(folder.path / "hall.py")
    source = folder.sources()["hall"]
    assert (source.problem, source.data) == (problem, b"")
    (folder.path / "hall.py").unlink()
    folder.write("hall.py", "a = 1")
    assert discover(folder.path, {"hall": source})["hall"].data == b"a = 1"


def refuse(folder, monkeypatch):
    """Let a folder not be read, as it is for others than root who may not."""
    scandir = os.scandir

    def refusing(path):
        if os.fspath(path) == os.fspath(folder):
            raise PermissionError(13, "Permission denied")
        return scandir(path)

    monkeypatch.setattr(os, "scandir", refusing)


def test_what_was_in_a_folder_that_can_not_be_read_is_taken_to_be_there(folder, monkeypatch):
    folder.write("hall.py", "")
    folder.write("upstairs/bath.py", "")
    known = folder.sources()
    refuse(folder.path / "upstairs", monkeypatch)
    found = discover(folder.path, known)
    assert found["upstairs.bath"] is known["upstairs.bath"]
    assert found["upstairs"].problem.startswith("can't be read, Permission denied")
    monkeypatch.undo()
    assert discover(folder.path, found) == known
    refuse(folder.path, monkeypatch)
    assert discover(folder.path, known) == known


def test_check_folder_says_when_it_can_not_be_read(folder, monkeypatch):
    refuse(folder.path, monkeypatch)
    with pytest.raises(RulesFolderError, match="it can't be read, Permission denied: check whose"):
        check_folder(folder.path)


def test_a_folder_that_is_gone_is_empty(folder):
    assert discover(folder.path / "gone") == {}


def test_check_folder_gives_the_full_path(folder, monkeypatch):
    monkeypatch.chdir(folder.path.parent)
    assert check_folder(folder.path.relative_to(folder.path.parent)) == folder.path


def test_check_folder_says_when_there_is_none(folder):
    with pytest.raises(RulesFolderError, match="gone: there is no such folder"):
        check_folder(folder.path / "gone")


def test_check_folder_says_when_it_is_a_file(folder):
    file = folder.write("hall.py", "")
    with pytest.raises(RulesFolderError, match=f"give its folder, {folder.path}"):
        check_folder(file)
