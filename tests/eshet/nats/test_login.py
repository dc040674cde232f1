"""How a connection logs in and uses TLS, and why it can't connect."""

import asyncio
import logging
import socket

import pytest
import trustme

from eshet.nats.bucket import Bucket
from eshet.nats.exceptions import JetStreamRefused
from tests.eshet.nats.conftest import Peer
from tests.support.mosquitto import free_port
from tests.support.nats import NatsServer, Operator, nats_server, tls_lines

NOT_ACCEPTED = "the server does not accept the user, password, token or credentials"


@pytest.fixture(scope="module")
def ca() -> trustme.CA:
    return trustme.CA()


async def opened(url: str) -> None:
    """Open a connection, use it, and close it."""
    peer = Peer(url)
    await peer.connection.open()
    await peer.connection.flush()
    assert peer.losses.empty()
    await peer.connection.close()


async def reason(url: str) -> str:
    """Return why a connection can't be opened."""
    with pytest.raises(OSError, match=r".") as caught:
        await opened(url)
    return str(caught.value)


def with_login(server: NatsServer, login: str, options: str = "") -> str:
    return f"nats://{login}@localhost:{server.port}{options}"


# --- login ------------------------------------------------------------------------------------


async def test_a_user_and_a_password(program, tmp_path):
    users = 'authorization: {user: house, password: "s3/cr@t"}'
    with nats_server(tmp_path, program, [users]) as server:
        await opened(with_login(server, "house:s3%2Fcr%40t"))
        assert await reason(with_login(server, "house:wrong")) == NOT_ACCEPTED
        assert await reason(server.url) == NOT_ACCEPTED


async def test_a_token(program, tmp_path):
    with nats_server(tmp_path, program, ["authorization: {token: s3cret}"]) as server:
        await opened(with_login(server, "s3cret"))
        assert await reason(with_login(server, "wrong")) == NOT_ACCEPTED


async def test_a_file_with_credentials(program, tmp_path):
    operator, other = Operator(), Operator()
    with nats_server(tmp_path / "nats", program, operator.lines()) as server:
        file = operator.credentials(tmp_path / "house.creds")
        await opened(f"{server.url}?credentials={file}")
        file = other.credentials(tmp_path / "other.creds")
        assert await reason(f"{server.url}?credentials={file}") == NOT_ACCEPTED


async def test_files_that_contain_no_credentials(shared_server, tmp_path):
    file = tmp_path / "house.creds"
    missing = await reason(f"{shared_server.url}?credentials={file}")
    assert missing == f"{file}: No such file or directory"
    for content in (b"", b"\xff", b"-----BEGIN NATS USER JWT-----\n"):
        file.write_bytes(content)
        problem = await reason(f"{shared_server.url}?credentials={file}")
        assert problem.startswith(f"{file} is not a file with credentials")


async def test_credentials_without_nkeys(shared_server, tmp_path, monkeypatch):
    file = Operator().credentials(tmp_path / "house.creds")
    monkeypatch.setattr("importlib.util.find_spec", lambda name: None)
    problem = await reason(f"{shared_server.url}?credentials={file}")
    assert problem == "to log in with credentials, install nkeys: pip install 'nats-py[nkeys]'"


async def test_a_password_that_was_changed_during_an_outage(
    program, tmp_path, connect, advance, caplog
):
    with nats_server(tmp_path / "1", program, ["authorization: {token: old}"]) as server:
        peer = await connect(with_login(server, "old"))
    await peer.losses.get()
    changed = NatsServer(program, tmp_path / "2", ["authorization: {token: new}"], port=server.port)
    changed.start()
    while NOT_ACCEPTED not in caplog.text:
        await advance(0.05)
    await advance(1)
    changed.kill()
    assert caplog.text.count(NOT_ACCEPTED) == 1


# --- TLS --------------------------------------------------------------------------------------


async def test_tls(program, tmp_path, ca):
    with nats_server(tmp_path, program, tls_lines(ca, tmp_path)) as server:
        url = f"localhost:{server.port}?ca={tmp_path / 'ca.pem'}"
        await opened(f"tls://{url}")
        await opened(f"nats://{url}")
        for other in (f"tls://localhost:{server.port}", f"nats://localhost:{server.port}"):
            problem = await reason(other)
            assert problem.startswith("the server's certificate is not accepted: ")
        wrong_name = await reason(f"tls://127.0.0.1:{server.port}?ca={tmp_path / 'ca.pem'}")
        assert wrong_name.startswith("the server's certificate is not accepted: IP address mismat")


async def test_a_certificate_of_the_client(program, tmp_path, ca):
    with nats_server(tmp_path, program, tls_lines(ca, tmp_path, verify=True)) as server:
        url = f"tls://localhost:{server.port}?ca={tmp_path / 'ca.pem'}"
        ca.issue_cert("house").private_key_and_cert_chain_pem.write_to_path(tmp_path / "my.pem")
        await opened(f"{url}&cert={tmp_path / 'my.pem'}")
        assert (await reason(url)).endswith("it may demand a certificate of the client (cert=FILE)")


async def test_no_password_is_sent_without_tls(tmp_path):
    received = b""

    async def answer(reader: asyncio.StreamReader, writer: asyncio.StreamWriter) -> None:
        nonlocal received
        writer.write(b'INFO {"server_id":"x","version":"2.9.0","max_payload":1048576}\r\n')
        received = await reader.read()
        writer.close()

    listener = await asyncio.start_server(answer, "127.0.0.1", 0)
    port = listener.sockets[0].getsockname()[1]
    problem = await reason(f"tls://house:s3cret@127.0.0.1:{port}")
    assert problem == "the server does not offer TLS, so no password was sent"
    assert received == b""
    listener.close()


async def test_a_server_that_offers_no_tls(shared_server):
    problem = await reason(f"tls://127.0.0.1:{shared_server.port}")
    assert problem == "the server does not offer TLS, so no password was sent"


async def test_files_for_tls_that_are_missing(program, tmp_path, ca):
    with nats_server(tmp_path, program, tls_lines(ca, tmp_path)) as server:
        problem = await reason(f"tls://localhost:{server.port}?ca={tmp_path / 'nothing.pem'}")
        assert problem == f"{tmp_path}/nothing.pem can't be used for TLS: No such file or directory"


# --- other reasons ----------------------------------------------------------------------------


async def test_no_server():
    port = free_port()
    assert await reason(f"nats://127.0.0.1:{port}") == "Connection refused"
    assert await reason(f"nats://localhost:{port}") == "Connection refused"


async def test_no_such_host():
    assert "known" in await reason("nats://host.invalid")


async def test_all_servers_are_tried(shared_server):
    ports = free_port(), free_port()
    await opened(f"nats://127.0.0.1:{ports[0]},127.0.0.1:{shared_server.port}")
    assert await reason(f"nats://127.0.0.1:{ports[0]},127.0.0.1:{ports[1]}") == (
        f"127.0.0.1:{ports[0]}: Connection refused; 127.0.0.1:{ports[1]}: Connection refused"
    )


@pytest.mark.parametrize(
    ("greeting", "problem"),
    [
        (b"SSH-2.0-OpenSSH_9.2\r\n", "this is not a NATS server"),
        (b"INFO nothing\r\n", "info message, json parse error"),
        (b"", "the server closed the connection"),
        (b"x" * 3_000_000, "this is not a NATS server"),
    ],
)
async def test_another_kind_of_server(greeting, problem):
    async def greet(reader: asyncio.StreamReader, writer: asyncio.StreamWriter) -> None:
        writer.write(greeting)
        writer.close()

    listener = await asyncio.start_server(greet, "127.0.0.1", 0)
    assert await reason(f"nats://127.0.0.1:{listener.sockets[0].getsockname()[1]}") == problem
    listener.close()


async def test_a_server_that_says_nothing(advance):
    with socket.create_server(("127.0.0.1", 0)) as silent:
        waiting = asyncio.create_task(reason(f"nats://127.0.0.1:{silent.getsockname()[1]}"))
        await advance(2.1)
        assert await waiting == "no answer within 2 s"


async def test_too_many_connections(program, tmp_path, connect):
    with nats_server(tmp_path, program, ["max_connections: 1"]) as server:
        await connect(server.url)
        assert await reason(server.url) == "maximum connections exceeded"


async def test_what_a_user_may_not_do_is_logged_once(program, tmp_path, connect, caplog):
    permissions = "{publish: {deny: secret}}"
    lines = [f"authorization: {{users: [{{user: u, password: p, permissions: {permissions}}}]}}"]
    with nats_server(tmp_path, program, lines) as server:
        peer = await connect(with_login(server, "u:p"))
        for _ in range(3):
            peer.connection.publish("secret", b"")
            await peer.connection.flush()
        assert [record.levelno for record in caplog.records] == [logging.ERROR]
        assert "permissions violation for publish to" in caplog.text
        assert peer.losses.empty()


# --- JetStream --------------------------------------------------------------------------------


async def test_a_server_without_jetstream(program, tmp_path, connect):
    with nats_server(tmp_path, program, jetstream=False) as server:
        bucket = Bucket((await connect(server.url)).connection, "test")
        with pytest.raises(JetStreamRefused) as caught:
            await bucket.open()
        assert str(caught.value) == (
            "open test: JetStream is not enabled; start nats-server with JetStream (option -js)"
        )


ACCOUNTS = """
accounts: {
  NONE: {users: [{user: none, password: p}]}
  SMALL: {
    jetstream: {max_streams: 1, max_file: 10000, max_mem: 0}
    users: [{user: small, password: p}]
  }
}
"""


async def test_accounts_with_limits(program, tmp_path, connect):
    with nats_server(tmp_path, program, [ACCOUNTS]) as server:
        bucket = Bucket((await connect(with_login(server, "none:p"))).connection, "test")
        with pytest.raises(JetStreamRefused, match="enable JetStream for this account of NATS"):
            await bucket.open()

        small = (await connect(with_login(server, "small:p"))).connection
        bucket = Bucket(small, "test")
        await bucket.open()
        with pytest.raises(JetStreamRefused, match="open other: maximum number of streams reach"):
            await Bucket(small, "other").open()
        with pytest.raises(JetStreamRefused, match=r"write light\d+ in test: .*resource"):
            await fill(bucket)


async def fill(bucket: Bucket) -> None:
    for number in range(20):
        await bucket.put(f"light{number}", bytes(1000), 0)
