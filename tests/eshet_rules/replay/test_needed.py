"""`eshet-rules why --needed` replays an output without each input from outside that led to it."""

import json
import re
from dataclasses import dataclass
from datetime import UTC, datetime, timedelta
from pathlib import Path

import pytest
from click.testing import CliRunner

from eshet_rules.audit.lines import decode, encode
from eshet_rules.audit.redaction import REDACTED
from eshet_rules.cli import main
from eshet_rules.modules.discovery import version_of
from eshet_rules.reload.version_store import VersionStore
from eshet_rules.runner.state_folder import state_folder
from eshet_rules.testing.house import House

START = datetime(2026, 3, 28, 18, tzinfo=UTC)

HEAD = """
from eshet import yarp
from eshet_rules import rule
"""

HALL = f"""{HEAD}
@rule
async def bright():
    lux = await yarp.state_observe("/hall/lux")
    await yarp.state_register("/hall/dark", yarp.no_repeat(lux < 40))

@rule
async def light():
    motion = await yarp.event_listen("/hall/motion")
    dark = await yarp.state_observe("/hall/dark")
    door = await yarp.state_observe("/door/open")
    wanted = yarp.hold(motion, 120) & (dark | door)
    await yarp.set_value("/hall/lamp", yarp.no_repeat(wanted))
"""

DRIVES = f"""{HEAD}

@rule
async def drives():
    await yarp.drive("/lamp", yarp.Value(7), override="2h")
"""

LOCK = f"""import os
{HEAD}
@rule
async def lock(config):
    def checked(each):
        if os.environ["BROKEN"]:
            raise ValueError(f"wrong {{config.pin}}")
        return each

    await yarp.state_register("/b", yarp.fn(checked)(await yarp.state_observe("/a")))
"""

NOT_NEEDED = "not needed: the same without it"


@dataclass
class Asking:
    """A folder with rules and the trail of a day, about which `why --needed` is asked."""

    place: Path

    @property
    def folder(self) -> Path:
        """The rules folder."""
        return self.place / "rules"

    @property
    def trail(self) -> Path:
        """The trail."""
        return self.place / "trail.jsonl"

    @property
    def store(self) -> VersionStore:
        """The kept versions."""
        return VersionStore(state_folder(self.place / "state", self.folder) / "versions")

    def write(self, name, text):
        """Save a module, or another file."""
        (self.folder / name).write_text(text)

    def keep(self, name, text, since=START):
        """Keep a version of a module."""
        self.store.add(name, version_of(text.encode()), text.encode(), since)

    def live(self, day, changed=lambda record: record):
        """Let a day pass, and write its trail."""
        with House([self.folder], START, zone=None) as house:
            house.run(day(house))
            self.end = house.now
            records = [each.record for each in house.happenings.all]
        lines = [encode(each) for each in records if isinstance(each, dict) or each.module]
        self.trail.write_bytes(b"".join(encode(changed(decode(each))) for each in lines))

    def why(self, path, *options, at=None, needed=True):
        """Return the result of the command, for the end of the day."""
        moment = at or self.end + timedelta(minutes=1)
        where = ["--rules", str(self.folder), "--audit", str(self.trail)]
        where += ["--state-dir", str(self.place / "state"), "--at", moment.isoformat()]
        command = ["why", path, *where, *(["--needed"] if needed else []), *options]
        return CliRunner().invoke(main, command, prog_name="eshet-rules")


@pytest.fixture
def asking(tmp_path):
    (tmp_path / "rules").mkdir()
    return Asking(tmp_path)


async def evening(house):
    """It gets dark and the door opens: each of them would do for the light."""
    lux = house.device("/hall/lux", 80, settable=False)
    door = house.device("/door/open", False, settable=False)
    house.device("/hall/lamp", False)
    await house.load("hall.py")
    await house.advance(minutes=10)
    await lux.report(20)
    await house.advance(minutes=10)
    await door.report(True)
    await house.advance(minutes=10)
    await house.emit("/hall/motion", "cat")
    await house.advance(1)


def marks(result):
    """Return the marks of inputs, by their paths; None of an input without one."""
    found = {}
    for line in result.stdout.splitlines()[1:]:
        text, _, mark = line.partition("  <- ")
        if path := re.match(r" +(/\S+) (?:=|emitted|was)", text):
            found[path[1]] = mark or None
    return found


EXPECTED = {
    "/door/open": NOT_NEEDED,
    "/hall/dark": None,
    "/hall/lux": f"changed, {NOT_NEEDED}",
    "/hall/motion": "changed, needed",
}


@pytest.fixture
def at_night(asking):
    asking.write("hall.py", HALL)
    asking.live(evening)
    return asking


def test_inputs_of_which_another_one_would_do_are_not_needed(at_night):
    result = at_night.why("/hall/lamp")
    assert marks(result) == EXPECTED
    assert (result.exit_code, result.stderr) == (0, "")
    assert "<- needed" not in at_night.why("/hall/lamp", needed=False).stdout


def test_an_input_is_needed_if_the_others_do_not_do_without_it(asking):
    asking.write("hall.py", HALL.replace("dark | door", "dark & door"))
    asking.live(evening)
    assert marks(asking.why("/hall/lamp")) == {
        "/door/open": "needed",
        "/hall/dark": None,
        "/hall/lux": "changed, needed",
        "/hall/motion": "changed, needed",
    }


def test_the_same_output_at_another_time_is_not_the_same(asking):
    """Without the first emission, the second one would have led to it, a moment later."""

    async def day(house):
        await evening(house)
        await house.advance(minutes=10)
        await house.emit("/hall/motion", "dog")
        await house.advance(0.2)
        await house.emit("/hall/motion", "cat")
        await house.advance(1)

    asking.write("hall.py", HALL)
    asking.live(day)
    result = asking.why("/hall/lamp")
    assert "/hall/motion emitted 'dog'" in result.stdout
    assert marks(result)["/hall/motion"] == "changed, needed"


def test_json_has_the_marks(at_night):
    result = at_night.why("/hall/lamp", "--json")
    tree = json.loads(result.stdout)
    inputs = {each["name"]: each["explanation"] for each in tree["inputs"]}
    assert tree["needed"] is None
    assert inputs["/hall/motion"]["needed"] is True
    assert inputs["/door/open"]["needed"] is False
    assert inputs["/hall/dark"]["needed"] is None
    assert inputs["/hall/dark"]["inputs"][0]["explanation"]["needed"] is False


def test_an_earlier_output_is_replayed_up_to_its_time(asking):
    async def day(house):
        await evening(house)
        asking.then = house.now
        await house.advance(hours=5)
        await house.emit("/hall/motion", "dog")

    asking.write("hall.py", HALL)
    asking.live(day)
    result = asking.why("/hall/lamp", at=asking.then)
    assert "emitted 'cat'" in result.stdout
    assert marks(result) == EXPECTED


def test_an_input_of_several_modules_is_left_out_for_all(asking):
    asking.write("hall.py", HALL)
    asking.write("also.py", HALL.replace("/hall/dark", "/also/dark").replace("/hall/lamp", "/x"))

    async def day(house):
        house.device("/x", False)
        await house.load("also.py")
        await evening(house)

    asking.live(day)
    assert marks(asking.why("/hall/lamp")) == EXPECTED


def test_values_from_before_the_start_have_no_mark(asking):
    async def day(house):
        house.device("/hall/lux", 20, settable=False)
        house.device("/door/open", False, settable=False)
        house.device("/hall/lamp", False)
        await house.load("hall.py")
        await house.advance(2)
        await house.emit("/hall/motion", "cat")

    asking.write("hall.py", HALL)
    asking.live(day)
    result = asking.why("/hall/lamp")
    assert marks(result) == {
        "/door/open": None,
        "/hall/dark": None,
        "/hall/lux": None,
        "/hall/motion": "changed, needed",
    }
    assert result.exit_code == 0


def test_without_an_input_from_outside_nothing_is_replayed(asking):
    async def day(house):
        await house.load("clock.py")
        await house.advance(90)

    now = "yarp.fn(lambda now: now.minute)(yarp.now(60))"
    text = f'{HEAD}\n@rule\nasync def clock():\n    await yarp.state_register("/minute", {now})\n'
    asking.write("clock.py", text)
    asking.live(day)
    asking.write("clock.py", "")
    result = asking.why("/minute")
    assert result.exit_code == 0
    assert "no named input from outside changed in the replayed time" in result.stderr


def test_what_has_started_a_timer_is_needed_even_if_it_has_changed_since(asking):
    async def day(house):
        door = house.device("/door", False, settable=False)
        await house.load("later.py")
        await house.advance(10)
        await door.report(True)
        await house.advance(6)
        await door.report(False)
        await house.advance(5)

    later = 'yarp.delay(await yarp.state_observe("/door"), 10)'
    text = f'{HEAD}\n@rule\nasync def later():\n    await yarp.state_register("/later", {later})\n'
    asking.write("later.py", text)
    asking.live(day)
    result = asking.why("/later")
    assert "10 s after state /door  <- needed\n" in result.stdout
    assert marks(result) == {"/door": NOT_NEEDED}
    content = json.loads(asking.why("/later", "--json").stdout)
    assert (content["needed"], content["started_by"]["value"]) == (True, True)


def test_what_a_person_has_set_is_an_input(asking):
    target = 'target = yarp.Value(21)\n    await yarp.state_register("/t", target, settable=True)'
    asking.write("heat.py", f"{HEAD}\n@rule\nasync def heat():\n    {target}\n")

    async def day(house):
        await house.load("heat.py")
        await house.advance(10)
        await house.set("/t", 19)

    asking.live(day)
    result = asking.why("/t")
    assert "  because of set /t  <- needed\n" in result.stdout


def test_the_number_of_replays_is_limited(at_night, monkeypatch):
    monkeypatch.setattr("eshet_rules.replay.needed.MOST_INPUTS", 2)
    result = at_night.why("/hall/lamp")
    assert marks(result) == {**EXPECTED, "/door/open": None}
    assert "eshet-rules: 2 inputs were left out, and 1 more were not\n" in result.stderr


def test_a_value_from_outside_has_nothing_to_replay(at_night):
    result = at_night.why("/hall/lux")
    assert "/hall/lux has its value from outside: no input of a rule was needed" in result.stderr
    assert result.exit_code == 0
    assert at_night.why("/nothing").exit_code == 1


class TestVersions:
    """The versions that made the output are replayed."""

    def test_a_kept_version_is_used_in_place_of_a_changed_file(self, at_night):
        at_night.keep("hall", HALL)
        at_night.write("hall.py", HALL.replace("dark | door", "dark"))
        assert marks(at_night.why("/hall/lamp")) == EXPECTED
        (at_night.folder / "hall.py").unlink()
        assert marks(at_night.why("/hall/lamp")) == EXPECTED

    def test_a_version_that_is_not_kept_is_named(self, at_night):
        at_night.write("hall.py", HALL.replace("dark | door", "dark"))
        result = at_night.why("/hall/lamp")
        version = version_of(HALL.encode())
        assert f"the version {version} of hall is neither in {at_night.folder}" in result.stderr
        assert "with --rules, and the trail with --audit" in result.stderr
        assert result.exit_code == 1
        assert result.stdout == at_night.why("/hall/lamp", needed=False).stdout

    def test_a_module_that_came_later_is_left_out(self, at_night):
        """It would set the lamp as well, whatever the first module does."""
        at_night.write("later.py", HALL.replace("hold(motion, 120) & (dark | door)", "not_(dark)"))
        at_night.keep("hall", HALL)
        at_night.keep("later", "", START + timedelta(days=1))
        assert marks(at_night.why("/hall/lamp")) == EXPECTED

    def test_a_helper_has_the_version_of_that_time(self, asking):
        helper = "LIMIT = 40\n"
        asking.write("hall.py", "from _limits import LIMIT\n" + HALL.replace("40", "LIMIT"))
        asking.write("_limits.py", helper)
        asking.live(evening)
        asking.keep("_limits", helper, START)
        asking.keep("_limits", "LIMIT = 1\n", START + timedelta(days=1))
        asking.write("_limits.py", "LIMIT = 1\n")
        assert marks(asking.why("/hall/lamp")) == EXPECTED


class TestNotReplayed:
    """The output can't be made again: the explanation is printed, and the reason."""

    def test_a_rule_that_reads_something_else(self, asking, monkeypatch):
        monkeypatch.setenv("NUMBER", "1")
        read = 'yarp.fn(lambda each: (each, os.environ["NUMBER"]))'
        text = f'{HEAD}\n@rule\nasync def reads():\n    a = await yarp.state_observe("/a")\n'
        asking.write(
            "reads.py", f'import os\n{text}    await yarp.state_register("/b", {read}(a))\n'
        )

        async def day(house):
            a = house.device("/a", 1, settable=False)
            await house.load("reads.py")
            await house.advance(10)
            await a.report(2)

        asking.live(day)
        assert marks(asking.why("/b")) == {"/a": "changed, needed"}
        monkeypatch.setenv("NUMBER", "2")
        result = asking.why("/b")
        assert result.exit_code == 1
        assert marks(result) == {"/a": "changed"}
        assert "the replay does not make the output to /b again" in result.stderr
        command = f"`eshet-rules replay {asking.folder} --diff --from 2026-03-2"
        assert command in result.stderr

    def test_an_error_of_a_rule_is_a_reason_without_its_secrets(self, asking, monkeypatch):
        configuration = '[log]\nredact = ["pin"]\n[rules."lock.*"]\nparameters = {pin = "471199"}\n'
        asking.write("eshet-rules.toml", configuration)
        asking.write("lock.py", LOCK)

        async def day(house):
            a = house.device("/a", 1, settable=False)
            await house.load("lock.py")
            await house.advance(10)
            await a.report(2)

        monkeypatch.setenv("BROKEN", "")
        asking.live(day)
        assert marks(asking.why("/b")) == {"/a": "changed, needed"}
        monkeypatch.setenv("BROKEN", "yes")
        result = asking.why("/b")
        assert result.exit_code == 1
        assert "ValueError: wrong [redacted]" in result.stderr
        assert "471199" not in result.output

    def test_an_error_of_a_rule_that_has_nothing_to_do_with_it_is_no_reason(self, asking):
        asking.write("lock.py", LOCK)
        asking.write("hall.py", HALL)

        async def day(house):
            await evening(house)
            await house.load("lock.py")

        with pytest.MonkeyPatch.context() as monkeypatch:
            monkeypatch.setenv("BROKEN", "")
            asking.live(day)
            monkeypatch.setenv("BROKEN", "yes")
            asking.write("eshet-rules.toml", '[rules."hall.light"]\nenabled = false\n')
            result = asking.why("/hall/lamp")
        assert "the replay does not make the output to /hall/lamp again" in result.stderr
        assert "lock" not in result.stderr

    def test_an_output_to_which_a_command_has_led(self, asking):
        asking.write("drives.py", DRIVES)

        async def day(house):
            house.device("/lamp", 0)
            await house.load("drives.py")
            await house.set("/lamp", 30)
            await house.release("/lamp")

        asking.live(day)
        result = asking.why("/lamp")
        assert result.exit_code == 1
        assert "  because of command release\n" in result.stdout
        assert "command release has led to the output to /lamp. A replay repeats" in result.stderr

    def test_a_rule_that_is_disabled_now_by_the_configuration(self, at_night):
        at_night.write("eshet-rules.toml", '[rules."hall.light"]\nenabled = false\n')
        result = at_night.why("/hall/lamp")
        assert "the replay does not make the output to /hall/lamp again" in result.stderr

    def test_a_configuration_with_mistakes(self, at_night):
        at_night.write("eshet-rules.toml", "[rules\n")
        result = at_night.why("/hall/lamp")
        assert (result.exit_code, "eshet-rules.toml:" in result.stderr) == (1, True)

    def test_an_output_of_a_set_up(self, asking):
        async def day(house):
            house.device("/hall/lux", 20, settable=False)
            await house.load("hall.py")
            await house.advance(10)

        asking.write("hall.py", HALL)
        asking.live(day)
        result = asking.why("/hall/dark")
        assert result.exit_code == 1
        assert "hall.bright made the output to /hall/dark in its set-up" in result.stderr

    def test_an_output_of_an_earlier_run(self, at_night):
        """The runner was restarted within the second after it."""
        started = {"level": "info", "event": "runner.started", "modules": 1, "folder": "/rules"}
        moment = f"{at_night.end - timedelta(seconds=0.5):%Y-%m-%dT%H:%M:%S.%fZ}"
        records = [
            {"time": moment, **started},
            {**decode(at_night.trail.read_bytes().splitlines()[-1]), "time": moment, "path": "/x"},
        ]
        with at_night.trail.open("ab") as file:
            file.writelines(map(encode, records))
        result = at_night.why("/hall/lamp")
        assert result.exit_code == 1
        assert "is not in the last run of the runner in" in result.stderr

    def test_without_a_trail_there_is_no_explanation(self, asking):
        asking.end = START
        result = asking.why("/hall/lamp")
        assert result.exit_code == 1
        assert "trail.jsonl does not exist" in result.stderr


def test_the_replay_begins_earlier_if_the_output_needs_that(asking):
    counts = 'yarp.count(await yarp.event_listen("/button"))'
    text = f'{HEAD}\n@rule\nasync def count():\n    await yarp.state_register("/n", {counts})\n'
    asking.write("count.py", text)

    async def day(house):
        await house.load("count.py")
        await house.emit("/button", "first")
        await house.advance(days=2)
        await house.emit("/button", "second")

    asking.live(day)
    assert marks(asking.why("/n")) == {"/button": "changed, needed"}


def test_damage_anywhere_in_the_replayed_time_is_reported(at_night):
    lines = at_night.trail.read_bytes().splitlines(keepends=True)
    at_night.trail.write_bytes(b"".join([lines[0], b"damaged\n", *lines[1:]]))
    assert at_night.why("/hall/lamp", needed=False).exit_code == 0
    result = at_night.why("/hall/lamp")
    assert marks(result) == EXPECTED
    assert (result.exit_code, result.stderr.count("it has damaged lines")) == (3, 1)


def test_damage_that_two_readers_meet_is_reported_once(at_night):
    lines = at_night.trail.read_bytes().splitlines(keepends=True)
    door = next(n for n, each in enumerate(lines) if b'"path":"/door/open","value":false' in each)
    lines[door] = lines[door].replace(b'"value":false', b'"value":true ')
    at_night.trail.write_bytes(b"".join(lines))
    assert "it has damaged lines" in at_night.why("/hall/lamp", needed=False).stderr
    result = at_night.why("/hall/lamp")
    assert (result.exit_code, result.stderr.count("it has damaged lines")) == (3, 1)


def test_secret_values_stay_secret(asking):
    asking.write("eshet-rules.toml", '[log]\nredact = ["/alarm/*"]\n')
    text = f'{HEAD}\n@rule\nasync def alarm():\n    code = await yarp.event_listen("/alarm/code")\n'
    level = 'yarp.fn(lambda each: f"secret {each}")(yarp.latest(code))'
    asking.write("alarm.py", f'{text}    await yarp.state_register("/alarm/level", {level})\n')

    async def day(house):
        await house.load("alarm.py")
        await house.advance(10)
        await house.emit("/alarm/code", "471199")

    def redacted(record):
        if record.get("inputs"):
            record["inputs"] = dict.fromkeys(record["inputs"], REDACTED)
        return record | ({"value": REDACTED} if record.get("path") else {})

    asking.live(day, redacted)
    assert b"471199" not in asking.trail.read_bytes()
    for options in ([], ["--json"]):
        result = asking.why("/alarm/level", *options)
        assert result.exit_code == 0
        assert "secret" not in result.output
    assert marks(asking.why("/alarm/level")) == {"/alarm/code": "changed, needed"}
