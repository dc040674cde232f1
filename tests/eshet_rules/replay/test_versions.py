"""The rules of a folder as they were at a time, from its files and from kept versions."""

from datetime import UTC, datetime, timedelta

import pytest

from eshet_rules.config import Configuration
from eshet_rules.modules.discovery import version_of
from eshet_rules.reload.version_store import VersionStore
from eshet_rules.replay.versions import PastRules, VersionNotKept

START = datetime(2026, 3, 28, 18, tzinfo=UTC)


@pytest.fixture
def past(tmp_path):
    (tmp_path / "rules").mkdir()
    return PastRules(tmp_path / "rules", VersionStore(tmp_path / "versions"), Configuration())


def write(past, name, text):
    (past.folder / f"{name}.py").write_text(text)


def keep(past, name, text, hours=0.0):
    data = text.encode()
    past.store.add(name, version_of(data), data, START + timedelta(hours=hours))


def content(past, hours, known=(), needed=()):
    rules = past.at(START + timedelta(hours=hours), dict(known), dict(needed))
    return {name: source.data.decode() for name, source in rules.sources.items()}


def test_a_module_has_the_version_that_was_live(past):
    write(past, "hall", "# present")
    for number, text in enumerate(["# first", "# second", "# first", "# third"]):
        keep(past, "hall", text, number)
    assert content(past, 0.5) == {"hall": "# first"}
    assert content(past, 1.5) == {"hall": "# second"}
    assert content(past, 2.5) == {"hall": "# first"}
    assert content(past, 9) == {"hall": "# third"}


def test_a_known_version_counts_more_than_the_time(past):
    write(past, "hall", "# present")
    keep(past, "hall", "# first")
    keep(past, "hall", "# second", 1)
    first, present = version_of(b"# first"), version_of(b"# present")
    assert content(past, 9, {"hall": first}) == {"hall": "# first"}
    assert content(past, 9, {"hall": "00"}, {"hall": first}) == {"hall": "# first"}
    assert content(past, 0, {"hall": present}) == {"hall": "# present"}


def test_a_module_without_kept_versions_is_the_present_one(past):
    write(past, "hall", "# present")
    assert content(past, 0) == {"hall": "# present"}
    assert content(past, 0, {"hall": "00", "gone": "00"}) == {"hall": "# present"}


def test_a_module_that_became_live_later_is_left_out_unless_others_may_import_it(past):
    for name in ("hall", "_helper"):
        write(past, name, "# new")
        keep(past, name, "# new", 1)
    assert content(past, 0) == {"_helper": "# new"}
    assert content(past, 0, {"hall": version_of(b"# new")}) == {"_helper": "# new", "hall": "# new"}


def test_a_deleted_module_is_there_if_it_is_kept(past):
    keep(past, "up.hall", "# first")
    first = version_of(b"# first")
    rules = past.at(START, {"up.hall": first}, {})
    assert rules.sources["up.hall"].path == past.folder / "up" / "hall.py"


def test_a_needed_version_that_is_not_kept_is_an_error(past):
    write(past, "hall", "# present")
    keep(past, "hall", "# damaged")
    version = version_of(b"# damaged")
    (past.store.folder / "hall" / f"{version}.txt").write_text("# other")
    for missing in (version, "0123abcd"):
        with pytest.raises(VersionNotKept, match=rf"the version {missing} of hall is neither in"):
            past.at(START, {}, {"hall": missing})
