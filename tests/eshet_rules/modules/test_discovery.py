import os
from concurrent.futures import ThreadPoolExecutor

import pytest

from eshet_rules.exceptions import RulesFolderError
from eshet_rules.modules.discovery import Discovery, check_folder, discover


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


def test_other_content_with_the_same_time_and_size_is_read(folder):
    file = folder.write("hall.py", "a = 1")
    known = folder.sources()
    status = file.stat()
    file.write_text("a = 2")
    os.utime(file, ns=(status.st_atime_ns, status.st_mtime_ns))
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


def sparse(file):
    with file.open("wb") as made:
        made.truncate(6 << 30)


def device(file):
    file.symlink_to("/dev/zero")


@pytest.mark.parametrize(
    ("make", "problem"),
    [
        (link, "is a link to nothing"),
        (loop, "can't be read, Too many levels of symbolic links: check its owner and permissions"),
        (device, "is not a regular file: replace it by a file with the rules"),
        (os.mkfifo, "is not a regular file: replace it by a file with the rules"),
        (sparse, "is larger than 10 MiB: replace it by a file with the rules"),
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
    with pytest.raises(
        RulesFolderError, match="it can't be read, Permission denied: check its owner"
    ):
        check_folder(folder.path)


def test_a_folder_that_is_gone_is_empty(folder):
    assert discover(folder.path / "gone") == {}


@pytest.mark.parametrize(
    ("one", "other", "name"),
    [
        ("hall.py", "hall/__init__.py", "hall"),
        ("a.b.py", "a/b.py", "a.b"),
        ("a/b.c.py", "a/b/c.py", "a.b.c"),
    ],
)
def test_two_files_of_one_module_are_a_module_that_can_not_be_used(folder, one, other, name):
    folder.write(one, "")
    folder.write(other, "")
    problem = folder.sources()[name].problem
    for file in (one, other):
        assert file in problem
    folder.remove(other)
    assert folder.sources()[name].problem == ""


@pytest.mark.parametrize("file", [b"\xe9.py", b"up\xe9/bath.py"])
def test_a_name_that_is_not_utf_8_is_a_module_that_can_not_be_used(folder, file):
    folder.write(os.fsdecode(file), "")
    folder.write("hall.py", "")
    sources = folder.sources()
    assert sources.pop("hall").problem == ""
    [(name, source)] = sources.items()
    assert "not UTF-8" in source.problem
    assert "\\udce9" in name
    str(source.path).encode()


COPIES = [
    "hall.sync-conflict-20240101-120000-ABCDEFG.py",
    "hall_LOCAL_1.py",
    "hall_REMOTE_22.py",
    "hall_BASE_333.py",
    "hall_BACKUP_4.py",
    "hall - Copy.py",
    "hall - Copy (2).py",
    "Copy of hall.py",
    "Copy (3) of hall.py",
    "hall (copy).py",
    "hall (another copy).py",
    "hall (3rd copy).py",
    "hall copy.py",
    "hall copy 2.py",
    "hall (1).py",
    "hall (conflicted copy 2024-01-01 120000).py",
    "hall (Ann's conflicted copy 2024-01-01).py",
    "hall.bak.py",
    "hall.orig.py",
    "hall_bak~.py",
    "hall~.py",
]


@pytest.mark.parametrize("file", COPIES)
def test_copies_that_tools_leave_are_left_out_and_reported_once(folder, file):
    folder.write("hall.py", "")
    folder.write(f"up/{file}", "")
    discovery = Discovery(folder.path)
    assert list(discovery()) == ["hall"]
    assert list(discovery.newly_excluded()) == [folder.path / "up" / file]
    discovery()
    assert discovery.newly_excluded() == {}


@pytest.mark.parametrize(
    "file", ["hall_local.py", "copy.py", "backup.py", "conflict.py", "copy_of_hall.py", "old.py",
             "hall_2.py", "hall-2.py", "photocopy.py", "the_hall.py"]
)  # fmt: skip
def test_names_that_only_look_like_copies_are_modules(folder, file):
    folder.write(file, "")
    assert len(folder.sources()) == 1


@pytest.mark.parametrize(
    "file", ["venv/pyvenv.cfg", "env/v3/pyvenv.cfg", "node_modules/x.js", "site-packages/x"]
)
def test_folders_of_packages_are_left_out_and_reported_once(folder, file):
    path = folder.write(file, "")
    folder.write(f"{path.parent.relative_to(folder.path)}/lib/six.py", "")
    folder.write("hall.py", "")
    discovery = Discovery(folder.path)
    assert list(discovery()) == ["hall"]
    assert list(discovery.newly_excluded()) == [path.parent]
    discovery()
    assert discovery.newly_excluded() == {}


@pytest.mark.parametrize(
    "file", ["eshet.py", "eshet_rules.py", "eshet/__init__.py", "eshet/yarp.py", "eshet_rules/a.py"]
)
def test_the_name_of_our_package_is_left_out_with_a_remedy(folder, file):
    folder.write(file, "")
    folder.write("hall.py", "")
    folder.write("up/eshet.py", "")
    discovery = Discovery(folder.path)
    assert list(discovery()) == ["hall", "up.eshet"]
    [(path, why)] = discovery.newly_excluded().items()
    assert path == folder.path / file.partition("/")[0]
    assert why.endswith("which rules import: rename it")


@pytest.mark.parametrize("glob", ["draft_*.py", "drafts", "drafts/", "up/*/lamp.py", "up/drafts"])
def test_what_is_configured_is_left_out(folder, glob):
    folder.write("hall.py", "")
    for file in ("draft_1.py", "drafts/a.py", "up/drafts/lamp.py"):
        folder.write(file, "")
    discovery = Discovery(folder.path, [glob])
    found = discovery()
    assert "hall" in found
    assert len(found) < 4
    assert all(repr(glob) in why for why in discovery.newly_excluded().values())


def test_a_link_to_the_folder_is_kept_and_leads_where_it_leads_now(folder, tmp_path_factory):
    link = tmp_path_factory.mktemp("deployed") / "current"
    folder.write("one/hall.py", "a = 1")
    folder.write("two/hall.py", "a = 2")
    link.symlink_to(folder.path / "one")
    checked = check_folder(link)
    assert checked == link
    known = discover(checked)
    swapped = link.with_name("next")
    swapped.symlink_to(folder.path / "two")
    swapped.replace(link)
    assert discover(checked, known)["hall"].data == b"a = 2"


def test_check_folder_gives_the_full_path(folder, monkeypatch):
    monkeypatch.chdir(folder.path.parent)
    assert check_folder(folder.path.relative_to(folder.path.parent)) == folder.path


def test_check_folder_says_when_there_is_none(folder):
    with pytest.raises(RulesFolderError, match="gone: there is no such folder"):
        check_folder(folder.path / "gone")


def test_check_folder_says_when_it_is_a_file(folder):
    file = folder.write("hall.py", "")
    with pytest.raises(RulesFolderError, match=f"name its folder, {folder.path}"):
        check_folder(file)


def test_the_files_of_all_modules_also_of_two_that_are_the_same(folder):
    for name in ("hall.py", "hall/__init__.py", "up/_lib.py", "test_hall.py", "x (copy).py"):
        folder.write(name, "")
    found = Discovery(folder.path, ["up/"]).files()
    assert found == [folder.path / "hall" / "__init__.py", folder.path / "hall.py"]


def test_a_scan_waits_for_its_turn(folder):
    folder.write("hall.py", "")
    discovery = Discovery(folder.path)
    with ThreadPoolExecutor() as executor:
        with discovery.turn:
            scan = executor.submit(discovery)
            folder.write("bath.py", "")
            assert not scan.done()
        assert list(scan.result()) == ["bath", "hall"]
