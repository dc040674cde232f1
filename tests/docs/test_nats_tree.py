"""The configurations of NATS on the page about shared trees are enough to share one."""

import re
from pathlib import Path

import pytest
import trustme

from eshet import Client
from eshet.nats.address import NatsAddress
from eshet.nats.joined import JoinedServer
from tests.support.nats import PROGRAMS, NatsServer, nats_program, nats_server

PAGE = Path(__file__).parents[2] / "docs" / "howto" / "nats-tree.md"
TLS, PERMISSIONS = re.findall(
    r"^<!-- run -->\n```text\n(.*?)^```$", PAGE.read_text(), re.MULTILINE | re.DOTALL
)


@pytest.fixture(params=PROGRAMS)
def program(request: pytest.FixtureRequest) -> str:
    return nats_program(request.param)


async def shares_a_tree(url: str) -> bool:
    """Whether two servers share a tree, with a state and an event."""
    address = NatsAddress.parse(url)
    async with (
        JoinedServer(address) as one,
        JoinedServer(address) as two,
        Client(server=one) as owner,
        Client(server=two) as other,
    ):
        light = await owner.state_register("/light", lambda value: light.changed(value))
        await other.set("/light", 5)
        await (await owner.event_register("/bell"))(1)
        return await other.get("/light") == 5


async def test_the_configuration_with_tls(
    program: str, tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    authority = trustme.CA()
    for name, certificate in {
        "server": authority.issue_cert("localhost"),
        "client": authority.issue_cert("house@house.example"),
    }.items():
        (tmp_path / name).mkdir()
        certificate.private_key_pem.write_to_path(tmp_path / name / "key.pem")
        certificate.cert_chain_pems[0].write_to_path(tmp_path / name / "chain.pem")
    authority.cert_pem.write_to_path(tmp_path / "server" / "ca.pem")
    monkeypatch.setenv("NATS_PASSWORD", "s3cr3t")
    lines = TLS.replace("/etc/nats", str(tmp_path / "server")).splitlines()
    ours = [line for line in lines if not line.startswith(("#", "listen:", "jetstream:"))]
    with nats_server(tmp_path / "nats", program, ours) as nats:
        ca, client = tmp_path / "server" / "ca.pem", tmp_path / "client"
        login = f"tls://house:s3cr3t@localhost:{nats.port}"
        files = f"cert={client}/chain.pem&key={client}/key.pem"
        assert await shares_a_tree(f"{login}/flat?ca={ca}&{files}")
        with pytest.raises(OSError, match=r"(?i)certificate|closed|reset"):
            await shares_a_tree(f"{login}/flat?ca={ca}")
        with pytest.raises(OSError, match="password"):
            await shares_a_tree(f"tls://house@localhost:{nats.port}/flat?ca={ca}&{files}")


async def test_the_permissions(program: str, tmp_path: Path) -> None:
    lines = [
        f"authorization: {{users: [{{user: house, password: pw, {PERMISSIONS.strip()}}}]}}",
    ]
    with nats_server(tmp_path / "nats", program, lines) as nats:
        assert await shares_a_tree(_with_login(nats))


def _with_login(nats: NatsServer) -> str:
    return nats.url.replace("//", "//house:pw@")
