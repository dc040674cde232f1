"""`eshet serve --http` and `eshet token`."""

import json
import stat
import subprocess
import sys
import urllib.error
import urllib.request
from collections.abc import Iterator
from contextlib import contextmanager
from pathlib import Path
from typing import Any

import pytest

from tests.support.processes import command, line, running

SERVE = ("eshet", "serve", "--listen", "127.0.0.1:0", "--http", "127.0.0.1:0")


@contextmanager
def serving(*options: str) -> Iterator[tuple[str, str]]:
    """Run a server with a gateway, and return the address of one and the URL of the other."""
    with running(*SERVE, *options) as process:
        address = line(process).removeprefix("listening on ")
        url = line(process).removeprefix("gateway on ")
        yield address, url


def request(url: str, token: str = "", body: Any = None) -> tuple[int, Any]:
    headers = {"Authorization": f"Bearer {token}"} if token else {}
    data = None if body is None else json.dumps(body).encode()
    if data is not None:
        headers["Content-Type"] = "application/json"
    sent = urllib.request.Request(url, data, headers)  # noqa: S310 - loopback
    try:
        with urllib.request.urlopen(sent, timeout=20) as answer:  # noqa: S310
            return answer.status, json.load(answer)
    except urllib.error.HTTPError as error:
        with error:
            return error.code, json.load(error)


def test_the_start_says_where_the_server_and_its_gateway_are_and_nothing_else() -> None:
    with running(*SERVE, stderr=subprocess.STDOUT) as process:
        assert line(process).startswith("listening on 127.0.0.1:")
        assert line(process).startswith("gateway on http://127.0.0.1:")


def test_a_gateway_gets_and_sets(tmp_path: Path) -> None:
    file = tmp_path / "tokens.json"
    made = command("eshet", "token", str(file), "--act", "--name", "phone")
    token = made.stdout.strip()
    assert made.returncode == 0
    assert token not in file.read_text()
    assert stat.S_IMODE(file.stat().st_mode) == 0o600
    with (
        serving("--http-tokens", str(file)) as (address, url),
        running("eshet", "publish", "/light", "5", server=address) as publishing,
    ):
        while request(f"{url}/get/light")[0] != 200:
            assert publishing.poll() is None
        assert request(f"{url}/get/light") == (200, 5)
        assert request(f"{url}/set/light", body=6)[0] == 401
        assert request(f"{url}/set/light", token, 6) == (200, None)
        assert request(f"{url}/get/light") == (200, 6)
        assert command("eshet", "token", str(file), "--remove", "phone").returncode == 0
        assert request(f"{url}/set/light", token, 7)[0] == 401


def test_tokens_are_listed_without_their_texts(tmp_path: Path) -> None:
    file = str(tmp_path / "tokens.json")
    tokens = [command("eshet", "token", file, "--name", name).stdout.strip() for name in "ab"]
    listed = command("eshet", "token", file).stdout
    assert [row.split()[0::2] for row in listed.splitlines()] == [["read", "a"], ["read", "b"]]
    assert not any(token in listed for token in tokens)


@pytest.mark.parametrize(
    ("options", "code", "says"),
    [
        (["--act"], 2, "--act goes with --name"),
        (["--name", "a", "--remove", "a"], 2, "make a token, or remove one"),
        (["--remove", "a"], 1, "there is no token 'a'"),
        (["--name", "a b"], 1, "the name 'a b' of a token is not valid"),
    ],
)
def test_wrong_usage_of_tokens(tmp_path: Path, options: list[str], code: int, says: str) -> None:
    ran = command("eshet", "token", str(tmp_path / "tokens.json"), *options)
    assert (ran.returncode, ran.stdout) == (code, "")
    assert says in ran.stderr


@pytest.mark.parametrize(
    ("options", "code", "says"),
    [
        (["--http-host", "a"], 2, "go with --http"),
        (["--http", "0.0.0.0:0"], 1, "use TLS and tokens"),
        (["--http", "localhost:0", "--http-host", "a/b"], 1, "'a/b' is not the name of a host"),
        (["--http", "localhost:0", "--http-origin", "a"], 1, "'a' is not an origin"),
        (["--http", "localhost:0", "--http-tokens", __file__], 1, "chmod 600"),
        (["--http", "nonsense:x"], 2, "like localhost:11237"),
    ],
)
def test_wrong_usage_of_a_gateway(options: list[str], code: int, says: str) -> None:
    ran = command("eshet", "serve", "--listen", "127.0.0.1:0", *options)
    assert ran.returncode == code
    assert says in ran.stderr


def in_python(code: str) -> "subprocess.CompletedProcess[str]":
    return subprocess.run(  # noqa: S603 - our own code
        [sys.executable, "-c", code], capture_output=True, text=True, timeout=30, check=False
    )


def test_without_aiohttp_it_says_what_to_install() -> None:
    ran = in_python(
        "import sys; sys.modules['aiohttp'] = None\n"
        "from eshet.cli import main; main(['serve', '--listen', '127.0.0.1:0', '--http', 'a:0'])"
    )
    assert ran.returncode == 1
    needed = "eshet: the gateway needs the library aiohttp: pip install 'eshet-rules[web]'\n"
    assert ran.stderr == needed


def test_other_commands_do_not_import_aiohttp() -> None:
    ran = in_python("import sys, eshet.cli, eshet.gateway; print('aiohttp' in sys.modules)")
    assert ran.stdout == "False\n"


def test_without_tokens_it_says_how_to_make_one(tmp_path: Path) -> None:
    file = tmp_path / "tokens.json"
    log = tmp_path / "log"
    with log.open("w") as stderr, running(*SERVE, "--http-tokens", str(file), stderr=stderr) as it:
        line(it)
        url = line(it).removeprefix("gateway on ")
        assert request(f"{url}/access") == (200, {"read": True, "act": False, "tls": False})
    assert f"make one with `eshet token {file} --act --name NAME`" in log.read_text()
