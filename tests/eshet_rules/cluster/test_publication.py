"""The list of the files of a publication, and what must not be in it."""

import msgspec
import pytest

from eshet_rules.cluster.publication import (
    KEPT,
    Changes,
    FileList,
    Publication,
    PublishedFile,
    changes_between,
    digest_of,
    find_publication,
    problem_with_path,
    publications_in,
    with_current,
)
from eshet_rules.exceptions import PublicationNotFound


def publication(digest, time=""):
    return Publication(hash=digest * 64, size=1, files=1, by="ann@desk", time=time)


def listed(*paths):
    return FileList(dict.fromkeys(paths, PublishedFile(0, digest_of(b""))))


def test_the_hash_is_that_of_the_files_whatever_their_order():
    one = FileList.of({"a.py": b"1", "b.py": b"2"})
    assert one.encode() == FileList.of({"b.py": b"2", "a.py": b"1"}).encode()
    assert one.encode() != FileList.of({"a.py": b"1", "b.py": b"3"}).encode()
    assert one.encode() != FileList.of({"a.py": b"1", "c.py": b"2"}).encode()
    assert FileList.decode(one.encode()) == one


def test_what_is_different():
    before = FileList.of({"a.py": b"1", "b.py": b"2", "c.py": b"3"})
    after = FileList.of({"b.py": b"2", "c.py": b"4", "d.py": b"1"})
    assert changes_between(before, after) == Changes(["d.py"], ["c.py"], ["a.py"])


@pytest.mark.parametrize(
    "path", ["hall.py", "up stairs/Bad zimmer.py", "küche/日本.py", "a/b/c/d.toml", "hall.py/x.py"]
)
def test_paths_that_can_be_published(path):
    assert problem_with_path(path) == ""
    listed(path).check()


@pytest.mark.parametrize(
    ("path", "problem"),
    [
        ("/etc/passwd", "outside"),
        ("../../etc/x", "outside"),
        ("up/../../x.py", "outside"),
        ("..", "outside"),
        ("", "no path"),
        ("up//x.py", "no path"),
        ("up/", "no path"),
        ("x\0.py", "no path"),
        (".eshet-rules-published.json", "hidden"),
        ("up/.git/hooks/x.py", "hidden"),
        (".", "hidden"),
        ("./x.py", "hidden"),
        ("eshet-rules.toml", "configuration"),
        ("x" * 256, "too long"),
        ("é" * 128 + ".py", "too long"),
        ("/".join(["x" * 100] * 11), "too long"),
        ("x\ud800.py", "UTF-8"),
    ],
)
def test_paths_that_can_not_be_published(path, problem):
    assert problem in problem_with_path(path)
    with pytest.raises(ValueError, match=problem):
        listed("a.py", path).check()


@pytest.mark.parametrize("path", ["../x.py", "/etc/x", ".hidden/x.py"])
def test_a_list_that_someone_else_has_made_is_checked(path):
    with pytest.raises(ValueError, match=r"outside|hidden"):
        FileList.decode(listed(path).encode())


@pytest.mark.parametrize("paths", [("hall", "hall/x.py"), ("a/b", "a/b/c/d.py")])
def test_nothing_is_both_a_file_and_a_folder(paths):
    with pytest.raises(ValueError, match="both a file and a folder"):
        listed(*paths).check()


def test_too_many_files_or_none():
    with pytest.raises(ValueError, match="there are 0 files"):
        listed().check()
    with pytest.raises(ValueError, match="there are 20,001 files"):
        listed(*map(str, range(20_001))).check()


def test_files_that_are_too_large_together():
    files = {str(number): PublishedFile(10 << 20, digest_of(b"")) for number in range(26)}
    with pytest.raises(ValueError, match="larger than 256 MiB together"):
        FileList(files).check()


@pytest.mark.parametrize(
    "data",
    [
        b"",
        b"\xc1",
        b"\x91" * 5000,
        msgspec.msgpack.encode({"files": {"a.py": [-1, "0" * 64]}}),
        msgspec.msgpack.encode({"files": {"a.py": [1 << 40, "0" * 64]}}),
        msgspec.msgpack.encode({"files": {"a.py": [1, "*.>"]}}),
        msgspec.msgpack.encode({"files": {1: [1, "0" * 64]}}),
    ],
)
def test_a_damaged_list(data):
    with pytest.raises(ValueError, match="damaged"):
        FileList.decode(data)


@pytest.mark.parametrize(
    "value",
    [
        b"",
        b"garbage",
        b"\x91" * 5000,
        msgspec.msgpack.encode([{"hash": "../x"}]),
        msgspec.msgpack.encode({"hash": "a" * 64}),
    ],
)
def test_damaged_publications(value):
    with pytest.raises(ValueError, match=r"."):
        publications_in(value)


def test_publications_of_a_later_version_with_more_fields():
    more = {**msgspec.to_builtins(publication("a")), "signature": "x"}
    assert publications_in(msgspec.msgpack.encode([more])) == (publication("a"),)


def test_the_last_ones_are_kept_each_once():
    kept = ()
    for digit in "0123456789abcdef":
        kept = with_current(kept, publication(digit))
    assert [each.hash[0] for each in kept] == list("6789abcdef")
    again = with_current(kept, publication("7", "later"))
    assert [each.hash[0] for each in again] == list("689abcdef7")
    assert len(again) == KEPT
    assert again[-1].time == "later"


def test_a_publication_is_found_by_the_first_digits_of_its_hash():
    known = [publication("a"), publication("b")]
    assert find_publication(known, "B") == known[1]
    with pytest.raises(PublicationNotFound, match="there is no publication c; there are: aaaa"):
        find_publication(known, "c")
    with pytest.raises(PublicationNotFound, match="several publications begin with"):
        find_publication([known[0], known[0]], "a")
    with pytest.raises(PublicationNotFound, match=r"there is no publication a$"):
        find_publication([], "a")
