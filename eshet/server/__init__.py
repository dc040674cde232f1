"""An embeddable ESHET server.

server         Server: its listeners and the connected clients
session        one connection of one client
meta           the nodes under `/meta`, by which the server describes itself
shared         a router that shares its tree with those of other servers
departed       the nodes and requests that a client leaves to the next holder of its lease
succession     the events for clients that follow one another
held_events    the events that wait for a client which continues the work of another one
router         carries out the messages of clients, answers pings, and notifies others
tree           nodes, their owners, listeners and values
backlog        output that waits for a slow reader
listener       accepts connections while file descriptors are available
binding        sockets to listen on
tls            the encryption of a server, from files
descriptors    how many files the process may open
memory         returns memory to the system after a flood
path_index     all paths in order, for paging
peer           a client as the router and the tree see it
limits         Limits: how much of the server one client may use
"""

from eshet.server.descriptors import raise_descriptor_limit
from eshet.server.limits import Limits
from eshet.server.server import Server

__all__ = ["Limits", "Server", "raise_descriptor_limit"]
