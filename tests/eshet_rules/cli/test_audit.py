"""`eshet-rules audit`, as a user types it."""

import json

import pytest
from click.testing import CliRunner

from eshet_rules.audit.trail import Trail
from eshet_rules.cli import main
from eshet_rules.runner.state_folder import state_folder

TIME = "2026-06-25T18:30:{:02}.000000Z"


def record(number, **fields):
    return {
        "time": TIME.format(number),
        "level": "debug",
        "event": "output.set",
        "rule": "hall.light",
        "cause": f"c-{number}",
        **({"parent": fields["parent"]} if "parent" in fields else {}),  # where a record has it
        "path": "/hall/light",
        "value": number,
        "outcome": "done",
        **fields,
    }


@pytest.fixture
def place(tmp_path):
    """A rules folder and its state folder, in which there is a trail."""
    rules, state = tmp_path / "rules", tmp_path / "state"
    rules.mkdir()
    write(state_folder(state, rules) / "audit" / "trail.jsonl")
    return rules, state


def write(file):
    trail = Trail(file)
    trail.open()
    for each in [
        record(1),
        record(2, rule="bath.heater", path="/bath/heater", value="\x1b[2J"),
        record(3, event="output.called", parent="c-1"),
    ]:
        trail.append(each, each["time"])
    trail.close()


def audit(*arguments):
    return CliRunner().invoke(main, ["audit", *map(str, arguments)])


def test_it_finds_the_trail_of_a_rules_folder(place):
    rules, state = place
    result = audit(rules, "--state-dir", state, "--rule", "hall.*")
    assert result.exit_code == 0
    assert [line.split("/hall/light")[1].split() for line in result.output.splitlines()] == [
        ["1", "c-1"],
        ["3", "c-3", "<", "c-1"],
    ]


def test_it_finds_the_trail_that_is_configured(tmp_path, place):
    rules, _ = place
    write(tmp_path / "elsewhere" / "trail.jsonl")
    (rules / "eshet-rules.toml").write_text(f'[audit]\npath = "{tmp_path}/elsewhere"\n')
    assert len(audit(rules, "--event", "output.called").output.splitlines()) == 1


@pytest.mark.parametrize(
    ("options", "values"),
    [
        (["--path", "/bath/*"], ["\x1b[2J"]),
        (["--event", "output.set"], [1, "\x1b[2J"]),
        (["--cause", "c-1"], [1, 3]),
        (["--cause", "c-3"], [3]),
        (["--cause", "c-3", "--chain"], [1, 3]),
        (["--from", "2026-06-25T18:30:02+00:00"], ["\x1b[2J", 3]),
        (["--to", "2026-06-25T18:30:02+00:00", "--from", "2026-06-25"], [1]),
        (["--rule", "nobody"], []),
    ],
)
def test_it_shows_what_is_asked_for_as_json(place, options, values):
    rules, state = place
    result = audit(rules, "--state-dir", state, "--json", *options)
    records = [json.loads(line) for line in result.stdout.splitlines()]
    assert [each["value"] for each in records if "value" in each] == values
    assert all("crc" not in each for each in records)


def test_a_message_of_a_rule_with_the_earlier_name_of_an_event_is_found(tmp_path):
    file = tmp_path / "trail.jsonl"
    trail = Trail(file)
    trail.open()
    for each in (record(1, event="running", logger="m.washer"), record(2, event="runner.started")):
        trail.append(each, each["time"])
    trail.close()

    def found(event):
        lines = audit("--audit", file, "--json", "--event", event).stdout.splitlines()
        return [json.loads(line)["event"] for line in lines]

    assert found("running") == ["running", "runner.started"]
    assert found("runner.started") == ["runner.started"]


def test_a_time_may_be_how_long_ago(place):
    rules, state = place
    now = audit(rules, "--state-dir", state, "--from", "1h", "--json").stdout.splitlines()
    assert [json.loads(line)["event"] for line in now] == ["trail.started"]


def test_no_value_drives_the_terminal(place):
    rules, state = place
    assert "\x1b" not in audit(rules, "--state-dir", state).output
    assert "\x1b" not in audit(rules, "--state-dir", state, "--json").output


def test_what_was_damaged_is_told_and_left_out(place):
    rules, state = place
    [file] = state.glob("*/audit/trail.jsonl")
    file.write_bytes(file.read_bytes().replace(b"output.called", b"output.coiled"))
    result = audit(rules, "--state-dir", state)
    assert result.exit_code == 3
    assert "it has damaged lines (1 line)" in result.stderr
    assert "coiled" not in result.stdout


@pytest.mark.parametrize(
    ("arguments", "code", "message"),
    [
        (["--audit", "nowhere"], 1, "nowhere/trail.jsonl does not exist"),
        (["--from", "yesterday"], 2, "'yesterday' is not a time"),
        (["--from", "25:00"], 2, "is not a time"),
        (["--chain"], 2, "--chain needs a cause: name it with --cause ID"),
        (["no_such_folder"], 2, "there is no such folder"),
        (["--follow", "--colour"], 2, "No such option"),
    ],
)
def test_mistakes_are_told_with_a_remedy(tmp_path, monkeypatch, arguments, code, message):
    monkeypatch.chdir(tmp_path)
    result = audit(*arguments)
    assert result.exit_code == code
    assert message in result.output


@pytest.mark.parametrize(
    ("arguments", "says"),
    [
        (["--event", "valu set"], "no record matches; did you mean --event 'output.set'?"),
        (["--event", "tea is ready"], "no record matches"),
        (["--path", "hall/light"], "a path begins with a slash, did you mean '/hall/light'?"),
        (["--rule", "nobody"], "no record matches"),
    ],
)
def test_that_nothing_was_found_is_said_beside_the_output(place, arguments, says):
    rules, state = place
    result = audit(rules, "--state-dir", state, *arguments)
    assert (result.exit_code, result.stdout) == (0, "")
    assert result.stderr.rstrip().endswith(says)


def test_a_time_that_ends_before_it_begins_is_refused(place):
    rules, state = place
    result = audit(rules, "--state-dir", state, "--from", "5m", "--to", "15m")
    assert result.exit_code == 2
    assert "--from must be before --to" in result.stderr


def test_a_closed_file_that_can_not_be_read_is_told_and_the_others_are_shown(place):
    rules, state = place
    folder = state_folder(state, rules) / "audit"
    (folder / "trail-000001-20260624T000000.jsonl.zst").mkdir()
    result = audit(rules, "--state-dir", state)
    assert result.exit_code == 3
    assert "it can't be read: Is a directory" in result.stderr
    assert "c-3 < c-1" in result.stdout


def test_what_is_no_ordinary_file_is_no_trail():
    result = audit("--audit", "/dev/zero")
    assert result.exit_code == 1
    assert "/dev/zero is not a regular file" in result.stderr
