import asyncio
import os
import socket
from pathlib import Path

import pytest

from eshet_rules.runner import systemd
from eshet_rules.runner.systemd import Notifier


@pytest.fixture
def listening(tmp_path):
    """The socket on which systemd listens."""
    with socket.socket(socket.AF_UNIX, socket.SOCK_DGRAM) as listening:
        listening.bind(str(tmp_path / "notify"))
        listening.setblocking(False)
        yield listening


@pytest.fixture
def environment(listening):
    return {"NOTIFY_SOCKET": listening.getsockname()}


def heard(listening):
    """Return all notifications received up to now, each as a list of its lines."""
    received = []
    while True:
        try:
            received.append(listening.recv(4096).decode().splitlines())
        except BlockingIOError:
            return received


async def test_systemd_receives_the_state_of_the_service(listening, environment):
    notifier = Notifier(environment)
    notifier.ready("3 running")
    notifier.status("2 running\n1 failed")
    notifier.reloading()
    notifier.stopping()
    now = int(asyncio.get_running_loop().time() * 1_000_000)
    assert heard(listening) == [
        ["READY=1", "STATUS=3 running"],
        ["STATUS=2 running 1 failed"],
        ["RELOADING=1", f"MONOTONIC_USEC={now}"],
        ["STOPPING=1"],
    ]
    notifier.close()


async def test_watchdog_notifications_are_sent_twice_as_often_as_requested(
    listening, environment, advance
):
    environment |= {"WATCHDOG_USEC": "10000000", "WATCHDOG_PID": str(os.getpid())}
    notifier = Notifier(environment)
    keeping = asyncio.create_task(notifier.keep_alive())
    await advance(4.9)
    assert heard(listening) == [["WATCHDOG=1"]]
    await advance(5.2)
    assert heard(listening) == [["WATCHDOG=1"]] * 2
    keeping.cancel()
    notifier.close()


async def test_a_changed_status_is_sent_once(listening, environment, advance):
    notifier = Notifier(environment)
    states = ["2 running", "2 running", "1 failed, 1 running"]
    telling = asyncio.create_task(notifier.report_status(lambda: states.pop(0)))
    await advance(14)
    assert heard(listening) == [["STATUS=2 running"], ["STATUS=1 failed, 1 running"]]
    telling.cancel()
    notifier.close()


@pytest.mark.parametrize(
    "watchdog",
    [{}, {"WATCHDOG_USEC": "x"}, {"WATCHDOG_USEC": "1000000", "WATCHDOG_PID": "1"}],
)
async def test_no_watchdog_notification_is_sent_without_a_valid_request(
    listening, environment, watchdog
):
    notifier = Notifier(environment | watchdog)
    await notifier.keep_alive()
    assert heard(listening) == []
    notifier.close()


async def test_without_systemd_no_socket_is_opened_and_nothing_is_sent(
    listening, environment, monkeypatch
):
    # That of this process counts neither: only the environment that is passed does.
    monkeypatch.setenv("NOTIFY_SOCKET", environment["NOTIFY_SOCKET"])
    opened = []
    monkeypatch.setattr(systemd.socket, "socket", lambda *args: opened.append(args))
    notifier = Notifier({})
    asked = []
    notifier.ready("3 running")
    notifier.status("2 running")
    notifier.reloading()
    await notifier.report_status(lambda: asked.append(1) or "3 running")
    await notifier.keep_alive()
    notifier.stopping()
    notifier.close()
    assert (opened, asked, heard(listening)) == ([], [], [])


def test_a_notification_is_lost_while_the_socket_is_gone_and_the_next_one_arrives(
    listening, environment
):
    notifier = Notifier(environment)
    address = Path(environment["NOTIFY_SOCKET"])
    listening.close()
    notifier.ready("refused")
    address.unlink()
    notifier.status("not found")
    with socket.socket(socket.AF_UNIX, socket.SOCK_DGRAM) as again:
        again.bind(str(address))
        again.setblocking(False)
        notifier.status("3 running")
        assert heard(again) == [["STATUS=3 running"]]
    notifier.close()


def test_a_notification_that_does_not_fit_into_the_queue_is_dropped(listening, environment):
    notifier = Notifier(environment)
    for number in range(1000):  # more than a queue of the system holds
        notifier.status(str(number))
    arrived = heard(listening)
    assert 0 < len(arrived) < 1000
    assert arrived == [[f"STATUS={number}"] for number in range(len(arrived))]
    notifier.status("3 running")
    assert heard(listening) == [["STATUS=3 running"]]
    notifier.close()


@pytest.mark.skipif(not os.path.exists("/proc/net/unix"), reason="Linux has such sockets")  # noqa: PTH110
async def test_a_socket_in_the_abstract_namespace_is_notified():
    with socket.socket(socket.AF_UNIX, socket.SOCK_DGRAM) as listening:
        listening.bind(f"\0eshet-rules-test-{os.getpid()}")
        listening.setblocking(False)
        notifier = Notifier({"NOTIFY_SOCKET": f"@eshet-rules-test-{os.getpid()}"})
        notifier.ready("fine")
        assert heard(listening) == [["READY=1", "STATUS=fine"]]
        notifier.close()
