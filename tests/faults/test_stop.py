"""The end of a runner whose rules do not want to end: within five seconds, and with 0."""

import contextlib
import json
import os
import signal
import socket
import subprocess
import sys
import textwrap
import time
from pathlib import Path

import pytest

from tests.support.processes import COMMANDS, command, environment, line, running
from tests.support.rules import Folder
from tests.support.runner import runner

BEFORE = """
    import asyncio, signal, threading, time
    from eshet import yarp
    from eshet_rules import rule

    @rule
    async def level():
        await yarp.state_register("/{name}/level", yarp.Value(1))
    """

NOT_ENDING = {
    "does_not_let_itself_be_cancelled": """
    @rule
    async def swallows():
        while True:
            try:
                await asyncio.sleep(3600)
            except asyncio.CancelledError:
                pass

    @rule
    async def cleans_up_for_ever(scope):
        scope.on_dispose(lambda: asyncio.sleep(3600))
    """,
    "leaves_threads": """
    @rule
    async def thread():
        threading.Thread(target=time.sleep, args=(3600,)).start()

    @rule
    async def executor():
        await asyncio.to_thread(time.sleep, 3600)
    """,
    "blocks_when_it_ends": """
    @rule
    async def sleeps(scope):
        scope.on_dispose(lambda: time.sleep(3600))
    """,
    "computes_for_ever_when_it_ends": """
    @rule
    async def computes():
        try:
            await asyncio.sleep(3600)
        finally:
            while True:
                pass
    """,
    "blocks_while_it_runs": """
    @rule
    async def blocks():
        asyncio.get_running_loop().call_later(0.3, time.sleep, 3600)
    """,
}


@pytest.fixture(scope="module")
def server():
    with running("eshet", "serve", "--listen", "127.0.0.1:0") as process:
        yield line(process).split()[-1]


def wait_for(process, event):
    while text := line(process):
        if json.loads(text)["event"] == event:
            return
    raise AssertionError(f"it ended before it said {event!r}")


def test_the_runner_ends_within_five_seconds_whatever_its_rules_do(server, tmp_path):
    with contextlib.ExitStack() as stack:
        runners = {}
        for name, rule in NOT_ENDING.items():
            folder = Folder(tmp_path / name)
            folder.write("hall.py", BEFORE.format(name=name) + rule)
            arguments = ("run", str(folder.path), "--log-format", "json", "--server", server)
            started = running("eshet-rules", *arguments, stderr=subprocess.PIPE)
            runners[name] = stack.enter_context(started)
        for process in runners.values():
            wait_for(process, "runner.started")
        command("eshet", "ls", server=server)  # so that the one that blocks does
        for process in runners.values():
            process.send_signal(signal.SIGTERM)
        ended = {}
        for name, process in runners.items():
            with contextlib.suppress(subprocess.TimeoutExpired):
                ended[name] = process.wait(timeout=8)
        assert ended == dict.fromkeys(NOT_ENDING, 0)
        for name in NOT_ENDING:
            assert command("eshet", "get", f"/{name}/level", server=server).returncode == 1


def test_a_signal_at_any_moment_ends_it_with_zero(server, tmp_path):
    folder = Folder(tmp_path)
    folder.write("hall.py", BEFORE.format(name="any_moment"))
    moments = int(os.environ.get("ESHET_STOPS", "4"))
    codes = []
    for number in range(moments):
        with running("eshet-rules", "run", str(folder.path), server=server) as process:
            # The first lines stand for how far it is; with none read it is still importing.
            for _ in range(1 + number % 3):
                line(process)
            if number % 4 == 3:
                folder.write("hall.py", BEFORE.format(name="any_moment") + f"\n# {number}")
            process.send_signal(signal.SIGTERM)
            codes.append(process.wait(timeout=10))
    assert codes == [0] * moments


AFTER_TERM = [signal.SIGTERM, signal.SIGINT, signal.SIGHUP]


def test_further_signals_until_the_very_end_change_nothing(server, tmp_path):
    folder = Folder(tmp_path)
    folder.write("hall.py", BEFORE.format(name="again"))
    for number in AFTER_TERM:
        with running("eshet-rules", "run", str(folder.path), server=server) as process:
            while "running" not in line(process):
                pass
            process.send_signal(signal.SIGTERM)
            while process.poll() is None:
                process.send_signal(number)
                time.sleep(0.001)  # it ends meanwhile; nothing tells in which moment
            assert process.returncode == 0


def test_a_rule_that_ends_the_runner_by_a_signal_is_in_the_log(server, tmp_path):
    folder = Folder(tmp_path)
    folder.write(
        "hall.py",
        BEFORE.format(name="ending")
        + """
    import _thread

    @rule
    async def ends():
        _thread.interrupt_main()
    """,
    )
    with runner(folder, server) as house:
        assert house.wait_for("runner.stop_requested")["signal"] == "SIGINT"
        assert house.wait() == 0


def test_systemd_is_notified_of_the_start_of_reloads_and_of_the_end(server, tmp_path):
    folder = Folder(tmp_path / "rules")
    folder.write("hall.py", BEFORE.format(name="systemd"))
    with socket.socket(socket.AF_UNIX, socket.SOCK_DGRAM) as listening:
        listening.bind(str(tmp_path / "notify"))
        listening.settimeout(10)
        notified = {"NOTIFY_SOCKET": str(tmp_path / "notify"), "WATCHDOG_USEC": "60000000"}
        with subprocess.Popen(  # noqa: S603
            [str(COMMANDS / "eshet-rules"), "run", str(folder.path)],
            env=environment(server) | notified,
            stdout=subprocess.DEVNULL,
        ) as process:
            told = [_next_of(listening, "READY=1", "WATCHDOG=1") for _ in range(2)]
            assert sorted(told) == [["READY=1", "STATUS=1 running"], ["WATCHDOG=1"]]
            process.send_signal(signal.SIGHUP)
            assert _next_of(listening, "RELOADING=1")[1].startswith("MONOTONIC_USEC=")
            assert _next_of(listening, "READY=1") == ["READY=1", "STATUS=1 running"]
            process.send_signal(signal.SIGTERM)
            assert _next_of(listening, "STOPPING=1") == ["STOPPING=1"]
            assert process.wait(timeout=10) == 0


def _next_of(listening, *first_lines):
    while True:
        told = listening.recv(4096).decode().splitlines()
        if told[0] in first_lines:
            return told


def test_a_hangup_reloads_all_rules_and_the_configuration(server, tmp_path):
    folder = Folder(tmp_path)
    folder.write("hall.py", BEFORE.format(name="hangup"))
    arguments = ("run", str(folder.path), "--log-format", "json", "--no-reload")
    with running("eshet-rules", *arguments, server=server) as process:
        wait_for(process, "runner.started")
        folder.write("hall.py", BEFORE.format(name="hangup").replace("Value(1)", "Value(2)"))
        Path(tmp_path / "eshet-rules.toml").write_text("[rules.hall]\nenabled = true")
        process.send_signal(signal.SIGHUP)
        wait_for(process, "config.reloaded")
        wait_for(process, "control.reload_requested")
        wait_for(process, "module.reloaded")
        assert command("eshet", "get", "/hangup/level", server=server).stdout == "2\n"


def test_the_error_of_a_second_runner_names_the_process_of_the_first(server, tmp_path):
    folder = Folder(tmp_path)
    folder.write("hall.py", BEFORE.format(name="second"))
    with running("eshet-rules", "run", str(folder.path), server=server) as process:
        while "running" not in line(process):
            pass
        second = command("eshet-rules", "run", str(folder.path), server=server)
        assert second.returncode == 1
        assert f"process {process.pid}" in second.stderr
        assert command("eshet", "get", "/second/level", server=server).stdout == "1\n"


def test_once_fails_if_there_is_no_server_at_the_given_address(tmp_path):
    folder = Folder(tmp_path)
    folder.write("hall.py", BEFORE.format(name="once"))
    with socket.create_server(("127.0.0.1", 0)) as closed:
        address = f"127.0.0.1:{closed.getsockname()[1]}"
    done = command("eshet-rules", "run", str(folder.path), "--once", "--server", address)
    assert done.returncode == 1
    assert f"there is no server at {address}; start one" in done.stderr


@pytest.mark.parametrize("nohup", [False, True])
def test_a_runner_ends_with_its_terminal_but_not_under_nohup(tmp_path, nohup):
    folder = Folder(tmp_path / "rules")
    folder.write("hall.py", textwrap.dedent(BEFORE.format(name="hall")))
    leader, terminal = os.openpty()
    log = tmp_path / "log"
    script = "import signal, os, sys\n"  # the tests may run under nohup themselves
    script += f"signal.signal(signal.SIGHUP, signal.{'SIG_IGN' if nohup else 'SIG_DFL'})\n"
    script += "os.close(os.open(sys.argv[1], os.O_RDWR))\nos.execv(sys.argv[2], sys.argv[2:])"
    with running("eshet", "serve", "--listen", "127.0.0.1:0") as server, log.open("w") as output:
        address = line(server).split()[-1]
        process = subprocess.Popen(  # noqa: S603
            [
                sys.executable, "-c", script, os.ttyname(terminal), str(COMMANDS / "eshet-rules"),
                "run", str(folder.path), "--log-format", "json", "--server", address,
                "--state-dir", str(tmp_path / "state"),
            ],
            stdout=output,
            stderr=output,
            stdin=subprocess.DEVNULL,
            start_new_session=True,
            env=environment(address),
        )  # fmt: skip
        try:
            os.close(terminal)
            wait_for_text(log, '"runner.started"')
            process.send_signal(signal.SIGHUP)  # while the terminal is there, that is a reload
            wait_for_text(log, '"module.reloaded"' if not nohup else '"runner.started"')
            os.close(leader)
            if nohup:
                process.send_signal(signal.SIGTERM)
            assert process.wait(timeout=20) == 0
        finally:
            process.kill()
    assert ("runner.terminal_closed" in log.read_text()) is not nohup


def wait_for_text(file, text):
    """Wait until a process has written a text to a file."""
    deadline = time.monotonic() + 20
    while text not in file.read_text():
        assert time.monotonic() < deadline, file.read_text()
        time.sleep(0.02)
