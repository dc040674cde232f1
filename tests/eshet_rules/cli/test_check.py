"""`eshet-rules check`: its lines, tables, JSON and exit codes."""

import asyncio
import json
import threading

import pytest
from click.testing import CliRunner

from eshet.client import Client
from eshet.server import Server
from eshet_rules.cli import main
from tests.support.processes import command

IMPORTS = "from eshet import yarp\nfrom eshet_rules import rule\n\n\n"
RIGHT = """\
@rule
async def light():
    lux = await yarp.state_observe("/hall/lux")
    await yarp.set_value("/hall/lamp", lux == 0)
"""
WARNED = """\
@rule
async def light():
    lux = await yarp.state_observe("/hall/lux")
    dark = lux < 40
"""
WRONG = """\
@rule
async def light():
    yarp.set_value("/hall/lamp", 1)
"""


def check(folder, *options):
    return CliRunner().invoke(main, ["check", str(folder), *options], prog_name="eshet-rules")


@pytest.fixture
def write(tmp_path, monkeypatch):
    monkeypatch.chdir(tmp_path)

    def write(text, name="hall.py"):
        (tmp_path / "rules").mkdir(exist_ok=True)
        (tmp_path / "rules" / name).write_text(IMPORTS + text)

    return write


@pytest.mark.parametrize(
    ("text", "options", "code", "summary"),
    [
        (RIGHT, (), 0, "nothing found"),
        (RIGHT, ("--strict",), 0, "nothing found"),
        (WARNED, (), 0, "1 warning"),
        (WARNED, ("--strict",), 1, "1 warning"),
        (WRONG, (), 1, "1 error"),
        (WRONG + WARNED.replace("light", "other"), (), 1, "1 error, 1 warning"),
    ],
)
def test_the_exit_code_and_the_last_line_say_what_was_found(write, text, options, code, summary):
    write(text)
    result = check("rules", *options)
    assert result.exit_code == code
    rules = "2 rules" if "other" in text else "1 rule"
    assert result.output.splitlines()[-1] == f"checked 1 file with {rules}: {summary}"


def test_a_finding_is_a_line_with_its_place_relative_to_the_current_folder(write):
    write(WARNED)
    assert check("rules").output.splitlines()[0] == (
        "rules/hall.py:8: warning: nothing uses dark, so it has no effect: delete it, or give it "
        'to a sink, such as `await yarp.set_value("/path", value)`; for a callback write '
        "`yarp.on_value(value, function)` [dead-node]"
    )


def test_another_folder_is_shown_with_its_whole_path(write, tmp_path, monkeypatch):
    write(WARNED)
    (tmp_path / "elsewhere").mkdir()
    monkeypatch.chdir(tmp_path / "elsewhere")
    assert check(tmp_path / "rules").output.startswith(f"{tmp_path}/rules/hall.py:8: warning: ")


def test_paths_are_listed_on_demand(write):
    write(RIGHT)
    assert check("rules", "--paths").output.splitlines() == [
        "hall.light",
        "    reads  /hall/lux",
        "    writes /hall/lamp",
        "checked 1 file with 1 rule: nothing found",
    ]


def test_json_is_one_line_with_everything(write, tmp_path):
    write(WRONG)
    result = check("rules", "--json")
    [line] = result.output.splitlines()
    data = json.loads(line)
    assert result.exit_code == 1
    assert data["passed"] is False
    assert data["files"] == 1
    assert data["rules"] == [{"rule": "hall.light", "reads": [], "writes": []}]
    [finding] = data["findings"]
    assert finding == {
        "severity": "error",
        "code": "never-awaited",
        "file": str(tmp_path / "rules" / "hall.py"),
        "line": 7,
        "rule": None,
        "problem": "the call of yarp.set_value does nothing, as it is never awaited",
        "remedy": "write `await` before it",
    }


def test_the_folder_is_rules_or_else_the_current_one(write, tmp_path, monkeypatch):
    write(WARNED)
    run = CliRunner().invoke
    assert run(main, ["check"]).output.startswith("rules/hall.py:8: ")
    monkeypatch.chdir(tmp_path / "rules")
    assert run(main, ["check"]).output.startswith("hall.py:8: ")


def test_a_folder_without_files_or_none_at_all_is_an_error(tmp_path):
    assert check(tmp_path).exit_code == 1
    assert "there is no rule in this folder" in check(tmp_path).stderr
    assert check(tmp_path / "none").exit_code == 2


def test_a_mistake_in_the_configuration_is_reported_and_nothing_is_loaded(write, tmp_path):
    write(WARNED)
    (tmp_path / "rules" / "eshet-rules.toml").write_text("[logs]\n")
    result = check("rules")
    assert result.exit_code == 2
    assert "eshet-rules.toml:1" in result.stderr
    assert result.stdout == ""


def test_a_config_that_is_named_must_exist(write):
    write(RIGHT)
    assert check("rules", "--config", "none.toml").exit_code == 2


def test_against_a_house_all_its_paths_count(write):
    write(RIGHT)
    with house("/hall/lux", "/hall/lamps") as address:
        result = check("rules", "--against", address)
    assert result.exit_code == 0
    assert result.output.splitlines()[0] == (
        "rules/hall.py:8: warning: nothing provides /hall/lamp: did you mean /hall/lamps? "
        "[no-provider]"
    )


def test_a_house_that_does_not_answer_is_an_error(write):
    write(RIGHT)
    with house() as address:
        pass
    result = check("rules", "--against", address)
    assert result.exit_code == 1
    assert address in result.stderr
    assert check("rules", "--against", "a b").exit_code == 2


def test_the_command_ends_although_a_rule_has_left_a_thread(tmp_path):
    (tmp_path / "hall.py").write_text(
        "import threading\nfrom eshet_rules import rule\n\n"
        "threading.Thread(target=threading.Event().wait).start()\n\n\n"
        "@rule\nasync def hall():\n    pass\n"
    )
    done = command("eshet-rules", "check", str(tmp_path))
    assert (done.returncode, done.stderr) == (0, "")
    assert done.stdout == "checked 1 file with 1 rule: nothing found\n"


class house:  # noqa: N801 - it is used as a function
    """A server that listens, in a thread of its own, with states."""

    def __init__(self, *states):
        self._states = states
        self._loop = asyncio.SelectorEventLoop()
        self._begun = threading.Event()

    def __enter__(self):
        self._thread = threading.Thread(target=self._loop.run_until_complete, args=[self._run()])
        self._thread.start()
        self._begun.wait()
        return self._address

    async def _run(self):
        self._end = asyncio.Event()
        async with Server() as server:
            await server.listen("127.0.0.1", 0)
            host, port = server.addresses[0][:2]
            self._address = f"{host}:{port}"
            async with Client(server=server) as client:
                for path in self._states:
                    await client.state_register(path)
                self._begun.set()
                await self._end.wait()

    def __exit__(self, *error):
        self._loop.call_soon_threadsafe(self._end.set)
        self._thread.join()
        self._loop.close()
