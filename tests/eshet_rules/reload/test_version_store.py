import json
import os
from concurrent.futures import ThreadPoolExecutor
from datetime import UTC, datetime, timedelta

import pytest

from eshet_rules.exceptions import VersionNotFound
from eshet_rules.modules.discovery import version_of
from eshet_rules.reload.version_store import VersionStore, split_target

START = datetime(2026, 1, 1, tzinfo=UTC)


@pytest.fixture
def store(tmp_path):
    return VersionStore(tmp_path / "versions", most=3, total=40 * 4096)


def add(store, module, *sources, start=0):
    """Let sources become live, a minute apart, and return their versions."""
    versions = [version_of(source) for source in sources]
    for minute, (version, source) in enumerate(zip(versions, sources, strict=True), start):
        store.add(module, version, source, START + timedelta(minutes=minute))
    return versions


def kept(store, module="hall"):
    return [each.version for each in store.versions(module)]


def test_versions_are_listed_with_their_times_the_newest_first(store):
    one, two = add(store, "hall", b"a = 1", b"a = 22")
    newest, oldest = store.versions("hall")
    assert (newest.version, newest.since, newest.until) == (two, START + timedelta(minutes=1), None)
    assert (oldest.version, oldest.since, oldest.until) == (one, START, newest.since)
    assert (newest.size, oldest.size) == (6, 5)
    assert store.read(oldest) == b"a = 1"
    assert store.modules() == ["hall"]


def test_a_version_that_is_live_again_is_the_newest_and_listed_once(store):
    one, two = add(store, "hall", b"1", b"2")
    add(store, "hall", b"1", start=2)
    assert kept(store) == [one, two]
    assert store.versions("hall")[0].since == START + timedelta(minutes=2)


def test_the_last_version_is_not_added_again_by_a_restart(store, tmp_path):
    add(store, "hall", b"1")
    add(VersionStore(tmp_path / "versions"), "hall", b"1", start=9)
    assert store.versions("hall")[0].since == START


def test_the_versions_that_were_live_longest_ago_are_dropped(store):
    versions = add(store, "hall", b"1", b"2", b"1", b"3", b"4")
    assert kept(store) == [versions[4], versions[3], versions[0]]
    assert len(list(store.folder.glob("hall/*.txt"))) == 3


def test_the_total_size_is_bounded_and_the_last_version_of_each_module_stays(tmp_path):
    store = VersionStore(tmp_path, most=20, total=3 * 4096)
    add(store, "bath", b"1", b"2")
    hall = add(store, "hall", b"1", b"2", b"3", start=5)
    assert kept(store, "bath") == [version_of(b"2")]
    assert kept(store, "hall") == [hall[2], hall[1]]
    add(store, "attic", b"x" * 9000, start=9)
    assert [kept(store, name) for name in ("attic", "bath", "hall")] == [
        [version_of(b"x" * 9000)],
        [version_of(b"2")],
        [hall[2]],
    ]


def test_only_the_user_can_read_them(store):
    add(store, "hall", b"1")
    assert store.folder.stat().st_mode & 0o777 == 0o700
    assert {path.stat().st_mode & 0o777 for path in store.folder.glob("hall/*")} == {0o600}


@pytest.mark.parametrize("name", ["upstairs.bath", "hall - Copy", "über", "a@b", "x" * 250, ".."])
def test_any_name_of_a_module_has_a_folder_of_its_own(store, name):
    [version] = add(store, name, b"1")
    assert store.modules() == [name]
    assert kept(store, name) == [version]
    assert len(list(store.folder.iterdir())) == 1


@pytest.mark.parametrize("content", [b"{", b"[]", b"\xff", b'{"module": "hall", "live": 3}'])
def test_a_damaged_history_is_replaced_by_the_times_of_the_files(store, content):
    one, two = add(store, "hall", b"1", b"2")
    (store.folder / "hall" / "history.json").write_bytes(content)
    assert set(kept(store)) == {one, two}
    [three] = add(store, "hall", b"3", start=10**6)
    assert kept(store)[0] == three
    assert set(kept(store)) == {one, two, three}


@pytest.mark.parametrize(
    "since", ["0001-01-01T00:00:00Z", "9999-12-31T23:59:59Z", "2026-01-01T00:00:00"]
)
def test_a_history_with_an_impossible_time_is_replaced_by_the_times_of_the_files(store, since):
    one, two = add(store, "hall", b"1", b"2")
    content = {"module": "hall", "live": [{"version": one, "since": since}]}
    (store.folder / "hall" / "history.json").write_text(json.dumps(content))
    assert set(kept(store)) == {one, two}
    for each in store.versions("hall"):
        each.since.astimezone()


def test_a_source_with_an_impossible_time_is_left_out(store):
    one, two = add(store, "hall", b"1", b"2")
    (store.folder / "hall" / "history.json").unlink()
    os.utime(store.folder / "hall" / f"{one}.txt", (1e15, 1e15))
    assert kept(store) == [two]


def test_a_name_that_can_not_be_encoded_has_no_versions(store):
    with pytest.raises(VersionNotFound, match="no version of it is kept"):
        store.find("ha\udcffll", "")


def test_a_history_can_not_name_a_file_elsewhere(store, tmp_path):
    add(store, "hall", b"1")
    (tmp_path / "secret.txt").write_text("secret")
    history = store.folder / "hall" / "history.json"
    history.write_text(history.read_text().replace(version_of(b"1"), "../../secret"))
    assert kept(store) == []


def test_a_damaged_source_is_not_shown_and_is_written_again_when_it_is_live(store):
    [one] = add(store, "hall", b"1")
    (store.folder / "hall" / f"{one}.txt").write_bytes(b"2")
    with pytest.raises(VersionNotFound, match="its kept source is damaged"):
        store.read(store.find("hall", one))
    add(store, "hall", b"1")
    assert store.read(store.find("hall", one)) == b"1"


def test_a_prefix_suffices_if_it_is_unique(store):
    sources = [str(n).encode() for n in range(3)]
    versions = add(store, "hall", *sources)
    for version in versions:
        assert store.find("hall", version[:4]).version == version
    assert store.find("hall", "").version == versions[-1]


def test_an_ambiguous_prefix_is_refused_with_the_candidates(tmp_path):
    store = VersionStore(tmp_path)
    versions = add(store, "hall", *(str(n).encode() for n in range(17)))
    first = next(v[0] for v in versions if sum(w[0] == v[0] for w in versions) > 1)
    candidates = [version for version in versions if version[0] == first]
    with pytest.raises(VersionNotFound, match="write more digits") as raised:
        store.find("hall", first)
    assert sorted(raised.value.candidates) == sorted(candidates)


def test_an_unknown_version_or_module_is_refused_with_those_that_there_are(store):
    [one] = add(store, "hall", b"1")
    with pytest.raises(VersionNotFound, match=f"hall@zz: no kept version .*; kept: {one}"):
        store.find("hall", "zz")
    with pytest.raises(VersionNotFound, match=r"hal: no version of it is kept; did you mean hall"):
        store.find("hal", "")


def test_the_earlier_version_is_neither_of_the_given_ones(store):
    one, two, three = add(store, "hall", b"1", b"2", b"3")
    assert store.find_earlier("hall", [three]).version == two
    assert store.find_earlier("hall", [two, three]).version == one
    with pytest.raises(VersionNotFound, match="there is no earlier version"):
        store.find_earlier("hall", [one, two, three])


def test_a_version_that_failed_on_probation_is_no_earlier_version_until_it_is_live_again(store):
    one, two, three = add(store, "hall", b"1", b"2", b"3")
    store.mark_failed("hall", two)
    store.mark_failed("hall", "abcd")
    assert [each.failed for each in store.versions("hall")] == [False, True, False]
    assert store.find_earlier("hall", [three]).version == one
    add(store, "hall", b"2", start=3)
    add(store, "hall", b"3", start=4)
    assert store.find_earlier("hall", [three]).version == two


def test_two_threads_lose_no_change_of_each_other(tmp_path):
    store = VersionStore(tmp_path, most=100)
    [first] = add(store, "hall", b"first")
    with ThreadPoolExecutor() as threads:
        adding = threads.submit(add, store, "hall", *(str(n).encode() for n in range(50)), start=1)
        while not adding.done():
            store.mark_failed("hall", first)
        versions = adding.result()
    assert kept(store) == [*reversed(versions), first]


def test_a_folder_that_can_not_be_written_is_an_error_and_nothing_is_lost(tmp_path):
    (tmp_path / "file").touch()
    store = VersionStore(tmp_path / "file")
    with pytest.raises(OSError, match="file"):
        add(store, "hall", b"1")
    assert store.modules() == []


def test_a_target_is_a_module_with_or_without_a_version():
    assert split_target("hall") == ("hall", "")
    assert split_target("up.bath@3f") == ("up.bath", "3f")
