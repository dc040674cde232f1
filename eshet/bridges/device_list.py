"""The devices of all bridges of a server, as their bridges list them."""

from collections.abc import AsyncIterator
from typing import Any

from eshet.client import Client
from eshet.client.server_tree import list_nodes

__all__ = ["devices_of"]


async def devices_of(client: Client) -> AsyncIterator[dict[str, Any]]:
    """Iterate over the devices of all bridges; see `eshet.bridges.inventory`.

    Raises:
        EshetError: a request has failed.
    """
    async for path, kind, _ in list_nodes(client):
        is_list = kind == "action" and path.endswith("/bridge/devices")
        start: int | None = 0 if is_list else None
        while start is not None:
            page = await client.action_call(path, start)
            for device in page["devices"]:
                yield device
            start = page["next"]
