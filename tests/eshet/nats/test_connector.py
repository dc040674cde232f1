"""One server in this process for all clients that use a connector."""

import asyncio
import logging
import secrets

import pytest

from eshet import Client
from eshet.nats.address import NatsAddress
from eshet.nats.connector import NatsConnector
from tests.support.nats import at_real_pace, nats_server


@pytest.fixture
def address(shared_server):
    return NatsAddress.parse(f"{shared_server.url}/{secrets.token_hex(8)}")


async def test_all_clients_of_a_connector_share_one_server(address, caplog):
    connector = NatsConnector(address, logger=_silent())
    clients = [Client(server=connector) for _ in range(5)]
    await asyncio.gather(*(client.wait_for_connection() for client in clients))
    server = await connector.join()
    assert len(server.router.peers) == 5
    await clients[0].state_register("/light")
    with pytest.raises(Exception, match="path_already_exists"):
        await clients[1].state_register("/light")
    assert clients[0].max_payload == server.max_payload > 1_000_000
    for client in clients:
        await client.close()
    await connector.close()
    assert [record.message for record in caplog.records if record.levelname == "ERROR"] == []


async def test_clients_wait_for_nats_and_then_share_one_server(tmp_path, program, advance):
    with nats_server(tmp_path, program) as nats:
        nats.kill()
        address = NatsAddress.parse(f"{nats.url}/home")
        connector = NatsConnector(address, logger=_silent())
        clients = [Client(server=connector, logger=_silent()) for _ in range(3)]
        with pytest.raises(OSError, match="Connection refused"):
            await connector.join()
        await advance(3)
        assert not any(client.connected for client in clients)
        nats.start()
        waiting = asyncio.gather(*(client.wait_for_connection() for client in clients))
        await at_real_pace(waiting, advance)
        assert len((await connector.join()).router.peers) == 3
        for client in clients:
            await client.close()
        await connector.close()


async def test_closing_ends_an_attempt_to_join(address):
    connector = NatsConnector(address, logger=_silent())
    client = Client(server=connector, logger=_silent())
    waiting = asyncio.ensure_future(client.wait_for_connection())
    await asyncio.sleep(0)
    await asyncio.sleep(0)
    await connector.close()
    await client.close()
    with pytest.raises(Exception, match="closed"):
        await waiting


def _silent():
    logger = logging.Logger("silent")
    logger.addHandler(logging.NullHandler())
    return logger
