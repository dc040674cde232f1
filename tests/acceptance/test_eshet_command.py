"""The `eshet` command, as a user types it."""

import signal
import socket
import subprocess
from collections.abc import Iterator

import pytest

from tests.support.processes import command, line, running


@pytest.fixture(scope="module")
def server() -> Iterator[str]:
    """A server in a process of its own; its address."""
    with running("eshet", "serve", "--listen", "127.0.0.1:0") as process:
        yield line(process).removeprefix("listening on ")


def test_a_state_is_published_observed_set_and_got(server: str) -> None:
    with (
        running("eshet", "publish", "/hall/light", "false", server=server),
        running("eshet", "observe", "/hall/light", server=server) as observer,
    ):
        seen = line(observer)
        if seen == "unknown":
            seen = line(observer)
        assert seen == "false"
        value = '{"level": [1, "ä"]}'
        assert command("eshet", "set", "/hall/light", value, server=server).returncode == 0
        assert line(observer) == '{"level": [1, "ä"]}'
        got = command("eshet", "get", "/hall/light", server=server)
        assert (got.returncode, got.stdout) == (0, '{"level": [1, "ä"]}\n')
        listed = command("eshet", "ls", "-r", "/hall", server=server).stdout.split()
        assert listed == ["state", "/hall/light"]
    gone = command("eshet", "get", "/hall/light", server=server)
    assert (gone.returncode, gone.stdout) == (1, "")
    assert gone.stderr == "eshet: get /hall/light: path_not_found\n"


def test_each_line_of_input_is_the_next_value(server: str) -> None:
    with (
        running("eshet", "publish", "/lux", server=server) as publisher,
        running("eshet", "observe", "/lux", server=server) as observer,
    ):
        assert line(observer) == "unknown"
        assert publisher.stdin is not None
        for value in ("12", '"dim"', "unknown", "null"):
            publisher.stdin.write(value + "\n")
            assert line(observer) == value
        publisher.stdin.close()
        assert line(observer) == "unknown"
        assert publisher.wait(10) == 0


def test_an_event_is_emitted_and_listened_to(server: str) -> None:
    with running("eshet", "listen", "/bell", server=server) as listener:
        while command("eshet", "emit", "/bell", '"ding"', server=server).returncode:
            pass  # it does not listen yet
        assert line(listener) == '"ding"'
        assert command("eshet", "emit", "/bell", server=server).returncode == 0
        assert line(listener) == "null"
        listener.send_signal(signal.SIGINT)
        assert listener.wait(10) == 130


def test_an_action_is_called(server: str) -> None:
    called = command("eshet", "call", "/meta/ls", '"/meta"', server=server)
    assert (called.returncode, called.stdout) == (0, '["dir", [["ls", "action"]]]\n')
    bad = command("eshet", "call", "/meta/ls", "1", server=server)
    assert (bad.returncode, bad.stderr) == (1, "eshet: call /meta/ls: bad_args\n")


def test_no_value_drives_the_terminal(server: str) -> None:
    with running("eshet", "publish", "/s", '"\\u001b[2J\\u009b\\u202e\\n"', server=server):
        while (got := command("eshet", "get", "/s", server=server)).returncode:
            pass  # it is not registered yet
        assert got.stdout == '"\\u001b[2J\\u009b\\u202e\\n"\n'


@pytest.mark.parametrize(
    ("args", "says"),
    [
        (["get", "/hall-way"], "write a slash before each name"),
        (["ls", "hall"], "write a slash before each name"),
        (["set", "/light", "on"], """text has double quotes inside the shell's, as '"on"'"""),
        (["set", "/light"], "Missing argument 'VALUE'"),
        (["--server", "a:b", "ls"], "write HOST or HOST:PORT"),
        (["--server", "host:99999", "ls"], "write HOST or HOST:PORT"),
        (["gte", "/light"], "Did you mean 'get'?"),
        (["serve", "--listen", "nowhere:x"], "write HOST or HOST:PORT"),
    ],
    ids=lambda value: " ".join(value) if isinstance(value, list) else "",
)
def test_wrong_usage_is_exit_code_2_and_says_what_to_write(args: list[str], says: str) -> None:
    asked = command("eshet", *args)
    assert asked.returncode == 2
    assert says in asked.stderr
    assert asked.stdout == ""


def test_a_server_that_is_not_there_is_an_error_that_says_what_to_do() -> None:
    with socket.socket() as unused:
        unused.bind(("127.0.0.1", 0))
        address = f"127.0.0.1:{unused.getsockname()[1]}"
        asked = command("eshet", "get", "/s", server=address)
    assert asked.returncode == 1
    assert asked.stderr == (
        f"eshet: can't connect to {address}: Connection refused. Start one with `eshet serve`, "
        "or name yours with --server or ESHET_SERVER\n"
    )


def test_a_port_in_use_is_an_error_that_says_so(server: str) -> None:
    second = command("eshet", "serve", "--listen", server)
    assert second.returncode == 1
    assert second.stderr == (
        f"eshet: can't listen on {server}: another program listens there; stop it, or choose "
        "another port\n"
    )


@pytest.mark.parametrize("number", [signal.SIGINT, signal.SIGTERM])
def test_a_server_ends_when_it_is_interrupted(number: signal.Signals) -> None:
    with running("eshet", "serve", "--listen", "127.0.0.1:0", stderr=subprocess.PIPE) as process:
        address = line(process).removeprefix("listening on ")
        with running("eshet", "observe", "/s", server=address) as observer:
            assert line(observer) == "unknown"
            process.send_signal(number)
            assert process.wait(10) == 0
