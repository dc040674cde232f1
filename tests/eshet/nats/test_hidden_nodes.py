"""A node that one server can't show, since its clients use the path for another kind."""

import secrets

from eshet import Client, ErrorValue
from eshet.nats.address import NatsAddress
from eshet.nats.joined import JoinedServer
from tests.support.nats import at_real_pace
from tests.support.waiting import eventually


async def test_it_is_shown_when_its_path_is_free(shared_server, advance, caplog):
    address = NatsAddress.parse(f"{shared_server.url}/{secrets.token_hex(8)}")
    async with (
        JoinedServer(address) as one,
        JoinedServer(address) as two,
        Client(server=one) as owner,
        Client(server=two) as other,
    ):
        await other.state_observe("/node", print)
        await owner.prop_register("/node", lambda: 5)
        assert await _got(other) == "state_unknown"
        await other.unobserve("/node")

        shown = eventually(lambda: _got(other), lambda value: value == 5)
        await at_real_pace(shown, advance)
    hidden = [record.message for record in caplog.records if "hidden" in record.message]
    assert len(hidden) == 1


async def _got(client):
    try:
        return await client.get("/node")
    except ErrorValue as error:
        return error.value
