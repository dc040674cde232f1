"""`eshet-rules run --web` and `eshet-rules web` as a user types them."""

import json
import socket
import ssl
import subprocess
import sys
import urllib.error
import urllib.request

import pytest
import trustme

from tests.support.processes import command, environment, line, running
from tests.support.rules import Folder
from tests.support.runner import runner

LEVEL = """
from eshet import yarp
from eshet_rules import rule

@rule
async def level():
    await yarp.state_register("/level", yarp.Value(1), settable=True)
"""


@pytest.fixture
def folder(tmp_path):
    folder = Folder(tmp_path / "rules")
    folder.write("hall.py", LEVEL)
    return folder


@pytest.fixture(scope="module")
def server():
    with running("eshet", "serve", "--listen", "127.0.0.1:0") as process:
        yield line(process).split()[-1]


def ask(url, body=None, token="", **options):
    headers = {"Content-Type": "application/json"} if body is not None else {}
    if token:
        headers["Authorization"] = f"Bearer {token}"
    data = None if body is None else json.dumps(body).encode()
    request = urllib.request.Request(url, data, headers)  # noqa: S310 - http only
    try:
        with urllib.request.urlopen(request, timeout=20, **options) as answer:  # noqa: S310
            return answer.status, json.loads(answer.read())
    except urllib.error.HTTPError as error:
        return error.code, json.loads(error.read())


def test_a_token_acts_until_it_is_revoked(folder, server, tmp_path):
    where = ("--rules", str(folder.path), "--state-dir", str(tmp_path / "state"))
    with runner(folder, server, "--state-dir", where[3], "--web", "127.0.0.1:0") as process:
        url = process.wait_for("page.served")["url"]
        assert ask(f"{url}/api/1/overview")[1]["counts"]["running"] == 1
        change = {"path": "/level", "value": 7}
        assert ask(f"{url}/api/1/set", change)[0] == 401
        made = command("eshet-rules", "web", "token", "--act", "--name", "anna", *where)
        assert made.stderr == f"eshet-rules: for the rules in {folder.path}\n"
        token = made.stdout
        assert ask(f"{url}/api/1/set", change, token.strip()) == (200, {"result": None})
        assert ask(f"{url}/get/level") == (200, 7)
        acted = process.wait_for("page.acted")
        assert (acted["action"], acted["subject"]) == ("set", "/level")
        assert acted["by"].startswith("anna")
        listed = command("eshet-rules", "web", "tokens", *where).stdout
        assert listed.split()[:2] == ["anna", "act"]
        assert command("eshet-rules", "web", "revoke", "anna", *where).returncode == 0
        assert ask(f"{url}/api/1/set", change, token.strip())[0] == 401
        assert process.stop() == 0


def test_only_a_hash_of_a_token_is_kept(folder, tmp_path):
    where = ("--rules", str(folder.path), "--state-dir", str(tmp_path / "state"))
    token = command("eshet-rules", "web", "token", *where).stdout.strip()
    [file] = (tmp_path / "state").rglob("web-tokens.json")
    assert token not in file.read_text()
    assert file.stat().st_mode & 0o777 == 0o600
    again = command("eshet-rules", "web", "token", *where)
    assert again.returncode != 0
    assert "there is a token 'token' already" in again.stderr


def test_rules_run_though_the_page_has_no_port(folder, server):
    with socket.create_server(("127.0.0.1", 0)) as taken:
        address = f"127.0.0.1:{taken.getsockname()[1]}"
        with runner(folder, server, "--no-state", "--web", address) as process:
            failed = process.wait_for("component.failed", component="page")
            assert address in failed["error"]
            assert "traceback" not in failed
            assert command("eshet", "get", "/level", server=server).stdout == "1\n"
            assert process.stop() == 0


def test_a_page_for_everybody_needs_tls(folder, server):
    ran = command("eshet-rules", "run", str(folder.path), "--web", "0.0.0.0:0", server=server)
    assert ran.returncode != 0
    assert "other machines can reach it; set tls_cert and tls_key below [web]" in ran.stderr


def test_with_tls_reading_needs_a_token(folder, server, tmp_path):
    authority = trustme.CA()
    cert = authority.issue_cert("localhost", "127.0.0.1")
    files = {"tls_cert": tmp_path / "cert.pem", "tls_key": tmp_path / "key.pem"}
    cert.cert_chain_pems[0].write_to_path(str(files["tls_cert"]))
    cert.private_key_pem.write_to_path(str(files["tls_key"]))
    table = "".join(f'{name} = "{file}"\n' for name, file in files.items())
    folder.write("eshet-rules.toml", f'[web]\nenabled = true\naddress = "127.0.0.1:0"\n{table}')
    trusting = ssl.create_default_context()
    authority.configure_trust(trusting)
    with runner(folder, server, "--no-state") as process:
        url = process.wait_for("page.served")["url"]
        assert url.startswith("https://")
        assert ask(f"{url}/healthz", context=trusting) == (200, {"status": "ok"})


@pytest.mark.parametrize(
    ("options", "part"),
    [
        (["--web", "rules/"], "'rules/' is not a server address"),
        (["--web", "127.0.0.1:99999"], "is not a server address"),
    ],
)
def test_a_wrong_address_is_refused(folder, options, part):
    ran = command("eshet-rules", "run", str(folder.path), *options)
    assert ran.returncode != 0
    assert part in ran.stderr


def test_a_wrong_certificate_is_refused(folder):
    folder.write("eshet-rules.toml", '[web]\nenabled = true\ntls_cert = "/nowhere.pem"\n')
    ran = command("eshet-rules", "run", str(folder.path))
    assert ran.returncode == 2
    assert (
        "tls_cert, tls_key or tls_client_ca below [web]: the TLS files can't be used" in ran.stderr
    )


def test_a_key_without_a_certificate_is_refused(folder):
    folder.write("eshet-rules.toml", '[web]\nenabled = true\ntls_client_ca = "/ca.pem"\n')
    ran = command("eshet-rules", "run", str(folder.path))
    assert ran.returncode == 2
    assert "tls_key and tls_client_ca below [web] go with tls_cert" in ran.stderr


def test_with_a_ca_only_browsers_with_a_certificate_connect(folder, server, tmp_path):
    authority = trustme.CA()
    cert = authority.issue_cert("localhost", "127.0.0.1")
    cert.private_key_and_cert_chain_pem.write_to_path(str(tmp_path / "cert.pem"))
    authority.cert_pem.write_to_path(str(tmp_path / "ca.pem"))
    folder.write(
        "eshet-rules.toml",
        f'[web]\nenabled = true\naddress = "127.0.0.1:0"\n'
        f'tls_cert = "{tmp_path}/cert.pem"\ntls_client_ca = "{tmp_path}/ca.pem"\n',
    )
    trusting = ssl.create_default_context()
    authority.configure_trust(trusting)
    with runner(folder, server, "--no-state") as process:
        url = process.wait_for("page.served")["url"]
        with pytest.raises(OSError, match=r"(?i)certificate|reset|closed"):
            ask(f"{url}/healthz", context=trusting)
        authority.issue_cert("phone@house.example").configure_cert(trusting)
        assert ask(f"{url}/healthz", context=trusting) == (200, {"status": "ok"})


def test_without_the_library_the_error_names_the_extra(folder, tmp_path):
    (tmp_path / "aiohttp.py").write_text("raise ModuleNotFoundError(name='aiohttp')")
    code = "from eshet_rules.cli import main; main()"
    ran = subprocess.run(  # noqa: S603
        [sys.executable, "-c", code, "run", str(folder.path), "--web"],
        capture_output=True,
        text=True,
        check=False,
        timeout=30,
        env=environment("") | {"PYTHONPATH": str(tmp_path)},
    )
    assert ran.returncode == 2
    assert "pip install 'eshet-rules[web]'" in ran.stderr


def test_a_runner_without_a_page_does_not_import_the_library(folder, server):
    folder.write(
        "loaded.py",
        """
        import sys
        from eshet import yarp
        from eshet_rules import rule

        @rule
        async def loaded(client):
            await client.action_register("/loaded", lambda: sorted(sys.modules))
        """,
    )
    with runner(folder, server, "--no-state") as process:
        process.wait_for("runner.started")
        names = json.loads(command("eshet", "call", "/loaded", server=server).stdout)
    assert "eshet_rules.runner.runner" in names
    ours = [name for name in names if name.startswith(("aiohttp", "eshet.gateway"))]
    assert ours + [name for name in names if name.startswith("eshet_rules.web")] == []
