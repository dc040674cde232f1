import functools
import json
from datetime import UTC, datetime
from types import MappingProxyType

import pytest

from eshet_rules.config import WatchSettings
from eshet_rules.modules.discovery import version_of
from eshet_rules.reload.version_store import VersionStore
from eshet_rules.runner.committed import (
    Committed,
    WaitingChange,
    committed_sources,
    last_live_sources,
)


@pytest.fixture
def file(tmp_path):
    return tmp_path / "state" / "committed.json"


@pytest.fixture
def sources(folder):
    def sources(**texts):
        for name in ("hall", "bath", "new"):
            path = folder.path / f"{name}.py"
            path.unlink(missing_ok=True)
            if name in texts:
                path.write_text(texts[name])
        return folder.sources()

    return sources


def texts(sources):
    return {name: source.data.decode() for name, source in sources.items()}


def test_the_first_content_is_committed_and_each_difference_from_it_waits(log, sources):
    committed = Committed(None, log.logger)
    first = sources(hall="a = 1", bath="b = 1")
    assert committed.apply(first) == first
    assert committed.waiting == {}
    second = sources(hall="a = 2", new="c = 1")
    assert texts(committed.apply(second)) == {"hall": "a = 1", "bath": "b = 1"}
    assert committed.waiting == {
        "bath": WaitingChange(first["bath"].version, None),
        "hall": WaitingChange(first["hall"].version, second["hall"].version),
        "new": WaitingChange(None, second["new"].version),
    }


def test_an_unchanged_source_is_that_of_the_folder(log, sources):
    committed = Committed(None, log.logger)
    committed.apply(sources(hall="a = 1"))
    again = sources(hall="a = 1")
    assert committed.apply(again)["hall"] is again["hall"]


def test_staged_changes_are_committed_once_they_are_live(file, log, sources):
    committed = Committed(file, log.logger)
    first = sources(hall="a = 1", bath="b = 1")
    committed.apply(first)
    second = sources(hall="a = 2", new="c = 1")
    committed.stage(["bath", "new"], second)
    assert texts(committed.apply(second)) == {"hall": "a = 1", "new": "c = 1"}
    assert list(committed.waiting) == ["hall"]
    assert texts(Committed(file, log.logger).apply(second)) == texts(first)
    committed.keep(["new"])
    assert committed.unstage() == ["bath"]
    committed = Committed(file, log.logger)
    assert texts(committed.apply(second)) == {"hall": "a = 1", "bath": "b = 1", "new": "c = 1"}
    committed.put({"new": None})
    assert texts(committed.apply(second)) == {"hall": "a = 1", "bath": "b = 1"}


def test_the_committed_sources_survive_a_restart(file, log, sources):
    first = sources(hall="a = 1 # \xfc", bath="b = 1")
    Committed(file, log.logger).apply(first)
    assert file.stat().st_mode & 0o777 == 0o600
    second = sources(hall="a = 2")
    committed = Committed(file, log.logger)
    assert texts(committed.apply(second)) == texts(first)
    assert list(committed.waiting) == ["bath", "hall"]
    assert committed.apply(second)["bath"].path == first["bath"].path


def test_a_file_that_can_not_be_read_stays_committed_as_such(file, log, folder):
    (folder.path / "hall.py").symlink_to("nowhere")
    Committed(file, log.logger).apply(folder.sources())
    committed = Committed(file, log.logger)
    assert committed.apply(folder.sources())["hall"].problem
    assert committed.waiting == {}


@pytest.mark.parametrize("content", [b"{", b"[]", b"\xff", b'{"hall": {"path": 3}}'])
def test_a_damaged_file_is_logged_and_the_folder_counts_as_committed(file, log, sources, content):
    file.parent.mkdir()
    file.write_bytes(content)
    committed = Committed(file, log.logger)
    committed.apply(sources(hall="a = 1"))
    assert committed.waiting == {}
    assert log.find("committed.unreadable")["file"] == str(file)
    assert "nothing has to be done" in log.find("committed.from_files")["advice"]
    assert list(json.loads(file.read_bytes())) == ["hall"]


@pytest.fixture
def store(tmp_path):
    """The versions that were live; `hall` in two versions, the second of which is the last one."""
    store = VersionStore(tmp_path / "state" / "versions")
    for hour, (name, text) in enumerate(
        [("hall", "a = 1"), ("hall", "a = 2"), ("bath", "b = 1"), ("old", "x"), ("_gone", "g = 1")]
    ):
        data = text.encode()
        store.add(name, version_of(data), data, datetime(2026, 11, 1, hour, tzinfo=UTC))
    return store


@pytest.fixture
def last_live(store, folder):
    def last_live(ran=(), rolled_back=MappingProxyType({})):
        return functools.partial(last_live_sources, store, folder.path, ran, rolled_back)

    return last_live


@pytest.mark.parametrize("is_damaged", [True, False])
def test_without_its_file_the_last_live_versions_are_committed(
    file, log, sources, last_live, is_damaged
):
    if is_damaged:
        file.write_bytes(b'{"hall')
    found = sources(hall="a = 3", new="c = 1")
    committed = Committed(file, log.logger, last_live(ran=["bath", "hall"]))
    assert texts(committed.apply(found)) == {"hall": "a = 2", "bath": "b = 1", "_gone": "g = 1"}
    assert list(committed.waiting) == ["_gone", "bath", "hall", "new"]
    record = log.find("committed.restored")
    assert f"hall@{version_of(b'a = 2')}" in record["modules"]
    assert "`eshet-rules commit` applies these" in record["advice"]
    if is_damaged:
        damaged = file.with_name("committed.json.damaged")
        assert record["damaged"] == str(damaged)
        assert damaged.read_bytes() == b'{"hall'
    again = Committed(file, log.logger)
    assert texts(again.apply(found)) == texts(committed.apply(found))


def test_a_missing_file_is_not_logged_if_the_files_have_the_last_live_versions(
    file, log, sources, last_live
):
    file.with_name("versions").joinpath("_gone").rename(file.with_name("elsewhere"))
    committed = Committed(file, log.logger, last_live())
    committed.apply(sources(hall="a = 2", bath="b = 1"))
    assert (committed.waiting, log.events()) == ({}, [])


def test_a_module_that_is_rolled_back_has_the_version_of_before_as_the_committed_one(
    sources, last_live
):
    rolled_back = {"hall": version_of(b"a = 1")}
    found = last_live(rolled_back=rolled_back)(sources(hall="a = 3"))
    assert found["hall"].data == b"a = 1"


def test_a_damaged_kept_source_is_replaced_by_the_one_before_it(sources, last_live, store):
    (store.folder / "hall" / f"{version_of(b'a = 2')}.txt").write_bytes(b"a = 9")
    found = last_live()(sources(hall="a = 3"))
    assert found["hall"].data == b"a = 1"


def test_a_file_that_can_not_be_written_is_logged(tmp_path, log, sources):
    (tmp_path / "file").touch()
    committed = Committed(tmp_path / "file" / "committed.json", log.logger)
    assert list(committed.apply(sources(hall="a = 1"))) == ["hall"]
    assert log.find("committed.not_written")


def test_a_start_without_waiting_changes_forgets_what_was_committed(file, log, sources):
    ask = WatchSettings(commit="ask")
    first = committed_sources(ask, file.parent, log.logger)
    first.apply(sources(hall="a = 1"))
    assert file.exists()
    assert committed_sources(WatchSettings(), file.parent, log.logger) is None
    again = committed_sources(ask, file.parent, log.logger)
    again.apply(sources(hall="a = 2"))
    assert again.waiting == {}
    assert committed_sources(ask, None, log.logger) is not None
