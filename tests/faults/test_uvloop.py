"""On uvloop, which may read megabytes from one client before it turns to the next."""

import asyncio

import pytest

from eshet import Client
from eshet.address import Address
from eshet.server import Server

uvloop = pytest.importorskip("uvloop")


def test_a_healthy_caller_is_not_cut_while_an_owner_answers_all_at_once() -> None:
    async def main() -> None:
        async with Server() as server:
            await server.listen(port=0)
            address = Address(*server.addresses[0])
            async with Client(server=address) as owner, Client(server=address) as caller:
                await owner.action_register("/echo", lambda text: text)
                text = "x" * 60_000
                calls = [caller.action_call("/echo", text) for _ in range(500)]
                assert await asyncio.gather(*calls) == [text] * 500

    uvloop.run(main())
