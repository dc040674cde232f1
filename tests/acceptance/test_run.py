"""`eshet-rules run` as a user types it: real processes, on servers and folders of their own."""

import json
import signal
import socket
from contextlib import contextmanager

import pytest

from tests.support.processes import command, line, running
from tests.support.rules import Folder

COUNTER = """
from eshet import yarp
from eshet_rules import rule

@rule
async def level():
    await yarp.state_register("/level", yarp.Value({level}), settable=True)
"""


@pytest.fixture
def folder(tmp_path):
    return Folder(tmp_path)


@pytest.fixture(scope="module")
def server():
    with running("eshet", "serve", "--listen", "127.0.0.1:0") as process:
        yield line(process).split()[-1]


class Runner:
    """A running `eshet-rules run`, and what it says."""

    def __init__(self, process):
        self.process = process

    def wait_for(self, event, **fields):
        """Read on to a record of this event, and return it."""
        while text := line(self.process):
            record = json.loads(text)
            if record["event"] == event and fields.items() <= record.items():
                return record
        raise AssertionError(f"it ended before it said {event!r}")

    def stop(self, number=signal.SIGINT):
        self.process.send_signal(number)
        self.wait_for("runner.stopped")
        return self.process.wait(timeout=10)


@contextmanager
def runner(folder, server, *options):
    arguments = ["run", str(folder.path), "--log-format", "json", *options]
    with running("eshet-rules", *arguments, server=server) as process:
        yield Runner(process)


def get(path, server):
    return command("eshet", "get", path, server=server).stdout.strip()


def test_a_rule_runs_and_a_saved_edit_is_live(folder, server):
    folder.write("hall.py", COUNTER.format(level=1))
    with runner(folder, server) as house:
        first = house.wait_for("module.loaded", module="hall")
        house.wait_for("runner.started")
        assert get("/level", server) == "1"
        folder.write("hall.py", COUNTER.format(level=2))
        second = house.wait_for("module.reloaded", module="hall")
        assert get("/level", server) == "2"
        assert first["version"] != second["version"]
        assert house.stop() == 0


def test_a_broken_edit_keeps_the_old_version_until_it_is_repaired(folder, server):
    folder.write("hall.py", COUNTER.format(level=1))
    with runner(folder, server) as house:
        house.wait_for("runner.started")
        file = folder.write("hall.py", COUNTER.format(level=1) + "light = = 2\n")
        record = house.wait_for("module.import_failed_again")
        assert (record["file"], record["line"]) == (str(file), 8)
        assert record["source"] == "light = = 2"
        assert get("/level", server) == "1"
        folder.write("hall.py", COUNTER.format(level=3))
        house.wait_for("module.reloaded")
        assert get("/level", server) == "3"
        assert house.stop() == 0


def test_an_edit_that_fails_in_set_up_keeps_the_old_version(folder, server):
    folder.write("hall.py", COUNTER.format(level=1))
    with runner(folder, server) as house:
        house.wait_for("runner.started")
        folder.write("hall.py", COUNTER.format(level="1 / 0"))
        failed = house.wait_for("rule.failed", rule="hall.level")
        assert failed["error"] == "ZeroDivisionError: division by zero"
        assert 'hall.py", line 7, in level' in failed["traceback"].splitlines()[1]
        house.wait_for("module.reload_aborted", module="hall")
        assert get("/level", server) == "1"
        assert house.stop() == 0


def test_what_is_set_from_a_second_terminal_arrives(folder, server):
    folder.write("hall.py", COUNTER.format(level=1))
    with runner(folder, server) as house:
        house.wait_for("runner.started")
        assert command("eshet", "set", "/level", "23", server=server).returncode == 0
        assert get("/level", server) == "23"
        assert house.stop() == 0


@pytest.mark.parametrize("number", [signal.SIGINT, signal.SIGTERM])
def test_a_signal_ends_it_with_zero_and_leaves_states_unknown(folder, server, number):
    folder.write("hall.py", COUNTER.format(level=1))
    with runner(folder, server) as house:
        house.wait_for("runner.started")
        assert house.stop(number) == 0
        assert command("eshet", "get", "/level", server=server).returncode == 1


def test_what_is_kept_survives_an_edit_and_a_restart(folder, server):
    kept = COUNTER.replace("import rule", "import keep, rule").replace(
        "yarp.Value(", 'keep("level", '
    )
    folder.write("hall.py", kept.format(level=1))
    with runner(folder, server) as house:
        house.wait_for("runner.started")
        assert command("eshet", "set", "/level", "23", server=server).returncode == 0
        folder.write("hall.py", kept.format(level=2))
        assert house.wait_for("module.state_handed_over", rule="hall.level")["kept"] == ["'level'"]
        house.wait_for("module.reloaded")
        assert get("/level", server) == "23"
        assert house.stop() == 0
    with runner(folder, server) as house:
        assert house.wait_for("runner.started")["kept"] == 1
        assert get("/level", server) == "23"
        assert house.stop() == 0


def test_without_reload_an_edit_changes_nothing(folder, server):
    folder.write("hall.py", COUNTER.format(level=1))
    with runner(folder, server, "--no-reload") as house:
        house.wait_for("runner.started")
        folder.write("hall.py", COUNTER.format(level=2))
        assert get("/level", server) == "1"
        assert house.stop() == 0


@pytest.mark.parametrize(("level", "exit_code"), [("1", 0), ("1 / 0", 1), ("= 1", 1)])
def test_once_loads_and_tells_by_its_exit_code(folder, server, level, exit_code):
    folder.write("hall.py", COUNTER.format(level=level))
    done = command("eshet-rules", "run", str(folder.path), "--once", server=server)
    assert done.returncode == exit_code


def test_the_server_can_be_named_by_an_option(folder, server):
    folder.write("hall.py", COUNTER.format(level=1))
    done = command("eshet-rules", "run", str(folder.path), "--once", "--server", server)
    assert done.returncode == 0
    assert server in done.stdout


def test_machines_are_told_how_the_rules_are_and_of_each_change(folder, server):
    folder.write("hall.py", COUNTER.format(level=1))
    with runner(folder, server, "--name", "machines") as house:
        house.wait_for("runner.started")
        named = ("--runner", "machines")
        with running("eshet-rules", "list", "--watch", "--json", *named, server=server) as watching:
            [rule] = json.loads(line(watching))["rules"]
            assert (rule["rule"], rule["state"]) == ("hall.level", "running")
            assert rule["writes"] == ["/level"]
            command("eshet-rules", "disable", "hall", *named, server=server)
            assert json.loads(line(watching))["rules"][0]["state"] == "disabled"
            folder.write("bath.py", "a = = 1")
            house.wait_for("module.import_failed")
            assert "bath.py:1: SyntaxError" in json.loads(line(watching))["broken"]["bath"]
        done = command("eshet-rules", "list", "--json", *named, server=server)
        assert json.loads(done.stdout)["rules"][0]["why"] == "by command"
        assert house.stop() == 0
    with runner(folder, server, "--name", "machines") as house:
        house.wait_for("runner.started")
        assert command("eshet", "get", "/level", server=server).returncode == 1
        command("eshet-rules", "enable", "hall.level", *named, server=server)
        assert get("/level", server) == "1"
        assert house.stop() == 0


# --- what a user can do wrong -------------------------------------------------------------------


def fails(*arguments, server=""):
    """Run to the end, and return the exit code and the error, which is one line."""
    done = command("eshet-rules", "run", *arguments, server=server)
    assert "Traceback" not in done.stdout + done.stderr
    return done.returncode, done.stderr.splitlines()[-1]


def test_a_folder_that_does_not_exist(tmp_path, server):
    exit_code, error = fails(str(tmp_path / "gone"), server=server)
    assert exit_code == 2
    assert error == (
        f"eshet-rules: {tmp_path}/gone: there is no such folder; name the one with your rules"
    )


def test_a_file_instead_of_a_folder(folder, server):
    file = folder.write("hall.py", "")
    exit_code, error = fails(str(file), server=server)
    assert exit_code == 2
    assert f"this is a file; name its folder, {folder.path}" in error


def test_a_folder_without_rules(folder, server):
    exit_code, error = fails(str(folder.path), server=server)
    assert exit_code == 1
    assert "there is no rule in this folder" in error


def test_an_address_that_is_none(folder):
    exit_code, error = fails(str(folder.path), "--server", "house:port:1")
    assert exit_code == 2
    assert "is not a server address" in error


def test_a_default_port_that_something_else_uses(folder):
    folder.write("hall.py", COUNTER.format(level=1))
    with socket.socket() as other:
        other.setsockopt(socket.SOL_SOCKET, socket.SO_REUSEADDR, 1)
        try:
            other.bind(("127.0.0.1", 11236))
        except OSError:
            pytest.skip("the default port of this machine is in use")
        other.listen()
        exit_code, error = fails(str(folder.path))
    assert exit_code == 1
    assert error.startswith(
        "eshet-rules: 127.0.0.1:11236 is in use by another program, which is not an ESHET"
    )
