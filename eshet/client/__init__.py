"""The asyncio client.

The modules, from top to bottom; each imports only from those below it:

    server_tree           lists the nodes of a server
    view                  a client on a shared connection, held back until a hand-over
    client                Client and StateWrapper
    shared                the connection that a client and its views share
    registrar             registers, listens and observes, and undoes that again
    connection_manager    connects, reconnects with backoff, and restores all registrations
    event_iteration       events that wait for an `async for`
    dispatch              handles messages that are not replies: calls, sets, notifications
    registrations         the nodes that a client owns, listens to and observes; restored later
    callbacks             user callbacks, each with the context in which it was registered
    pending_request       requests without a task that waits for their replies
    cause_relay           an observer of clients that only forward inputs
    observer              hooks for every input and output of a client; they create causes
    correlation           recognizes an input as the effect of an earlier output
    session               one connection: requests and their replies
    receiver              handles received messages in turns
    inbox                 received messages that wait, as bytes
"""

from eshet.client.client import Client, StateWrapper
from eshet.client.registrations import Subscription
from eshet.protocol import TimeoutConfig
from eshet.unknown import Unknown

__all__ = ["Client", "StateWrapper", "Subscription", "TimeoutConfig", "Unknown"]
