"""The asyncio client.

client           Client and StateWrapper
session          one connection: requests and their replies
registrations    what is restored when the connection comes back
callbacks        what users gave us to call, and where its errors go
address          where the server is
reconnect        how long to wait before each try
"""

from eshet.client.client import Client, StateWrapper

__all__ = ["Client", "StateWrapper"]
