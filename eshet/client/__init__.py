"""The asyncio client.

What lives where:

    seeing           lets a witness see a client
    client           Client and StateWrapper
    registrar        registers and hears, and takes back
    keeper           connects, restores, and comes back
    restoring        makes registrations again after a reconnection
    dispatch         what is done with what comes unasked
    registrations    what is restored when the connection comes back
    session          one connection: requests and their replies
    requests         a request that waits for its reply
    hearing          what ends a listener or an observer
    witness          who sees what clients hear and say, and links causes
    echoes           what was sent last, to know it again when it comes in
    callbacks        what users gave us to call, and where its errors go
    address          where the server is
    reconnect        how long to wait before each try
"""

from eshet.client.client import Client, StateWrapper
from eshet.client.hearing import Hearing
from eshet.protocol import TimeoutConfig
from eshet.unknown import Unknown

__all__ = ["Client", "Hearing", "StateWrapper", "TimeoutConfig", "Unknown"]
