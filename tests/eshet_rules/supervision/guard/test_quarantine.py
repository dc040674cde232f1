import json
from dataclasses import replace
from pathlib import Path

import pytest

from eshet_rules.supervision.guard.crash import Crash, CrashFile, Spot, read_crash
from eshet_rules.supervision.guard.quarantine import Quarantine, attribute
from eshet_rules.supervision.limits import RuleLimits

HALL = """\
from eshet_rules import rule
from _helper import work

@rule
async def light():
    def changed(value):
        sum(range(10**11))
    work()

@rule(name="big heater")
async def heater():
    work()

@rule.each("bath", "hall")
async def fan(room):
    work()

def helper():
    work()
"""
HELPER = "def work():\n    sum(range(10**11))\n"


@pytest.fixture
def rules(folder):
    folder.write("hall.py", HALL)
    folder.write("_helper.py", HELPER)
    folder.write("bath.py", "async def main():\n    pass\n")
    return folder


@pytest.fixture
def stack(rules):
    """Return the crash whose stack has these lines of files; the innermost first."""

    def stack(*lines, rule=None):
        spots = [Spot(str(rules.path / file), line, function) for file, line, function in lines]
        return Crash(rule, [*spots, Spot("/usr/lib/python3/asyncio/events.py", 80, "_run")])

    return stack


@pytest.fixture
def quarantine(tmp_path, log):
    (tmp_path / "guard").mkdir(exist_ok=True)

    def quarantine(**limits):
        return Quarantine(tmp_path / "guard", log.logger, RuleLimits(**limits))

    return quarantine


def write_crash(quarantine, *lines):
    """Leave the file of a process that was ended where these lines say."""
    frames = "".join(f'  File "{file}", line {line} in {name}\n' for file, line, name in lines)
    quarantine.crash_file.write_text(
        '{"main": "0x00000000000000aa"}\n'
        "Timeout (0:00:10)!\n"
        'Thread 0x00000000000000bb (most recent call first):\n  File "other.py", line 1 in run\n\n'
        f"Thread 0x00000000000000aa (most recent call first):\n{frames}"
    )


# --- the crash file -----------------------------------------------------------------------------


def test_a_crash_file_tells_where_the_main_thread_was(quarantine):
    kept = quarantine()
    write_crash(kept, ("/rules/hall.py", 7, "changed"), ("/rules/hall.py", 30, "<module>"))
    assert read_crash(kept.crash_file) == Crash(
        None, [Spot("/rules/hall.py", 7, "changed"), Spot("/rules/hall.py", 30, "<module>")]
    )


def test_a_crash_file_tells_who_was_interrupted_before_the_end(tmp_path):
    file = CrashFile(tmp_path / "crash")
    file.note("hall.light", "/rules/hall.py", 7)
    with file.path.open("a") as written:
        written.write('Current thread 0x01 (most recent call first):\n  File "x", line 1 in f\n')
        written.write('{"cut o')
    assert read_crash(file.path) == Crash("hall.light", [Spot("x", 1, "f")])
    file.close()
    assert not file.path.exists()


def test_a_crash_file_without_a_stack_tells_of_no_crash(tmp_path):
    file = CrashFile(tmp_path / "crash")
    file.note("hall.light", "/rules/hall.py", 7)
    assert read_crash(file.path) is None
    assert read_crash(tmp_path / "none") is None
    file.close()


# --- who is to blame ----------------------------------------------------------------------------


@pytest.mark.parametrize(
    ("lines", "name"),
    [
        ([("hall.py", 7, "changed")], "hall.light"),
        ([("_helper.py", 2, "work"), ("hall.py", 8, "light")], "hall.light"),
        ([("_helper.py", 2, "work"), ("hall.py", 12, "heater")], "hall.big heater"),
        ([("_helper.py", 2, "work"), ("hall.py", 16, "fan")], "hall.fan"),
        ([("_helper.py", 2, "work"), ("hall.py", 19, "helper")], "hall"),
        ([("bath.py", 2, "main")], "bath.main"),
        ([("_helper.py", 1, "<module>"), ("hall.py", 2, "<module>")], "hall"),
    ],
    ids=str,
)
def test_the_rule_in_whose_code_it_was_is_to_blame(rules, stack, lines, name):
    [found] = attribute(stack(*lines), rules.sources())
    assert found.name == name
    assert (found.file, found.line) == (str(rules.path / lines[0][0]), lines[0][1])


def test_where_the_code_does_not_say_it_the_watchdog_does(rules, stack):
    [found] = attribute(stack(("hall.py", 19, "helper"), rule="hall.fan[bath]"), rules.sources())
    assert found.name == "hall.fan[bath]"


def test_what_was_in_no_rule_is_nobodys_fault(rules, stack):
    assert attribute(stack(), rules.sources()) == []


def test_what_blocks_an_import_is_not_imported(rules, stack, quarantine):
    [found] = attribute(
        stack(("_helper.py", 1, "<module>"), ("hall.py", 2, "<module>")), rules.sources()
    )
    assert found.at_import


# --- who stays off ------------------------------------------------------------------------------


def test_a_rule_that_ended_the_process_stays_off_until_its_file_changes(rules, quarantine, log):
    first = quarantine()
    write_crash(first, (rules.path / "hall.py", 7, "changed"))
    first.begin(rules.sources())
    assert "hall.py:7; fix and save its file" in first.disabled_reason("hall.light")
    assert first.disabled_reason("hall.big heater") is None
    off = log.find("rule.quarantined")
    assert (off["rule"], off["line"]) == ("hall.light", 7)

    second = quarantine()
    second.begin(rules.sources())
    assert second.disabled_reason("hall.light") is not None
    rules.write("hall.py", HALL + "\n")
    assert second.admit(rules.sources()) == rules.sources()
    assert second.disabled_reason("hall.light") is None

    third = quarantine()
    third.begin(rules.sources())
    assert third.disabled_reason("hall.light") is None


def test_a_helper_that_was_mended_lets_the_rule_run_too(rules, quarantine):
    kept = quarantine()
    write_crash(
        kept, (rules.path / "_helper.py", 2, "work"), (rules.path / "hall.py", 12, "heater")
    )
    kept.begin(rules.sources())
    assert "_helper.py:2" in kept.disabled_reason("hall.big heater")
    rules.write("_helper.py", "def work():\n    pass\n")
    kept.admit(rules.sources())
    assert kept.disabled_reason("hall.big heater") is None


def test_the_crash_file_is_kept_for_people(rules, quarantine, log):
    first = quarantine()
    write_crash(first, (rules.path / "hall.py", 7, "changed"))
    first.begin(rules.sources())
    assert not first.crash_file.exists()
    kept = Path(log.find("runner.killed_by_rule")["file"])
    assert "hall.py" in kept.read_text()


def test_all_of_a_rule_for_each_argument_stay_off(rules, quarantine):
    kept = quarantine()
    write_crash(kept, (rules.path / "hall.py", 16, "fan"))
    kept.begin(rules.sources())
    assert kept.disabled_reason("hall.fan[bath]") is not None
    assert kept.disabled_reason("hall.fantasy") is None


def test_a_rule_can_be_let_run_by_hand(rules, quarantine):
    kept = quarantine()
    write_crash(kept, (rules.path / "hall.py", 7, "changed"))
    kept.begin(rules.sources())
    kept.release(["hall.light"])
    assert kept.disabled_reason("hall.light") is None
    again = quarantine()
    again.begin(rules.sources())
    assert again.disabled_reason("hall.light") is None


def test_a_module_that_blocked_its_import_is_kept_out(rules, quarantine):
    kept = quarantine()
    write_crash(kept, (rules.path / "hall.py", 2, "<module>"))
    kept.begin(rules.sources())
    assert "hall" not in kept.admit(rules.sources())
    assert "bath" in kept.admit(rules.sources())


# --- other runners of a cluster -----------------------------------------------------------------


@pytest.fixture
def ended_attic(rules, stack):
    """Return the crash of another runner in the present version of a file."""

    def ended(*lines):
        [found] = attribute(stack(*lines), rules.sources())
        return replace(found, runner="attic")

    return ended


def test_a_rule_that_ended_another_runner_stays_off_until_its_file_changes(
    rules, quarantine, ended_attic, log
):
    kept = quarantine()
    kept.begin(rules.sources())
    ended = ended_attic(("hall.py", 7, "changed"))
    assert kept.follow([ended], {})
    assert not kept.follow([ended], {})  # it is known
    assert kept.disabled_reason("hall.light").startswith("it ended the runner attic at ")
    assert log.events().count("rule.quarantined") == 1
    assert kept.own == []
    again = quarantine()
    again.begin(rules.sources())
    assert again.disabled_reason("hall.light") is not None
    rules.write("hall.py", HALL + "\n")
    again.admit(rules.sources())
    assert again.disabled_reason("hall.light") is None


def test_a_version_that_ended_another_runner_stays_off_when_it_comes_here(
    rules, quarantine, ended_attic
):
    ended = ended_attic(("hall.py", 7, "changed"))
    rules.write("hall.py", HALL + "\n")
    kept = quarantine()
    kept.begin(rules.sources())
    assert not kept.follow([ended], {})
    assert kept.disabled_reason("hall.light") is None
    rules.write("hall.py", HALL)
    kept.admit(rules.sources())
    assert kept.disabled_reason("hall.light") is not None


def test_a_module_that_ended_another_runner_at_import_is_kept_out(rules, quarantine, ended_attic):
    kept = quarantine()
    kept.begin(rules.sources())
    assert kept.follow([ended_attic(("hall.py", 2, "<module>"))], {})
    assert "hall" not in kept.admit(rules.sources())


def test_a_rule_that_is_let_run_by_hand_at_another_runner_runs(
    rules, quarantine, stack, ended_attic
):
    first = quarantine()
    write_crash(first, (rules.path / "hall.py", 7, "changed"))
    first.begin(rules.sources())
    [own] = first.own
    assert not first.follow([], {"hall.light": "2000-01-01T00:00:00+00:00"})  # before the crash
    assert first.follow([], {"hall.light": own.time})
    assert first.disabled_reason("hall.light") is None
    elsewhere = ended_attic(("hall.py", 12, "heater"))
    first.follow([elsewhere], {})
    assert first.release(["hall.big heater"]) == [elsewhere]
    assert first.disabled_reason("hall.big heater") is None
    assert not first.follow([], {})


# --- safe mode ----------------------------------------------------------------------------------


def test_after_short_lives_all_rules_stay_off_for_one_start(rules, quarantine, log):
    for _ in range(3):
        start = quarantine()
        start.begin(rules.sources())
        assert start.disabled_reason("hall.light") is None
    safe = quarantine()
    safe.begin(rules.sources())
    assert "safe mode" in safe.disabled_reason("hall.light")
    told = log.find("runner.safe_mode")
    assert told["starts"] == 3
    assert "eshet-rules enable" in told["advice"]
    safe.mark_healthy()
    after = quarantine()
    after.begin(rules.sources())
    assert after.disabled_reason("hall.light") is None


def test_a_life_that_was_long_or_ended_well_breaks_the_row(rules, quarantine):
    for _ in range(10):
        start = quarantine()
        start.begin(rules.sources())
        assert start.disabled_reason("hall.light") is None
        start.mark_healthy()


def test_in_safe_mode_a_saved_file_and_an_enabled_rule_run(rules, quarantine):
    for _ in range(4):
        start = quarantine()
        start.begin(rules.sources())
    assert start.disabled_reason("bath.main") is not None
    start.release(["bath.main"])
    rules.write("hall.py", HALL + "\n")
    start.admit(rules.sources())
    assert start.disabled_reason("bath.main") is None
    assert start.disabled_reason("hall.light") is None


def test_where_a_crash_file_names_a_rule_only_that_one_stays_off(rules, quarantine, log):
    for _ in range(4):
        start = quarantine()
        write_crash(start, (rules.path / "hall.py", 7, "changed"))
        start.begin(rules.sources())
    assert start.disabled_reason("hall.light") is not None
    assert start.disabled_reason("bath.main") is None
    assert "runner.safe_mode" not in log.events()


def test_one_that_stays_off_does_not_keep_others_from_safe_mode(rules, quarantine):
    start = quarantine()
    write_crash(start, (rules.path / "hall.py", 7, "changed"))
    for _ in range(4):
        start = quarantine()
        start.begin(rules.sources())
    assert "safe mode" in start.disabled_reason("bath.main")
    assert "hall.py:7" in start.disabled_reason("hall.light")


def test_files_that_are_broken_keep_no_rule_off(rules, quarantine, tmp_path):
    for name in ("blamed.json", "starts.json"):
        (tmp_path / "guard" / name).write_text('{"broken')
    start = quarantine()
    start.begin(rules.sources())
    assert start.disabled_reason("hall.light") is None
    assert len(json.loads((tmp_path / "guard" / "starts.json").read_text())) == 1


def test_blames_of_another_shape_keep_no_rule_off(rules, quarantine, tmp_path):
    (tmp_path / "guard" / "blamed.json").write_text('[{"who": "hall"}, 3]')
    start = quarantine()
    start.begin(rules.sources())
    assert start.disabled_reason("hall.light") is None


def test_a_folder_that_cannot_be_written_is_told_and_stops_nothing(
    rules, quarantine, tmp_path, log
):
    (tmp_path / "guard" / "starts.json").mkdir()
    start = quarantine()
    start.begin(rules.sources())
    assert log.find("quarantine.not_written")["file"].endswith("starts.json")
