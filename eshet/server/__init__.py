"""An embeddable ESHET server.

server     Server: where it listens, who is connected
session    one connection of one client
listener   accepts connections, as long as there are file descriptors
binding    sockets to listen on
descriptors how many files the process may open
backlog    what waits for a client that reads too slowly
meta       what it tells of itself under /meta
router     what a message does, and who hears of it
tree       nodes, owners, listeners
path_index the paths of all nodes in order, for pages
peer       a client, as the router and the tree see it
limits     Limits: what one client may take
"""

from eshet.server.descriptors import raise_descriptor_limit
from eshet.server.limits import Limits
from eshet.server.server import Server

__all__ = ["Limits", "Server", "raise_descriptor_limit"]
