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


def test_a_broken_link_is_not_there(folder):
    (folder.path / "hall.py").symlink_to(folder.path / "nowhere.py")
    assert folder.sources() == {}


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
