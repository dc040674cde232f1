"""Values and events that follow a path."""

from typing import Any

from eshet.client import Client
from eshet.reactive import Event, Value
from eshet.reactive.core.event import ListenedNode, event_of
from eshet.reactive.core.value import ObservedNode, value_of
from eshet.yarp.default_client import get_default_eshet_client

__all__ = ["event_listen", "ready_client", "state_observe"]


async def ready_client(client: Client | None) -> Client:
    """Return the client passed to a wrapper, or else the default one, once it is connected."""
    if client is None:
        return await get_default_eshet_client()
    await client.wait_for_connection()
    return client


async def event_listen(path: str, client: Client | None = None) -> Event[Any]:
    """Make an Event which emits whenever the event at `path` does.

    Args:
        path: of the event, which does not have to be registered yet.
        client: the client to use instead of the default one.

    Raises:
        EshetError: see `Client`.
    """
    client = await ready_client(client)
    node = ListenedNode(client.resolve(path))
    event = event_of(node)
    await client.event_listen_cb(path, node.change)
    return event


async def state_observe(path: str, client: Client | None = None) -> Value[Any]:
    """Make a Value that follows the given state.

    It has the value of the state when this returns, `Unknown` if the state is unknown; it is never
    NoValue. While the connection is lost, it is `Unknown`.

    Args:
        path: of the state, which does not have to be registered yet.
        client: the client to use instead of the default one.

    Raises:
        EshetError: see `Client`.
    """
    client = await ready_client(client)
    node = ObservedNode(client.resolve(path))
    value = value_of(node)
    node.change(await client.state_observe(path, node.change))
    return value
