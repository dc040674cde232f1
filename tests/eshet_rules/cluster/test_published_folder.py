"""A rules folder that is kept equal to a publication."""

import contextlib
import itertools
import random
import shutil
import threading

import pytest

from eshet_rules.cluster import published_folder
from eshet_rules.cluster.publication import digest_of
from eshet_rules.cluster.published_folder import MARKER, REPLACED, PublishedFolder
from eshet_rules.exceptions import RulesNotPublished

NUMBERS = itertools.count()


@pytest.fixture
def take_over(folder):
    """Take over files, given as texts by path."""

    def take_over(files, now="now"):
        contents = {path: text.encode() for path, text in files.items()}
        return published(folder).take_over(f"hash{next(NUMBERS)}", contents, now)

    return take_over


def published(folder):
    return PublishedFolder(folder.path, (), threading.Lock())


def present(folder):
    """Return the texts of all files but those that are hidden, by path."""
    return {
        path: (folder.path / path).read_text()
        for path in all_paths(folder)
        if not path.startswith(".")
    }


def all_paths(folder):
    files = (file for file in folder.path.rglob("*") if not file.is_dir() or file.is_symlink())
    return sorted(file.relative_to(folder.path).as_posix() for file in files)


def aside(folder, place=f"{REPLACED}/now"):
    return {
        path.removeprefix(f"{place}/"): (folder.path / path).read_text()
        for path in all_paths(folder)
        if path.startswith(f"{place}/")
    }


def test_an_empty_folder_gets_the_files(folder, take_over):
    files = {"hall.py": "1", "up stairs/küche.py": "2", "Hall.py": "3", "data/rooms.toml": "4"}
    replaced = take_over(files)
    assert present(folder) == files
    assert replaced == (sorted(files), [], [], [], "")
    assert all_paths(folder) == sorted([MARKER, *files])


def test_changes_of_a_publication(folder, take_over):
    take_over({"a.py": "1", "b.py": "2", "c.py": "3", "up/d.py": "4"})
    unchanged = (folder.path / "a.py").stat()
    replaced = take_over({"a.py": "1", "b.py": "5", "up/e.py": "6"})
    assert present(folder) == {"a.py": "1", "b.py": "5", "up/e.py": "6"}
    assert replaced == (["up/e.py"], ["b.py"], ["c.py", "up/d.py"], [], "")
    assert (folder.path / "a.py").stat() == unchanged


def test_folders_that_become_empty_are_removed(folder, take_over):
    take_over({"a.py": "1", "up/b.py": "2", "up/deep/c.py": "3", "data/d.py": "4"})
    folder.write("up/deep/__pycache__/c.pyc", "")
    folder.write("data/notes.txt", "mine")
    take_over({"a.py": "1"})
    assert sorted(each.name for each in folder.path.iterdir()) == [MARKER, "a.py", "data"]


@pytest.mark.parametrize(
    ("before", "after"),
    [
        ({"hall.py": "1"}, {"hall/__init__.py": "1", "hall/light.py": "2"}),
        ({"hall": "1", "a.py": ""}, {"hall/x.py": "2"}),
        ({"hall.py": "1"}, {"hall.py/x.py": "2"}),
        ({"a/b/c.py": "1", "a/b/d.py": "2"}, {"a/b": "1", "x.py": ""}),
        ({"a/b/c.py": "1"}, {"a": "1", "x.py": ""}),
    ],
)
def test_a_file_replaced_by_a_folder_and_the_reverse(folder, take_over, before, after):
    for files in (before, after, before):
        assert take_over(files).aside == []
        assert present(folder) == files


def test_files_changed_by_hand_are_moved_aside(folder, take_over):
    take_over({"a.py": "1", "b.py": "2", "c.py": "3", "d.py": "4"})
    folder.write("a.py", "by hand")
    folder.write("b.py", "by hand, too")
    folder.write("new.py", "mine")
    folder.remove("c.py")
    replaced = take_over({"a.py": "5", "c.py": "3", "d.py": "4"})
    assert present(folder) == {"a.py": "5", "c.py": "3", "d.py": "4"}
    assert aside(folder) == {"a.py": "by hand", "b.py": "by hand, too", "new.py": "mine"}
    assert replaced == (["c.py"], ["a.py"], [], ["a.py", "b.py", "new.py"], f"{REPLACED}/now")


def test_a_file_that_is_saved_while_the_new_ones_are_written_is_moved_aside(
    folder, take_over, monkeypatch
):
    def save_and_write(file, data):
        if file.name == "0":
            folder.write("a.py", "mine")
        write(file, data)

    write = published_folder._write
    take_over({"a.py": "1", "b.py": "1"})
    monkeypatch.setattr(published_folder, "_write", save_and_write)
    replaced = take_over({"a.py": "2", "b.py": "2"})
    assert present(folder) == {"a.py": "2", "b.py": "2"}
    assert (replaced.aside, aside(folder)) == (["a.py"], {"a.py": "mine"})


def test_a_folder_that_gets_rules_of_its_own_meanwhile_stays_as_it_is(
    folder, take_over, monkeypatch
):
    def save_and_write(file, data):
        folder.write("mine.py", "mine")
        write(file, data)

    write = published_folder._write
    monkeypatch.setattr(published_folder, "_write", save_and_write)
    with pytest.raises(RulesNotPublished):
        take_over({"a.py": "1"})
    assert all_paths(folder) == ["mine.py"]


def test_what_is_moved_aside_at_the_same_time_is_kept_twice(folder, take_over):
    for number in range(3):
        take_over({"a.py": str(number)})
        folder.write("a.py", f"hand {number}")
    take_over({"a.py": "end"})
    places = ["now", "now-2", "now-3"]
    assert [aside(folder, f"{REPLACED}/{each}") for each in places] == [
        {"a.py": "hand 0"},
        {"a.py": "hand 1"},
        {"a.py": "hand 2"},
    ]


def test_a_change_by_hand_that_is_published_is_no_change(folder, take_over):
    take_over({"a.py": "1"})
    folder.write("a.py", "2")
    assert take_over({"a.py": "2"}) == ([], [], [], [], "")


def test_what_is_no_module_and_not_in_the_way_stays(folder, take_over):
    take_over({"a.py": "1"})
    mine = {"notes.txt": "x", "test_a.py": "x", "eshet-rules.toml": "x", "a (copy).py": "x"}
    for path, text in mine.items():
        folder.write(path, text)
    folder.write(".git/config", "x")
    assert take_over({"a.py": "2"}).aside == []
    assert present(folder) == {"a.py": "2", **mine}
    assert (folder.path / ".git" / "config").read_text() == "x"


def test_a_folder_in_the_way_is_moved_aside_with_its_files(folder, take_over):
    take_over({"a.py": "1", "up/b.py": "2"})
    folder.write("up/notes.txt", "mine")
    replaced = take_over({"up": "3", "a.py": "1"})
    assert present(folder) == {"a.py": "1", "up": "3"}
    assert replaced.aside == ["up"]
    assert aside(folder) == {"up/notes.txt": "mine", "up/b.py": "2"}


def test_an_empty_folder_in_the_way_is_removed(folder, take_over):
    take_over({"a.py": "1"})
    (folder.path / "up" / "deep").mkdir(parents=True)
    assert take_over({"a.py": "1", "up": "3"}).aside == []
    assert present(folder) == {"a.py": "1", "up": "3"}


def test_nothing_is_written_through_a_link(folder, take_over, tmp_path_factory):
    outside = tmp_path_factory.mktemp("outside")
    (outside / "b.py").write_text("outside")
    take_over({"a.py": "1", "up/b.py": "2", "up/c.py": "3"})
    shutil.rmtree(folder.path / "up")
    (folder.path / "up").symlink_to(outside)
    folder.remove("a.py")
    (folder.path / "a.py").symlink_to(outside / "b.py")
    replaced = take_over({"a.py": "4", "up/b.py": "2", "up/c.py": "3"})
    assert replaced.aside == ["a.py", "up"]
    assert present(folder) == {"a.py": "4", "up/b.py": "2", "up/c.py": "3"}
    assert [each.name for each in outside.iterdir()] == ["b.py"]
    assert (outside / "b.py").read_text() == "outside"
    assert (folder.path / replaced.place / "up").readlink() == outside


def test_nothing_is_deleted_through_a_link(folder, take_over, tmp_path_factory):
    outside = tmp_path_factory.mktemp("outside")
    (outside / "b.py").write_text("2")
    take_over({"a.py": "1", "up/b.py": "2"})
    shutil.rmtree(folder.path / "up")
    (folder.path / "up").symlink_to(outside)
    assert take_over({"a.py": "1"}).aside == ["up"]
    assert (outside / "b.py").read_text() == "2"


def test_right_files_behind_a_link_that_is_moved_aside_are_written(
    folder, take_over, tmp_path_factory
):
    outside = tmp_path_factory.mktemp("outside")
    (outside / "b.py").write_text("2")
    (outside / "c.py").write_text("by hand")
    take_over({"a.py": "1"})
    (folder.path / "up").symlink_to(outside)
    assert take_over({"up/b.py": "2", "up/c.py": "3"}).aside == ["up"]
    assert present(folder) == {"up/b.py": "2", "up/c.py": "3"}


@pytest.mark.parametrize("mine", ["a.py", "other.py", "up/deep.py", "up/__init__.py"])
def test_a_folder_with_rules_of_its_own_stays_as_it_is(folder, take_over, mine):
    folder.write(mine, "mine")
    folder.write("right.py", "1")
    with pytest.raises(RulesNotPublished, match=mine) as caught:
        take_over({"a.py": "1", "up.py": "2", "right.py": "1"})
    assert caught.value.files == (mine,)
    assert all_paths(folder) == sorted([mine, "right.py"])
    assert published(folder).hash == ""


def test_a_folder_with_the_same_rules_is_taken_over(folder, take_over):
    folder.write("a.py", "1")
    folder.write("notes.txt", "mine")
    take_over({"a.py": "1", "b.py": "2"})
    assert present(folder) == {"a.py": "1", "b.py": "2", "notes.txt": "mine"}


@pytest.mark.parametrize(
    "content", ["", "{", "[]", '{"files": {"../x": "1"}}', '{"files": {"/etc/x": "1"}}']
)
def test_with_a_damaged_marker_the_folder_counts_as_one_with_rules_of_its_own(
    folder, take_over, content
):
    take_over({"a.py": "1"})
    folder.write(MARKER, content)
    assert published(folder).hash == ""
    with pytest.raises(RulesNotPublished, match=r"a\.py"):
        take_over({"a.py": "2"})
    take_over({"a.py": "1"})
    assert published(folder).hash


def test_what_was_taken_over_and_what_differs(folder):
    kept = published(folder)
    assert kept.hash == ""
    kept.take_over("3f2a", {"a.py": b"1", "b.py": b"2", "data.toml": b"3"}, "now")
    assert published(folder).hash == "3f2a"
    assert published(folder).differing() == []
    folder.write("a.py", "by hand")
    folder.write("data.toml", "by hand")
    folder.write("new.py", "")
    folder.write("notes.txt", "")
    folder.remove("b.py")
    assert published(folder).differing() == ["a.py", "b.py", "data.toml", "new.py"]


def test_the_contents_that_are_there_need_not_be_fetched(folder):
    folder.write("a.py", "1")
    folder.write("b.py", "by hand")
    digests = {path: digest_of(b"1") for path in ("a.py", "b.py", "c.py", "a.py/d.py")}
    assert published(folder).contents(digests) == {"a.py": b"1"}


def test_a_file_that_can_not_be_written_is_completed_the_next_time(folder, take_over, monkeypatch):
    take_over({"a.py": "1", "b.py": "1", "c.py": "1"})
    real, calls = type(folder.path).replace, itertools.count()

    def fail(path, target):
        if target.suffix == ".py" and next(calls) == 1:
            raise OSError(28, "No space left on device")
        return real(path, target)

    monkeypatch.setattr(type(folder.path), "replace", fail)
    new = {"a.py": "2", "b.py": "2", "d.py": "2"}
    with pytest.raises(OSError, match="No space"):
        take_over(new)
    assert published(folder).hash == ""
    assert present(folder) == {"a.py": "2", "b.py": "1"}
    assert take_over(new).aside == []
    assert present(folder) == new
    assert all_paths(folder) == sorted([MARKER, *new])


def test_after_an_interrupted_write_another_publication_moves_nothing_aside(
    folder, take_over, monkeypatch
):
    """The files that were written belong to a publication that was never completed."""
    take_over({"a.py": "1", "b.py": "1"})
    real = type(folder.path).replace

    def fail(path, target):
        if target.name == "b.py":
            raise OSError(5, "Input/output error")
        return real(path, target)

    with monkeypatch.context() as patch:
        patch.setattr(type(folder.path), "replace", fail)
        with pytest.raises(OSError, match="Input"):
            take_over({"a.py": "2", "b.py": "2"})
    assert take_over({"a.py": "3", "b.py": "3"}).aside == []
    assert present(folder) == {"a.py": "3", "b.py": "3"}


def test_what_a_killed_process_has_left_is_removed(folder, take_over):
    folder.write(".publication-x1/0", "half")
    take_over({"a.py": "1"})
    assert all_paths(folder) == [MARKER, "a.py"]


def test_readers_that_take_turns_see_all_changes_or_none(folder):
    turn = threading.Lock()
    kept = PublishedFolder(folder.path, (), turn)
    names = [f"room{number}.py" for number in range(100)]
    kept.take_over("0", dict.fromkeys(names, b"0"), "now")
    seen = set()
    is_done = threading.Event()

    def read():
        while not is_done.is_set():
            with turn:
                seen.add(frozenset((folder.path / name).read_text() for name in names))

    reader = threading.Thread(target=read)
    reader.start()
    for number in range(1, 10):
        kept.take_over(str(number), dict.fromkeys(names, b"%d" % number), "now")
    is_done.set()
    reader.join()
    assert all(len(each) == 1 for each in seen)


def test_two_runners_of_one_folder(folder):
    names = [f"room{number}.py" for number in range(100)]
    errors = []

    def take_over(letter):
        try:
            kept = published(folder)
            for number in range(5):
                kept.take_over(letter, dict.fromkeys(names, f"{letter}{number}".encode()), "now")
        except BaseException as error:
            errors.append(error)

    threads = [threading.Thread(target=take_over, args=(letter,)) for letter in "ab"]
    for each in threads:
        each.start()
    for each in threads:
        each.join()
    assert errors == []
    (text,) = set(present(folder).values())
    assert published(folder).hash == text[0]
    assert all_paths(folder) == sorted([MARKER, *names])


def test_thousands_of_files(folder, take_over):
    files = {f"floor{n % 20}/room{n}.py": str(n) for n in range(2000)}
    take_over(files)
    assert present(folder) == files
    files["floor1/room1.py"] = "changed"
    assert take_over(files).changed == ["floor1/room1.py"]


@pytest.mark.parametrize("seed", range(30))
def test_any_publications_and_any_changes_by_hand(folder, take_over, seed):
    """After each publication the modules are those that are published, and nothing is lost."""
    rng = random.Random(seed)  # noqa: S311
    names = ["a", "a.py", "b.py", "a/a.py", "a/b.py", "b.py/c.py", "a/b.py/d.py", "c/d/e.py"]
    take_over({"first.py": "0"})
    by_hand = set()
    for step in range(12):
        for name in rng.sample(names, rng.randint(0, 2)):
            with contextlib.suppress(OSError):  # there is a folder, or a file in its place
                before = (folder.path / name).read_text() if (folder.path / name).exists() else ""
                folder.write(name, f"hand {step} {name}")
                by_hand = (by_hand - {before}) | {f"hand {step} {name}"}
        files = {}
        for name in rng.sample(names, rng.randint(1, 5)):
            is_free = not any(f.startswith(f"{name}/") or name.startswith(f"{f}/") for f in files)
            if is_free:
                files[name] = rng.choice(["1", "2"])
        take_over(files)
        assert {p: t for p, t in present(folder).items() if p in files} == files
        assert {p for p in present(folder) if p.endswith(".py")} == {
            p for p in files if p.endswith(".py")
        }
        assert published(folder).differing() == []
    everything = {file.read_text() for file in folder.path.rglob("*") if file.is_file()}
    assert by_hand
    assert by_hand <= everything
