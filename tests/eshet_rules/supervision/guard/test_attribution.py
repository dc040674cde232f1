"""To which rule a crash is attributed, what that disables, and what is kept on disk."""

import json
from pathlib import Path
from typing import Any

import pytest

from eshet_rules.supervision.guard.crash import Crash, Spot
from eshet_rules.supervision.guard.quarantine import Blame, Quarantine, attribute
from eshet_rules.supervision.limits import RuleLimits
from tests.support.rules import Folder, Log

HALL = """\
from eshet_rules import rule
import _helper

@rule
async def light():
    work()

@rule(name="big heater")
async def heater(
    limit=3,
):
    work()
x = 1
async def no_rule():
    work()

def main():
    work()
"""


@pytest.fixture
def rules(folder: Folder) -> Folder:
    folder.write("hall.py", HALL)
    folder.write("_helper.py", "x = 1\n\nasync def main():\n    pass\n")
    folder.write("up/__init__.py", "x = 1\n")
    folder.write("up/bath.py", "x = 1\nasync def main():\n    pass\n")
    folder.write("broken.py", "x = = 1\n")
    return folder


def crash(rules: Folder, *lines: tuple[str, int, str], rule: str | None = None) -> Crash:
    return Crash(rule, [Spot(str(rules.path / file), line, name) for file, line, name in lines])


def begun(rules: Folder, log: Log, folder: Path, *blames: dict[str, Any]) -> Quarantine:
    folder.mkdir(exist_ok=True)
    if blames:
        (folder / "blamed.json").write_text(json.dumps(blames))
    quarantine = Quarantine(folder, log.logger, RuleLimits())
    quarantine.begin(rules.sources())
    return quarantine


@pytest.mark.parametrize(
    ("line", "name"),
    [
        *[(line, "hall") for line in (1, 2, 3, 7, 13, 14, 15, 17, 18)],
        *[(line, "hall.light") for line in (5, 6)],
        *[(line, "hall.big heater") for line in (9, 10, 11, 12)],
    ],
)
def test_each_line_belongs_to_the_rule_whose_function_contains_it(
    rules: Folder, line: int, name: str
) -> None:
    [found] = attribute(crash(rules, ("hall.py", line, "f")), rules.sources())
    assert found.name == name
    assert (found.file, found.line) == (str(rules.path / "hall.py"), line)
    assert not found.at_import


@pytest.mark.parametrize(
    ("lines", "rule", "name", "at_import"),
    [
        # The innermost rule, else the one that the watchdog noted, else the outermost module.
        (
            [("up/bath.py", 2, "main"), ("hall.py", 5, "light")],
            "hall.big heater",
            "up.bath.main",
            0,
        ),
        ([("up/bath.py", 1, "f")], "hall.light", "hall.light", 0),
        ([("hall.py", 1, "f")], "up.bath.main", "up.bath.main", 0),
        ([("hall.py", 1, "f")], "up.init", "up.init", 0),
        ([("hall.py", 1, "f")], "gone.rule", "hall", 0),
        ([("hall.py", 1, "<module>")], "hallway.rule", "hall", 1),
        ([("hall.py", 1, "f"), ("up/bath.py", 1, "<module>")], None, "up.bath", 1),
        ([("hall.py", 1, "<module>"), ("up/bath.py", 1, "f")], None, "up.bath", 0),
        ([("hall.py", 1, "<module>"), ("_helper.py", 1, "f")], None, "hall", 1),
        ([("_helper.py", 1, "<module>")], None, "_helper", 1),
        ([("_helper.py", 1, "f"), ("_helper.py", 2, "<module>")], None, "_helper", 1),
        ([("broken.py", 1, "f")], None, "broken", 0),
    ],
)
def test_the_innermost_rule_is_blamed_else_the_outermost_module(
    rules: Folder, lines: list[tuple[str, int, str]], rule: str | None, name: str, at_import: int
) -> None:
    [found] = attribute(crash(rules, *lines, rule=rule), rules.sources())
    assert (found.name, found.at_import) == (name, bool(at_import))
    assert found.line == lines[0][1]
    assert found.versions.items() <= {n: s.version for n, s in rules.sources().items()}.items()
    assert {found.module, lines[0][0].removesuffix(".py").replace("/", ".")} == set(found.versions)


def test_a_crash_in_files_of_others_is_attributed_to_nobody(rules: Folder) -> None:
    assert (
        attribute(crash(rules, ("../other.py", 1, "f"), rule="hall.light"), rules.sources()) == []
    )


def blame(rule: str, **more: Any) -> Blame:
    return Blame("hall", rule, "/rules/hall.py", 7, {}, "2026-06-01T00:00:00+00:00", **more)


@pytest.mark.parametrize(
    ("blamed", "rule", "concerned"),
    [
        ("light", "hall.light", True),
        ("light", "hall.light[bath]", True),
        ("light", "hall.lights", False),
        ("light", "hall.light.x", False),
        ("light", "hall", False),
        ("light[bath]", "hall.light[bath]", True),
        ("light[bath]", "hall.light[hall]", False),
        ("", "hall", True),
        ("", "hall.light", True),
        ("", "hall.light[bath]", True),
        ("", "hallway.light", False),
        ("", "hall[x]", False),
    ],
)
def test_which_rules_are_disabled_by_a_crash(blamed: str, rule: str, concerned: bool) -> None:
    assert blame(blamed).concerns(rule) is concerned


def test_the_reason_names_the_place_and_what_to_do() -> None:
    place = "it ended the runner at /rules/hall.py:7; fix and save its file"
    assert blame("light").why == f"{place}, or run `eshet-rules enable hall.light`"
    assert blame("").why == f"{place}, or run `eshet-rules enable hall`"
    assert blame("", at_import=True).why == place


def blamed(rules: Folder, rule: str = "light", **more: Any) -> dict[str, Any]:
    version = rules.sources()["hall"].version
    return {
        "module": "hall", "rule": rule, "file": "hall.py", "line": 7,
        "versions": {"hall": version}, "time": "", **more,
    }  # fmt: skip


def test_a_disabled_rule_does_not_keep_its_module_out(
    rules: Folder, log: Log, tmp_path: Path
) -> None:
    quarantine = begun(rules, log, tmp_path / "guard", blamed(rules))
    assert quarantine.disabled_reason("hall.light") is not None
    assert quarantine.disabled_reason("hall.big heater") is None
    assert quarantine.admit(rules.sources()) == rules.sources()
    assert log.events() == ["rule.quarantined"]


def test_a_start_without_a_crash_file_logs_nothing(rules: Folder, log: Log, tmp_path: Path) -> None:
    begun(rules, log, tmp_path / "guard")
    assert log.events() == []


def test_the_list_is_written_only_when_it_changes_or_on_demand(
    rules: Folder, log: Log, tmp_path: Path
) -> None:
    folder = tmp_path / "guard"
    entry = blamed(rules)
    quarantine = begun(rules, log, folder, entry, blamed(rules, "big heater"))
    for each in folder.iterdir():
        each.unlink()
    folder.rmdir()
    quarantine.admit(rules.sources())
    quarantine.release(["hall.other"])
    assert not folder.exists()
    quarantine.write_again()
    assert len(json.loads((folder / "blamed.json").read_text())) == 2
    quarantine.release(["hall.big heater"])
    [left] = json.loads((folder / "blamed.json").read_text())
    assert {**left, "at_import": False} == {**entry, "at_import": False}


def test_only_the_newest_20_crash_files_are_kept(rules: Folder, log: Log, tmp_path: Path) -> None:
    folder = tmp_path / "guard"
    folder.mkdir()
    older = [f"crash-2000-01-{day:02}T000000+0000" for day in range(1, 26)]
    for name in older:
        (folder / name).write_text("")
    text = 'Thread 0x01 (most recent call first):\n  File "x", line 1 in f\n'
    (folder / "crash").write_text('{"main": "0x01"}\n' + text)
    begun(rules, log, folder)
    kept = sorted(each.name for each in folder.glob("crash*"))
    assert len(kept) == 20
    assert kept[:-1] == older[6:]
    assert (folder / kept[-1]).read_text().endswith(text)


@pytest.mark.parametrize("starts", range(5))
def test_as_many_starts_as_the_limit_lead_to_safe_mode(
    rules: Folder, log: Log, tmp_path: Path, starts: int
) -> None:
    folder = tmp_path / "guard"
    folder.mkdir()
    (folder / "starts.json").write_text(json.dumps(["2026-06-01T00:00:00+00:00"] * starts))
    quarantine = begun(rules, log, folder)
    is_safe = starts >= RuleLimits().max_failed_starts
    assert (quarantine.disabled_reason("hall.light") is not None) is is_safe
    assert log.events() == ["runner.safe_mode"] * is_safe
    assert len(json.loads((folder / "starts.json").read_text())) == starts + 1
    quarantine.mark_healthy()
    assert json.loads((folder / "starts.json").read_text()) == []


def test_in_safe_mode_only_changed_modules_and_released_rules_run(
    rules: Folder, log: Log, tmp_path: Path
) -> None:
    folder = tmp_path / "guard"
    quarantine = [begun(rules, log, folder) for _ in range(4)][-1]
    rules.write("hall.py", HALL + "\n")
    rules.write("new.py", "")
    quarantine.admit(rules.sources())
    quarantine.release(["up.bath.main"])
    names = ["hall.light", "new.main", "up.bath.main", "up.main", "up.bath.other", "broken.main"]
    runs = [quarantine.disabled_reason(each) is None for each in names]
    assert runs == [True, True, True, False, False, False]
