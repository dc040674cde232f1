"""More connections than file descriptors: others work on, and the log stays short."""

import contextlib
import resource
import socket
import subprocess
import sys
from collections.abc import Iterator
from pathlib import Path

import pytest

from eshet.sync_client import SyncClient
from tests.support.processes import environment, line

LIMIT = 128

SERVE = """
import asyncio, contextlib, logging, sys
from eshet import Client
from eshet.server import Server

async def serve():
    async with Server() as server, Client(server=server) as client:
        def open_files():
            with contextlib.ExitStack() as stack:
                for _ in range(10):
                    stack.enter_context(open("/dev/null"))
            return "opened"

        await client.action_register("/open_files", open_files)
        await server.listen(port=0)
        print("%s:%d" % server.addresses[0], flush=True)
        await asyncio.to_thread(sys.stdin.read)

logging.basicConfig(level=logging.WARNING, format="%(message)s")
if sys.argv[1] == "uvloop":
    import uvloop
    uvloop.run(serve())
else:
    asyncio.run(serve())
"""


@contextlib.contextmanager
def limited(soft: int, hard: int, *command: str, log: Path) -> Iterator[subprocess.Popen[str]]:
    """Run a command with so many file descriptors."""
    limits = (soft, hard)
    with log.open("w") as stderr:
        process = subprocess.Popen(  # noqa: S603 - the project's own commands
            command,
            stdin=subprocess.PIPE,
            stdout=subprocess.PIPE,
            stderr=stderr,
            text=True,
            env=environment(""),
            preexec_fn=lambda: resource.setrlimit(resource.RLIMIT_NOFILE, limits),
        )
        with process:
            try:
                yield process
            finally:
                process.kill()


def crowd(address: str, count: int) -> list[socket.socket]:
    host, _, port = address.rpartition(":")
    sockets = []
    for _ in range(count):
        one = socket.create_connection((host, int(port)))
        one.setblocking(False)
        sockets.append(one)
    return sockets


@pytest.mark.parametrize("loop", ["asyncio", "uvloop"])
def test_more_connections_than_descriptors_disturb_nobody_who_is_there(
    loop: str, tmp_path: Path
) -> None:
    if loop == "uvloop":
        pytest.importorskip("uvloop")
    log = tmp_path / "log"
    with limited(LIMIT, LIMIT, sys.executable, "-c", SERVE, loop, log=log) as process:
        address = line(process)
        with SyncClient(server=address) as client:
            sockets = crowd(address, 2 * LIMIT)
            for _ in range(200):
                assert client.action_call("/open_files") == "opened"
            for one in sockets:
                one.close()
            with SyncClient(server=address) as later:  # accepted again
                assert later.action_call("/open_files") == "opened"
        lines = log.read_text().splitlines()
        assert len(lines) == 1, lines
        assert "no connections are accepted for now: too many open files" in lines[0]
        assert f"the limit is {LIMIT} open files" in lines[0]


def test_the_command_raises_its_limit_to_what_the_system_allows(tmp_path: Path) -> None:
    command = [str(Path(sys.executable).parent / "eshet"), "serve", "--listen", "127.0.0.1:0"]
    with limited(LIMIT, 4 * LIMIT, *command, log=tmp_path / "log") as process:
        address = line(process).removeprefix("listening on ")
        assert f"Max open files            {4 * LIMIT}" in limits_of(process.pid)
        sockets = crowd(address, 2 * LIMIT)
        with SyncClient(server=address) as client:
            assert client.action_call("/meta/stats")["clients"] == 1
        for one in sockets:
            one.close()


def limits_of(pid: int) -> str:
    return Path(f"/proc/{pid}/limits").read_text()
