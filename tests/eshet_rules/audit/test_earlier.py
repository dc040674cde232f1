"""Trails of earlier versions of the schema are read with the present names of events."""

import pytest

from eshet_rules.audit.earlier import NAMES_OF_VERSION_1, names_of, translate
from eshet_rules.audit.lines import decode, encode
from eshet_rules.audit.query import Filter, Reader
from eshet_rules.audit.records.schema import EVENTS

SINCE_VERSION_2 = {
    "checkpoint.not_shared",
    "checkpoint.shared_damaged",
    "cluster.joined",
    "cluster.leases_lost",
    "cluster.left",
    "cluster.modules_without_runner",
    "cluster.name_taken",
    "cluster.rules_suspended",
    "cluster.runners_changed",
    "cluster.trail_gap",
    "cluster.trail_not_shared",
    "cluster.versions_differ",
    "committed.from_files",
    "committed.not_written",
    "committed.restored",
    "committed.unreadable",
    "control.commit_requested",
    "control.drain_requested",
    "control.release_requested",
    "input.dropped",
    "module.changes_wait",
    "module.file_written",
    "module.given_up",
    "module.no_change_waits",
    "module.not_taken_back",
    "module.roll_back_ended",
    "module.rolled_back",
    "module.set_up_slow",
    "module.taken",
    "output.acted",
    "page.acted",
    "page.served",
    "path.contested",
    "path.decided",
    "path.not_provided",
    "path.overridden",
    "path.released",
    "replay.differs",
    "replay.failed",
    "replay.nothing_yet",
    "replay.same",
    "roll_backs.not_written",
    "roll_backs.unreadable",
    "rule.likely_mistake",
    "rules.changed_by_hand",
    "rules.moved_aside",
    "rules.not_taken_over",
    "rules.of_folder",
    "rules.taken_over",
    "server.nats_unreachable",
    "server.not_listening",
    "shadow.incomplete",
    "shadow.started",
    "versions.not_kept",
}
TIME = "2026-11-25T03:22:41.000000Z"


def old(event, **fields):
    return encode({"time": TIME, "level": "info", "event": event, **fields})


def test_each_event_of_version_1_has_a_present_name_of_its_own():
    assert set(NAMES_OF_VERSION_1.values()) == set(EVENTS) - SINCE_VERSION_2
    assert len(NAMES_OF_VERSION_1) == len(set(NAMES_OF_VERSION_1.values()))


def test_an_old_record_is_read_with_its_present_name():
    assert decode(old("rule failed", doing="task hall"))["event"] == "rule.failed"


def test_a_message_of_a_rule_keeps_its_text():
    record = {"time": TIME, "level": "info", "event": "running", "logger": "hall.hall"}
    translate(record)
    assert record["event"] == "running"


@pytest.mark.parametrize("wanted", ["rule.failed", "module.loaded"])
def test_old_and_new_records_are_found_by_the_present_name(tmp_path, wanted):
    file = tmp_path / "trail.jsonl"
    file.write_bytes(old("rule failed") + old("loaded") + old("rule.failed") + old("module.loaded"))
    assert [r["event"] for r in Reader(file, Filter(event=wanted)).records()] == [wanted] * 2


def test_an_event_is_known_by_all_of_its_names():
    assert names_of("rule.failed") == ["rule.failed", "rule failed"]
    assert names_of("rule failed") == ["rule.failed", "rule failed"]
    assert names_of("washing") == ["washing"]


@pytest.mark.parametrize("name", sorted(NAMES_OF_VERSION_1))
def test_a_message_of_a_rule_with_the_earlier_name_of_an_event_is_found_by_its_text(tmp_path, name):
    file = tmp_path / "trail.jsonl"
    message = {"time": TIME, "level": "info", "event": name, "logger": "hall.hall"}
    file.write_bytes(old(name) + encode(message) + encode({**message, "event": "other"}))
    present = NAMES_OF_VERSION_1[name]

    def found(wanted):
        return [record["event"] for record in Reader(file, Filter(event=wanted)).records()]

    assert found(name) == [present, name]
    assert found(present) == [present]
