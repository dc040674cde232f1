import json
from datetime import UTC, datetime

import pytest

from eshet_rules.modules.discovery import version_of
from eshet_rules.runner.roll_backs import RollBack, RollBacks

OLD, NEW = b"a = 1 # \xff\n", b"a = 2\n"
HALL = RollBack(
    version_of(NEW), version_of(OLD), datetime(2026, 1, 1, tzinfo=UTC), "anna", "dark", OLD
)


@pytest.fixture
def file(tmp_path):
    return tmp_path / "state" / "roll-backs.json"


@pytest.fixture
def sources(folder):
    def sources(data=NEW):
        (folder.path / "hall.py").write_bytes(data)
        folder.write("bath.py", "")
        return folder.sources()

    return sources


def test_a_module_has_its_earlier_source_until_its_file_changes(log, sources):
    roll_backs = RollBacks(None, log.logger)
    roll_backs.put("hall", HALL)
    before = sources()
    applied = roll_backs.apply(before)
    assert (applied["hall"].version, applied["hall"].data) == (version_of(OLD), OLD)
    assert applied["hall"].path == before["hall"].path
    assert applied["bath"] is before["bath"]
    changed = sources(b"a = 3\n")
    assert roll_backs.apply(changed) == changed
    assert roll_backs.all() == {}
    assert log.find("module.roll_back_ended")["version"] == version_of(b"a = 3\n")


def test_a_file_that_is_missing_or_unreadable_ends_no_roll_back(log, folder, sources):
    roll_backs = RollBacks(None, log.logger)
    roll_backs.put("hall", HALL)
    sources()
    folder.remove("hall.py")
    assert "hall" not in roll_backs.apply(folder.sources())
    (folder.path / "hall.py").symlink_to("nowhere")
    assert roll_backs.apply(folder.sources())["hall"].problem
    folder.remove("hall.py")
    assert roll_backs.apply(sources())["hall"].data == OLD


def test_roll_backs_survive_a_restart(file, log):
    RollBacks(file, log.logger).put("hall", HALL)
    assert RollBacks(file, log.logger).all() == {"hall": HALL}
    assert file.stat().st_mode & 0o777 == 0o600
    RollBacks(file, log.logger).put("hall", None)
    assert RollBacks(file, log.logger).all() == {}


@pytest.mark.parametrize("content", [b"{", b"[]", b"\xff", b'{"hall": {"version": 3}}'])
def test_a_damaged_file_is_logged_and_counts_as_empty(file, log, content):
    file.parent.mkdir()
    file.write_bytes(content)
    assert RollBacks(file, log.logger).all() == {}
    assert log.find("roll_backs.unreadable")["file"] == str(file)


@pytest.mark.parametrize(
    "since",
    ["0001-01-01T00:00:00Z", "0001-01-01T00:00:00+14:00", "9999-12-31T23:59:59-12:00"],
)
def test_an_impossible_time_is_logged_and_the_file_counts_as_empty(file, log, since):
    RollBacks(file, log.logger).put("hall", HALL)
    content = json.loads(file.read_bytes())
    content["hall"]["since"] = since
    file.write_text(json.dumps(content))
    assert RollBacks(file, log.logger).all() == {}
    assert "is impossible" in log.find("roll_backs.unreadable")["error"]


def test_a_source_without_its_hash_does_not_run(file, log):
    RollBacks(file, log.logger).put("hall", HALL)
    content = json.loads(file.read_bytes())
    content["hall"]["data"] = "AAAA"
    file.write_text(json.dumps(content))
    assert RollBacks(file, log.logger).all() == {}


def test_a_file_that_can_not_be_written_is_logged_and_the_roll_back_holds_till_the_end(
    tmp_path, log
):
    (tmp_path / "file").touch()
    roll_backs = RollBacks(tmp_path / "file" / "roll-backs.json", log.logger)
    roll_backs.put("hall", HALL)
    assert roll_backs.get("hall") is HALL
    assert log.find("roll_backs.not_written")
