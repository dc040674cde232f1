"""The commands and the JavaScript on the page about the gateway print what it shows."""

import os
import re
import shutil
import subprocess
from collections.abc import Iterator
from pathlib import Path
from typing import NamedTuple

import pytest

from tests.support.processes import command, line, running

PAGE = Path(__file__).parents[2] / "docs" / "howto" / "gateway.md"
_BLOCK = re.compile(r"^<!-- run -->\n```(\w+)\n(.*?)^```$", re.MULTILINE | re.DOTALL)
_COMMAND = re.compile(r"^\$ (.*)\n((?:(?!\$ ).*\n)*)", re.MULTILINE)


class House(NamedTuple):
    """A server with a gateway, as on the page."""

    host: str
    token: str
    address: str

    def run(self, typed: str) -> "subprocess.Popen[str]":
        return subprocess.Popen(  # noqa: S603 - the project's own page
            ["/bin/sh", "-c", "exec " + typed.replace("localhost:11237", self.host)],
            stdout=subprocess.PIPE,
            stderr=subprocess.DEVNULL,
            text=True,
            env={"PATH": os.environ["PATH"], "TOKEN": self.token},
        )


@pytest.fixture(scope="module")
def house(tmp_path_factory: pytest.TempPathFactory) -> Iterator[House]:
    tokens = str(tmp_path_factory.mktemp("gateway") / "tokens.json")
    token = command("eshet", "token", tokens, "--act", "--name", "phone").stdout.strip()
    options = ("--listen", "127.0.0.1:0", "--http", "127.0.0.1:0", "--http-tokens", tokens)
    with running("eshet", "serve", *options) as serving:
        address = line(serving).removeprefix("listening on ")
        host = line(serving).removeprefix("gateway on http://")
        with (
            running("eshet", "publish", "/hall/light", server=address) as light,
            running("eshet", "listen", "/bell", server=address),
        ):
            assert light.stdin is not None
            light.stdin.write("false\n")
            light.stdin.flush()
            for path in ("/hall/light", "/bell"):
                while command("eshet", "ls", path, server=address).returncode:
                    pass
            while command("eshet", "get", "/hall/light", server=address).returncode:
                pass
            yield House(host, token, address)


def shows_blocks(kind: str) -> list[str]:
    return [text for language, text in _BLOCK.findall(PAGE.read_text()) if language == kind]


@pytest.mark.skipif(shutil.which("curl") is None, reason="there is no curl")
def test_curl_prints_what_the_page_shows(house: House) -> None:
    for block in shows_blocks("console"):
        commands = _COMMAND.findall(block)
        assert commands
        for typed, shown in commands:
            with house.run(typed.replace("curl ", "curl -s ")) as ran:
                assert ran.stdout is not None
                if "/events" in typed:
                    printed = "".join(ran.stdout.readline() for _ in shown.splitlines())
                    ran.kill()
                else:
                    printed = ran.stdout.read() + "\n"
            assert printed == shown, typed


def _node() -> str:
    """Return the command that runs a script with WebSockets; empty if there is none."""
    node = shutil.which("node")
    if node is None:
        return ""
    version = subprocess.run([node, "--version"], capture_output=True, text=True, check=False)  # noqa: S603
    major = int(version.stdout.lstrip("v").partition(".")[0])
    if major < 20:
        return ""
    return "node" if major >= 22 else "node --experimental-websocket"


@pytest.mark.skipif(not _node(), reason="there is no node with WebSockets")
def test_the_javascript_shows_the_changes(house: House, tmp_path: Path) -> None:
    [script] = shows_blocks("js")
    file = tmp_path / "light.js"
    file.write_text(script.replace("localhost:11237", house.host))
    assert command("eshet", "set", "/hall/light", "5", server=house.address).returncode == 0
    with house.run(f"{_node()} {file}") as ran:
        assert ran.stdout is not None
        assert ran.stdout.readline() == "/hall/light 5\n"
        assert command("eshet", "set", "/hall/light", "[1]", server=house.address).returncode == 0
        assert ran.stdout.readline() == "/hall/light [1]\n"
        ran.kill()
