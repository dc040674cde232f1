"""`eshet-rules replay`: which configuration counts, and what rules and files may do wrong."""

import os
import subprocess
import sys
from collections.abc import Callable
from pathlib import Path

import pytest
from click.testing import CliRunner, Result

from eshet_rules.audit.lines import encode
from eshet_rules.cli import main

HALL = """
from eshet import yarp
from eshet_rules import rule

@rule
async def light(config):
    lux = await yarp.state_observe("/hall/lux")
    await yarp.state_register("/hall/light", lux < config["dark"])

@rule
async def other():
    lux = await yarp.state_observe("/hall/lux")
    await yarp.state_register("/hall/other", lux < 10)
"""

RECORDS = [
    {
        "time": f"2026-03-28T18:0{minute}:00.000000Z",
        "level": "debug",
        "event": "input.received",
        "kind": "state",
        "path": "/hall/lux",
        "module": "hall",
        "cause": f"c-{minute}",
        "value": value,
    }
    for minute, value in enumerate([80, 35, 60, 5, 60])
]

TIMES = ("--from", "2026-03-28T17:59:00+00:00", "--to", "2026-03-28T18:10:00+00:00")

Replay = Callable[..., Result]


def configuration(dark: int, more: str = "") -> str:
    return f'[rules."hall.*"]\nparameters = {{ dark = {dark} }}\n{more}'


@pytest.fixture
def folder(tmp_path: Path) -> Path:
    folder = tmp_path / "rules"
    folder.mkdir()
    (folder / "hall.py").write_text(HALL)
    (folder / "eshet-rules.toml").write_text(configuration(20))
    (tmp_path / "trail.jsonl").write_bytes(b"".join(map(encode, RECORDS)))
    return folder


@pytest.fixture
def replay(folder: Path, tmp_path: Path) -> Replay:
    def replay(*arguments: str, **options: str) -> Result:
        where = (str(folder), "--audit", str(tmp_path / "trail.jsonl"))
        command = ["replay", *where, *TIMES, *arguments]
        return CliRunner(env=options).invoke(main, command, prog_name="eshet-rules")

    return replay


def times_of_light(result: Result) -> list[str]:
    """Return the minutes in which the light goes on."""
    lines = [line.split() for line in result.stdout.splitlines()]
    return [line[1][3:5] for line in lines if line[-2:] == ["/hall/light", "True"]]


def test_the_parameters_are_those_of_the_folder(replay):
    assert times_of_light(replay()) == ["03"]


@pytest.mark.parametrize("by_variable", [False, True])
def test_a_named_configuration_file_counts(replay, tmp_path, by_variable):
    file = tmp_path / "other.toml"
    file.write_text(configuration(40))
    done = replay(ESHET_RULES_CONFIG=str(file)) if by_variable else replay("--config", str(file))
    assert times_of_light(done) == ["01", "03"]


def test_a_rule_that_the_named_file_disables_is_off(replay, tmp_path):
    file = tmp_path / "other.toml"
    file.write_text(configuration(40, '[rules."hall.other"]\nenabled = false\n'))
    assert "/hall/other" in replay().stdout
    assert "/hall/other" not in replay("--config", str(file)).stdout


def test_a_named_file_must_exist(replay, tmp_path):
    done = replay("--config", str(tmp_path / "missing.toml"))
    assert done.exit_code == 2
    assert "there is no such file" in done.stderr


def test_a_pipe_with_the_configuration_is_read_once(folder, tmp_path):
    where = ["--audit", str(tmp_path / "trail.jsonl"), "--config", "/dev/fd/0"]
    command = [sys.executable, "-m", "eshet_rules", "replay", str(folder), *where, *TIMES]
    done = subprocess.run(  # noqa: S603
        command, input=configuration(40), capture_output=True, text=True, timeout=60, check=True
    )
    assert done.stdout.count("/hall/light  True") == 2


@pytest.mark.parametrize("options", [["--diff"], ["--diff", "--json"]])
def test_a_comparison_says_once_how_much_was_compared(replay, options):
    done = replay(*options)
    assert done.stderr.count("eshet-rules: compared on ") == 1
    assert "compared on 5 inputs from 2026-03-2" in done.stderr
    assert "compared" not in done.stdout
    assert "compared" not in replay().stderr


def test_no_difference_on_a_few_seconds_is_named_as_such(folder, tmp_path):
    start = {"level": "info", "event": "server.named", "address": "127.0.0.1:11236"}
    records = [
        {"time": "2026-03-28T18:09:57.000000Z", **start},
        {**RECORDS[0], "time": "2026-03-28T18:09:59.000000Z"},
    ]
    (tmp_path / "trail.jsonl").write_bytes(b"".join(map(encode, records)))
    where = [str(folder), "--audit", str(tmp_path / "trail.jsonl"), "--rules", str(folder)]
    done = CliRunner().invoke(main, ["replay", *where, "--diff", *TIMES])
    assert (done.exit_code, done.stdout) == (0, "no difference\n")
    text = "eshet-rules: nothing to compare yet: only 3 s of inputs are recorded (1 input from "
    assert done.stderr.count(text) == 1


class TestOtherVersion:
    """`--rules` runs another version of the rules, maybe with a configuration of its own."""

    @pytest.fixture
    def other(self, tmp_path: Path) -> Path:
        other = tmp_path / "other"
        other.mkdir()
        (other / "hall.py").write_text(f"# the same\n{HALL}")
        return other

    def test_it_has_the_configuration_of_its_folder(self, replay, other):
        (other / "eshet-rules.toml").write_text(configuration(40))
        done = replay("--rules", str(other))
        assert times_of_light(done) == ["01", "03"]
        assert replay("--rules", str(other), "--diff").exit_code == 1

    def test_without_one_it_has_that_of_the_present_rules(self, replay, other):
        done = replay("--rules", str(other), "--diff")
        assert (done.exit_code, done.stdout) == (0, "no difference\n")

    def test_a_named_file_counts_for_both(self, replay, other, tmp_path):
        (other / "eshet-rules.toml").write_text(configuration(1))
        file = tmp_path / "named.toml"
        file.write_text(configuration(40))
        assert replay("--rules", str(other), "--diff").exit_code == 1
        done = replay("--rules", str(other), "--diff", "--config", str(file))
        assert (done.exit_code, done.stdout) == (0, "no difference\n")

    def test_a_module_may_change_the_present_folder(self, replay, other, tmp_path, monkeypatch):
        monkeypatch.chdir(tmp_path)
        change = f"import os\nos.chdir({str(other)!r})\n"
        (other / "hall.py").write_text(change + HALL)
        done = replay("--rules", "other", "--diff")
        assert (done.exit_code, done.stdout) == (0, "no difference\n")

    def test_an_empty_name_is_refused(self, replay):
        done = replay("--rules", "")
        assert done.exit_code == 2
        assert "--rules needs a folder or a revision" in done.stderr


class TestBroken:
    """Modules that can't be set up."""

    def test_no_difference_is_claimed_if_nothing_was_compared(self, replay, folder):
        (folder / "hall.py").write_text("import nothing_of_this_name\n")
        done = replay("--diff")
        assert done.exit_code == 2
        assert done.stdout == ""
        assert "is left out: hall" in done.stderr

    def test_the_other_modules_are_compared(self, replay, folder):
        (folder / "hall.py").write_text("import nothing_of_this_name\n")
        bath = "from eshet_rules import rule\n@rule\nasync def wait():\n    pass\n"
        (folder / "bath.py").write_text(bath)
        done = replay("--diff")
        assert done.exit_code == 2
        assert "no difference" in done.stdout

    def test_a_module_that_sleeps_at_its_import_is_left_out(self, replay, folder, monkeypatch):
        monkeypatch.setattr("eshet_rules.testing.house._LONGEST_STEP", 0.3)
        (folder / "bath.py").write_text("import time\ntime.sleep(1000)\n")
        done = replay()
        assert done.exit_code == 2
        assert "is left out: bath" in done.stderr
        assert "this has blocked for" in done.stderr
        assert times_of_light(done) == ["03"]

    def test_a_rule_that_sleeps_in_its_set_up_is_left_out(self, replay, folder, monkeypatch):
        monkeypatch.setattr("eshet_rules.testing.house._LONGEST_STEP", 0.3)
        rule = "import time\nfrom eshet_rules import rule\n@rule\nasync def wait():\n"
        (folder / "bath.py").write_text(f"{rule}    time.sleep(1000)\n")
        done = replay()
        assert done.exit_code == 2
        assert "is left out: bath" in done.stderr
        assert times_of_light(done) == ["03"]

    def test_a_rule_that_never_rests_ends_the_replay(self, replay, folder, monkeypatch):
        monkeypatch.setattr("eshet_rules.testing.house._LONGEST_STEP", 0.3)
        rule = "import asyncio\nfrom eshet_rules import rule\n@rule\nasync def spin():\n"
        (folder / "bath.py").write_text(f"{rule}    while True:\n        await asyncio.sleep(0)\n")
        done = replay()
        assert done.exit_code == 2
        assert "Traceback" not in done.stderr
        assert done.stderr.startswith("eshet-rules: ")


class TestTrail:
    """Places without a trail."""

    @pytest.mark.parametrize("command", ["replay", "audit", "why"])
    def test_a_pipe_or_a_device_is_refused(self, command, folder, tmp_path):
        pipe = tmp_path / "pipe"
        os.mkfifo(pipe)
        where = ["/x", "--at", "1h", "--rules"] if command == "why" else []
        for place in (str(pipe), "/dev/zero"):
            arguments = [command, *where, str(folder), "--audit", place]
            done = CliRunner().invoke(main, arguments, prog_name="eshet-rules")
            assert done.exit_code in (1, 2)
            assert f"{place} is not a regular file" in done.stderr

    def test_another_folder_without_a_trail_is_a_version_to_run(self, folder, tmp_path):
        arguments = ["replay", str(folder), "--state-dir", str(tmp_path / "state")]
        done = CliRunner().invoke(main, arguments, prog_name="eshet-rules")
        assert done.exit_code == 2
        assert f"`eshet-rules replay FOLDER --rules {folder}`" in done.stderr


@pytest.mark.parametrize("command", ["check", "replay"])
@pytest.mark.parametrize(
    "call",
    ["os._exit(0)", "os.execv('/bin/true', ['true'])", "os.execlp('true', 'true')"],
)
def test_a_module_that_ends_the_process_is_no_success(command, call, folder, tmp_path):
    (folder / "bath.py").write_text(f"import os\n{call}\n")
    options = ["--audit", str(tmp_path / "trail.jsonl"), *TIMES] if command == "replay" else []
    done = subprocess.run(  # noqa: S603
        [sys.executable, "-m", "eshet_rules", command, str(folder), *options],
        capture_output=True,
        text=True,
        timeout=60,
        check=False,
    )
    assert done.returncode == (2 if command == "replay" else 1)
    assert f"{folder / 'bath.py'}:2: error: os." in done.stderr
    assert done.stdout == ""


def test_a_child_process_of_a_rule_may_end_like_this(folder, replay):
    source = """
import os
child = os.fork()
if not child:
    os._exit(7)
assert os.waitstatus_to_exitcode(os.waitpid(child, 0)[1]) == 7
"""
    (folder / "bath.py").write_text(source)
    done = replay()
    assert done.exit_code == 0
    assert times_of_light(done) == ["03"]
    assert os._exit.__module__ == "posix"
