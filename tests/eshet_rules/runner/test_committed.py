import json

import pytest

from eshet_rules.config import WatchSettings
from eshet_rules.runner.committed import Committed, WaitingChange, committed_sources


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
    assert list(json.loads(file.read_bytes())) == ["hall"]


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
