"""An embeddable ESHET server.

server    Server: where it listens, who is connected
meta      what it tells of itself under /meta
router    what a message does, and who hears of it
tree      nodes, owners, listeners
peer      a client, as the router and the tree see it
"""

from eshet.server.server import Server

__all__ = ["Server"]
