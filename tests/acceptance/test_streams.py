"""What goes into commands and comes out of them, as real processes."""

import asyncio
import subprocess

import pytest

from eshet import Client
from tests.support.processes import COMMANDS, command, environment, line, running


@pytest.fixture(scope="module")
def server():
    with running("eshet", "serve", "--listen", "127.0.0.1:0") as process:
        yield line(process).removeprefix("listening on ")


def in_shell(text, server, cwd):
    return subprocess.run(  # noqa: S603 - the project's own commands
        ["/bin/sh", "-c", f"{COMMANDS}/{text}"],
        capture_output=True,
        text=True,
        timeout=30,
        check=False,
        env=environment(server),
        cwd=cwd,
    )


@pytest.mark.parametrize(
    "text",
    ["eshet ls -r /", "eshet observe /none", "eshet-rules init", "eshet-rules --help"],
)
def test_what_can_not_be_written_is_told_in_a_line(text, server, tmp_path):
    ended = in_shell(f"{text} >/dev/full", server, tmp_path)
    assert ended.returncode == 1
    name = text.partition(" ")[0]
    assert ended.stderr == f"{name}: can't write to standard output: No space left on device\n"


@pytest.mark.parametrize(
    ("text", "code"),
    [
        ("eshet ls -r / >&-", 0),
        ("eshet publish /none <&-", 0),
        ("eshet get /none >&- 2>&- <&-", 1),
        ("eshet-rules run --once >&-", 0),
        ("eshet-rules run --once >&- 2>&- <&-", 0),
    ],
)
def test_streams_that_are_closed_are_as_good_as_empty(text, code, server, tmp_path):
    (tmp_path / "hall.py").write_text("async def main(): ...\n")
    ended = in_shell(text, server, tmp_path)
    assert ended.returncode == code
    assert ended.stderr == ""


EVIL = "a\x1b[2J\nforged\r\u202e\x9b"
HARMLESS = r"a\x1b[2J\nforged\r\u202e\x9b"


def refuse(*_):
    raise ValueError(EVIL)


@pytest.mark.parametrize(
    ("arguments", "code", "says"),
    [
        (["reload", "hall"], 1, f"eshet-rules: {HARMLESS}\n"),
        (["disable", "hall"], 0, f"disabled {HARMLESS}\n"),
    ],
)
def test_what_a_runner_says_can_not_drive_the_terminal(server, arguments, code, says):
    async def tell():
        base = "/eshet_rules/evil"
        async with Client(server=server) as client:
            await client.action_register(f"{base}/list", lambda _: None)
            await client.action_register(f"{base}/reload", refuse)
            await client.action_register(f"{base}/disable", lambda _: [EVIL])
            return await asyncio.to_thread(command, "eshet-rules", *arguments, server=server)

    told = asyncio.run(tell())
    assert (told.returncode, told.stdout + told.stderr) == (code, says)
