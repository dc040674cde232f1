"""The asyncio client.

What lives where; imports go downwards only:

    view                  a client over the connection of another, held back until a hand-over
    client                Client and StateWrapper
    registrar             registers, listens and observes, and takes it back
    connection_manager    connects, reconnects with back-off, and restores what was registered
    event_iteration       payloads that wait for an `async for` over an event
    dispatch              handles what the server sends unasked: calls, sets, notifications
    registrations         what a client owns, listens to and observes
    callbacks             callbacks of users, with the context in which they were given
    observer              hooks for every input and output of a client; they create causes
    correlation           recognizes an input as the effect of an earlier output
    session               one connection: requests and their replies
"""

from eshet.client.client import Client, StateWrapper
from eshet.client.registrations import Subscription
from eshet.protocol import TimeoutConfig
from eshet.unknown import Unknown

__all__ = ["Client", "StateWrapper", "Subscription", "TimeoutConfig", "Unknown"]
