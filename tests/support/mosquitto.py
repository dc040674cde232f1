"""A real broker for tests: mosquitto, on a port of its own on this machine only."""

import base64
import contextlib
import hashlib
import os
import shutil
import signal
import socket
import subprocess
from collections.abc import Iterator
from pathlib import Path

import paho.mqtt.publish
import pytest
import trustme

__all__ = ["Mosquitto", "mosquitto"]

# Debian installs servers where the PATH of a user does not lead.
PATH = os.pathsep.join([os.environ.get("PATH", os.defpath), "/usr/sbin", "/usr/local/sbin"])


class Mosquitto:
    """A broker that can be stopped in several ways, and started again on the same port.

    Args:
        program: the executable.
        folder: for its files.
        ca: issues its certificate; None for a broker without TLS.
        users: the passwords of the users; empty to accept everybody.
    """

    def __init__(
        self,
        program: str,
        folder: Path,
        ca: trustme.CA | None = None,
        users: dict[str, str] | None = None,
    ) -> None:
        self._program = program
        self._folder = folder
        self.port = free_port()
        lines = [
            f"listener {self.port} 127.0.0.1",
            f"allow_anonymous {'false' if users else 'true'}",
            "log_dest stderr",
            "log_type error",
            "log_type information",
            "connection_messages false",
        ]
        if os.geteuid() == 0:
            lines.append("user root")  # it could not read its files as another user
        if ca is not None:
            lines += self._certificate_lines(ca)
        if users:
            (folder / "users").write_text("".join(map(user_line, users, users.values())))
            lines.append(f"password_file {folder / 'users'}")
        (folder / "mosquitto.conf").write_text("\n".join(lines) + "\n")
        self._process: subprocess.Popen[str] | None = None

    def start(self) -> None:
        """Start it, and return when it accepts connections."""
        self._process = subprocess.Popen(  # noqa: S603
            [self._program, "-c", str(self._folder / "mosquitto.conf")],
            stderr=subprocess.PIPE,
            text=True,
        )
        assert self._process.stderr is not None
        log = ""
        for line in self._process.stderr:
            log += line
            if line.rstrip().endswith("running"):
                return
        pytest.fail(f"mosquitto did not start:\n{log}")

    def kill(self) -> None:
        """Kill it; does nothing if it does not run. Connections are reset, nothing is stored."""
        process, self._process = self._process, None
        if process is not None:
            process.kill()
            process.communicate()

    def publish_retained(self, topic: str, payload: str) -> None:
        """Publish a retained message as a device does."""
        paho.mqtt.publish.single(
            topic, payload, qos=1, retain=True, hostname="127.0.0.1", port=self.port
        )

    def freeze(self) -> None:
        """Stop its process: connections stay open, and nothing is answered."""
        assert self._process is not None
        self._process.send_signal(signal.SIGSTOP)

    def thaw(self) -> None:
        """Let it go on after `freeze`."""
        assert self._process is not None
        self._process.send_signal(signal.SIGCONT)

    def _certificate_lines(self, ca: trustme.CA) -> list[str]:
        certificate = ca.issue_cert("localhost", "127.0.0.1")
        key, chain = self._folder / "key.pem", self._folder / "chain.pem"
        certificate.private_key_pem.write_to_path(key)
        for blob in certificate.cert_chain_pems:
            blob.write_to_path(chain, append=True)
        return [f"keyfile {key}", f"certfile {chain}"]


@contextlib.contextmanager
def mosquitto(
    folder: Path, ca: trustme.CA | None = None, users: dict[str, str] | None = None
) -> Iterator[Mosquitto]:
    """Run a broker, or skip the test where it is not installed; see `Mosquitto`."""
    program = shutil.which("mosquitto", path=PATH)
    if program is None:
        pytest.skip("mosquitto is not installed")
    folder.mkdir(exist_ok=True)
    broker = Mosquitto(program, folder, ca, users)
    broker.start()
    try:
        yield broker
    finally:
        broker.kill()


def free_port() -> int:
    with socket.socket() as probe:
        probe.bind(("127.0.0.1", 0))
        port: int = probe.getsockname()[1]
    return port


def user_line(user: str, password: str) -> str:
    """Return a line of a password file, in the format of mosquitto_passwd."""
    salt, rounds = b"twelve bytes", 101
    key = hashlib.pbkdf2_hmac("sha512", password.encode(), salt, rounds)
    parts = (base64.b64encode(part).decode() for part in (salt, key))
    return f"{user}:$7${rounds}${'$'.join(parts)}\n"
