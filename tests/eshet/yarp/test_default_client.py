"""Which client the wrappers use when they are given none."""

import asyncio
import contextvars

import pytest

from eshet import Client, yarp
from eshet.server import Server
from eshet.yarp import get_default_eshet_client, set_default_eshet_client, using_client


async def test_a_context_has_the_client_it_was_given(client: Client, other: Client) -> None:
    assert await get_default_eshet_client() is client
    with using_client(other):
        assert await get_default_eshet_client() is other
        task = asyncio.create_task(get_default_eshet_client())
    assert await get_default_eshet_client() is client
    assert await task is other


async def test_setting_it_within_a_context_changes_no_other(client: Client, other: Client) -> None:
    async def take_over() -> None:
        set_default_eshet_client(other)

    with using_client(client):
        await asyncio.create_task(take_over())
        assert await get_default_eshet_client() is other
    assert await get_default_eshet_client() is client


def test_without_any_one_is_made_for_the_loop_and_kept(monkeypatch: pytest.MonkeyPatch) -> None:
    async def main() -> None:
        async with Server() as server:
            await server.listen(port=0)
            host, port = server.addresses[0]
            monkeypatch.setenv("ESHET_SERVER", f"{host}:{port}")
            made = await get_default_eshet_client()
            assert await get_default_eshet_client() is made
            assert await asyncio.create_task(get_default_eshet_client()) is made
            await (await made.state_register("/s")).changed(5)
            assert (await yarp.state_observe("/s")).value == 5
            replaced = Client(server=server)
            set_default_eshet_client(replaced)
            assert await asyncio.create_task(get_default_eshet_client()) is replaced
            await made.close()
            await replaced.close()

    contextvars.Context().run(asyncio.run, main())
