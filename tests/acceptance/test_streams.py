"""Commands whose input or output is not what they expect, as real processes."""

import subprocess

import pytest

from tests.support.processes import COMMANDS, environment, line, running


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
