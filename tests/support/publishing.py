"""Publishing to a broker without a connection that sends again."""

import asyncio

from eshet.bridges.mqtt.broker import Broker, Message, NotConnected

__all__ = ["published"]


async def published(broker: Broker, message: Message) -> None:
    """Publish a message, and wait until the broker has acknowledged it."""
    done: asyncio.Future[None] = asyncio.get_running_loop().create_future()

    def on_done(error: Exception | None) -> None:
        if done.done():
            return
        if error is None:
            done.set_result(None)
        else:
            done.set_exception(error)

    if not broker.publish(message, on_done):
        raise NotConnected("not connected, or too many messages are not acknowledged")
    await done
