"""The `eshet` command, as a user types it."""

import asyncio
import signal
import socket
import subprocess
from collections.abc import Iterator
from pathlib import Path

import pytest

from eshet import Client, ErrorValue
from eshet.sync_client import SyncClient
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
    assert gone.stderr == (
        "eshet: get /hall/light: path_not_found: nothing provides this path; `eshet ls -r` lists "
        "all paths\n"
    )


def _refusal(house: SyncClient, path: str) -> object:
    """Set a path; return why that was refused, None if it was not."""
    try:
        house.set(path, True)
    except ErrorValue as error:
        return error.value
    return None


def test_a_state_can_be_set_as_soon_as_it_is_registered(server: str) -> None:
    with (
        SyncClient(server=server) as house,
        running("eshet", "publish", "/hall/early", "false", server=server),
    ):
        while (why := _refusal(house, "/hall/early")) is not None:
            assert why == "path_not_found"
        assert house.get("/hall/early") is True


def test_a_mistyped_path_gets_the_nearest_ones(server: str) -> None:
    with (
        running("eshet", "publish", "/hall/light", "false", server=server),
        running("eshet", "observe", "/hall/light", server=server) as observer,
    ):
        while line(observer) != "false":
            pass
        for arguments in (["get"], ["set"], ["call"], ["emit"]):
            value = ["true"] if arguments == ["set"] else []
            tried = command("eshet", *arguments, "/hall/lihgt", *value, server=server)
            assert tried.returncode == 1
            assert tried.stderr == (
                f"eshet: {arguments[0]} /hall/lihgt: path_not_found: nothing provides this path; "
                "did you mean /hall/light?\n"
            )


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
    called = command("eshet", "call", "/meta/ls", '"/meta/ls"', server=server)
    assert (called.returncode, called.stdout) == (0, '"action"\n')
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
        (["set", "/light", "on"], """text has double quotes inside the shell's, such as '"on"'"""),
        (["set", "/light"], "Missing argument 'VALUE'"),
        (["--server", "a:b", "ls"], "write HOST or HOST:PORT"),
        (["--server", "host:99999", "ls"], "write HOST or HOST:PORT"),
        (["gte", "/light"], "Did you mean 'get'?"),
        (["serve", "--listen", "nowhere:x"], "write HOST or HOST:PORT"),
        (["serve", "--limit", "client=1"], "there are clients, nodes, path_length"),
        (["serve", "--limit", "clients=0"], "clients is a number above 0, such as clients=20000"),
        (["serve", "--tls-key", "/dev/null"], "go with --tls-cert"),
        (["serve", "--tls-cert", "/nowhere"], "does not exist"),
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


def test_an_address_that_others_can_reach_is_refused_unless_it_is_meant() -> None:
    refused = command("eshet", "serve", "--listen", "0.0.0.0:0")
    assert refused.returncode == 1
    assert "other machines can reach it, and the protocol has no login" in refused.stderr


def test_a_server_can_listen_on_a_unix_socket_alone(tmp_path: Path) -> None:
    path = tmp_path / "eshet"
    with running("eshet", "serve", "--unix", str(path)) as process:
        assert line(process) == f"listening on {path}"
        with socket.socket(socket.AF_UNIX) as client:
            client.connect(str(path))
            client.sendall(b"\x47\x00\x03\x09\x00\x01")
            assert client.recv(7) == b"\x47\x00\x04\x05\x00\x01\xc0"


def test_what_others_say_can_neither_drive_the_terminal_nor_begin_a_line(server: str) -> None:
    async def refuse() -> None:
        raise ValueError("a\x1b[2J\nforged\r\u202e\x9b")

    async def call() -> "subprocess.CompletedProcess[str]":
        async with Client(server=server) as client:
            await client.action_register("/refuse", refuse)
            return await asyncio.to_thread(command, "eshet", "call", "/refuse", server=server)

    asked = asyncio.run(call())
    assert asked.returncode == 1
    assert asked.stderr == "eshet: call /refuse: a\\x1b[2J\\nforged\\r\\u202e\\x9b\n"


def test_the_address_of_a_server_belongs_before_the_command() -> None:
    for arguments in (["ls"], ["bridge", "mqtt"], ["serve"]):
        ran = command("eshet", *arguments, "--server", "house")
        assert (ran.returncode, ran.stdout) == (2, "")
        advice = "Write it before the command: eshet --server ADDRESS ...\n"
        assert ran.stderr.endswith(f"No such option '--server'. {advice}")
    ran = command("eshet", "--server", "nats://house", "serve")
    assert ran.returncode == 2
    assert "--nats nats://HOST to share its tree" in ran.stderr
