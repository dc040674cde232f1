"""The files of a rules folder that are published, and why none is."""

import os
import socket

import pytest

from eshet_rules.cluster.rule_files import read_rule_files
from eshet_rules.exceptions import NotPublishable
from eshet_rules.modules.discovery import MAX_SOURCE_BYTES


def problems(folder, *others):
    with pytest.raises(NotPublishable) as caught:
        read_rule_files(folder.path, (), others)
    assert str(caught.value).endswith("\nnothing was published")
    return caught.value.problems


def test_modules_and_helpers_are_published_and_nothing_else(folder):
    for path in ("hall.py", "_lib.py", "up/bath.py", "up/__init__.py", "Dach boden/küche.py"):
        folder.write(path, "x = 1\n")
    for path in (
        "test_hall.py",
        "conftest.py",
        "notes.txt",
        "eshet-rules.toml",
        ".git/x.py",
        "__pycache__/x.py",
        "hall (copy).py",
        "venv/pyvenv.cfg",
        "venv/x.py",
        "drafts/x.py",
    ):
        folder.write(path, "not python")
    found = read_rule_files(folder.path, ["drafts/"])
    assert found.contents == dict.fromkeys(
        ["hall.py", "_lib.py", "up/bath.py", "up/__init__.py", "Dach boden/küche.py"], b"x = 1\n"
    )
    assert (found.strangers, found.modules) == (
        ["Dach boden/küche.py", "hall.py", "up/__init__.py", "up/bath.py"],
        5,
    )
    assert {path: bool(why) for path, why in found.excluded.items()} == {
        "hall (copy).py": True,
        "venv": True,
        "drafts": True,
    }


def test_other_files_are_published_if_they_are_named(folder):
    folder.write("hall.py", "")
    folder.write("rooms.toml", "1")
    folder.write("data/a.json", "2")
    folder.write("data/deep/b.json", "3")
    found = read_rule_files(folder.path, (), ["rooms.toml", "data/**/*.json"])
    assert found.contents == {
        "hall.py": b"",
        "rooms.toml": b"1",
        "data/a.json": b"2",
        "data/deep/b.json": b"3",
    }


def test_a_link_inside_the_folder_is_published_as_its_content(folder):
    folder.write("hall.py", "x = 1\n")
    (folder.path / "landing.py").symlink_to("hall.py")
    assert read_rule_files(folder.path).contents["landing.py"] == b"x = 1\n"


def test_a_folder_that_is_a_link_itself_can_be_published(folder, tmp_path):
    folder.write("rules/hall.py", "")
    (tmp_path / "current").symlink_to("rules")
    assert read_rule_files(tmp_path / "current").contents == {"hall.py": b""}


def test_a_link_to_outside_is_refused(folder, tmp_path_factory):
    outside = tmp_path_factory.mktemp("outside")
    (outside / "x.py").write_text("")
    folder.write("hall.py", "")
    (folder.path / "link.py").symlink_to(outside / "x.py")
    (folder.path / "up").symlink_to(outside)
    found = problems(folder)
    assert [each.partition(" is a link to ")[0] for each in found] == ["link.py", "up/x.py"]
    assert all("outside of the rules folder: replace it by a copy" in each for each in found)


@pytest.mark.parametrize("other", ["link.toml", "../*/secret.toml"])
def test_other_files_outside_are_refused(folder, tmp_path_factory, other):
    outside = tmp_path_factory.mktemp("outside")
    (outside / "secret.toml").write_text("")
    folder.write("hall.py", "")
    (folder.path / "link.toml").symlink_to(outside / "secret.toml")
    assert any("outside of the rules folder" in each for each in problems(folder, other))


@pytest.mark.parametrize("glob", ["missing.toml", "/etc/passwd", "", "."])
def test_a_glob_without_a_file(folder, glob):
    folder.write("hall.py", "")
    assert problems(folder, glob) == (
        f"{glob} matches no file in {folder.path}: write it relative to that folder",
    )


def test_all_problems_are_named_with_file_and_line(folder):
    folder.write("bath.py", "x = 1\nx =\n")
    folder.write("hall.py", "")
    (folder.path / "large.py").write_bytes(b"#" * (MAX_SOURCE_BYTES + 1))
    (folder.path / "loop.py").symlink_to("loop.py")
    os.mkfifo(folder.path / "pipe.py")
    (folder.path / "broken.py").symlink_to("nowhere")
    (folder.path / "zeros.py").write_bytes(b"\0\0")
    shown = dict(each.split(" ", 1) for each in problems(folder))
    assert shown == {
        "bath.py:2:": "SyntaxError: invalid syntax",
        "large.py": "is larger than 10 MiB: replace it by a file with the rules",
        "loop.py": shown["loop.py"],
        "pipe.py": "is not a regular file: replace it by a file with the rules",
        "broken.py": "is a link to nothing",
        "zeros.py:": shown["zeros.py:"],
    }


def test_a_file_that_can_not_be_read(folder, monkeypatch):
    folder.write("hall.py", "")
    data = folder.write("rooms.toml", "")

    def refuse(path, limit):
        raise PermissionError(13, "Permission denied")

    monkeypatch.setattr("eshet_rules.cluster.rule_files.read_regular", refuse)
    assert problems(folder, data.name) == (
        "rooms.toml can't be read, Permission denied: check its owner and permissions",
    )


def test_other_files_that_are_no_files(folder, monkeypatch):
    monkeypatch.chdir(folder.path)  # the address of a socket has at most 107 bytes
    folder.write("hall.py", "")
    with socket.socket(socket.AF_UNIX) as listening:
        listening.bind("s")
        os.mkfifo(folder.path / "pipe")
        (folder.path / "loop").symlink_to("loop")
        found = problems(folder, "pipe", "loop", ".hidden", "s")
    assert len(found) == 4
    assert "pipe is not a regular file: replace it, or leave it out" in found


def test_two_files_of_one_module(folder):
    folder.write("hall.py", "")
    folder.write("hall/__init__.py", "")
    (problem,) = problems(folder)
    assert "are both the module hall" in problem


def test_a_name_that_is_not_utf_8(folder):
    folder.write("hall.py", "")
    (folder.path / os.fsdecode(b"caf\xe9.py")).write_text("")
    (problem,) = problems(folder)
    assert "has a name that is not UTF-8: rename it" in problem


def test_an_empty_folder_is_not_published(folder):
    folder.write("notes.txt", "")
    assert problems(folder) == (f"{folder.path} has no modules: name the folder with your rules",)
