"""A server that is killed and started again, with real processes."""

import signal
import subprocess

from tests.support.processes import command, line, running


def test_observers_see_unknown_once_and_then_the_value_when_a_killed_server_is_back() -> None:
    with running("eshet", "serve", "--listen", "127.0.0.1:0") as first:
        address = line(first).removeprefix("listening on ")
        with (
            running("eshet", "publish", "/target", "21", server=address),
            running("eshet", "observe", "/target", server=address) as observer,
        ):
            while (seen := line(observer)) != "21":
                assert seen == "unknown"
            first.send_signal(signal.SIGKILL)
            first.wait(10)
            assert line(observer) == "unknown"
            with running("eshet", "serve", "--listen", address) as second:
                assert line(second) == f"listening on {address}"
                assert line(observer) == "21"
                assert command("eshet", "set", "/target", "23", server=address).returncode == 0
                assert line(observer) == "23"


def test_who_waits_at_a_shell_is_told_when_the_server_goes_and_comes_back() -> None:
    with running("eshet", "serve", "--listen", "127.0.0.1:0") as first:
        address = line(first).removeprefix("listening on ")
        with running(
            "eshet", "observe", "/target", server=address, stderr=subprocess.STDOUT
        ) as observer:
            assert line(observer) == "unknown"
            first.send_signal(signal.SIGKILL)
            first.wait(10)
            assert line(observer) == f"eshet: {address}: connection ended: the peer closed it"
            with running("eshet", "serve", "--listen", address) as second:
                assert line(second) == f"listening on {address}"
                assert line(observer) == f"eshet: connected to {address}"
