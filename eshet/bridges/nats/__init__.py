"""Joins a server that knows nothing of NATS, and a tree on NATS: each shows the nodes of the other.

    bridge     follows the nodes of both sides
    direction  shows the nodes of one side on the other
    copies     a node that is shown on the other side, one class for each kind
    sending    passes values on in order, a limited number at a time
    side       one of both sides: its client, and its nodes
    selection  which paths take part

A *side* is the server or the tree. A node is registered by its owner on its *origin*, and by the
bridge on the other side, as a *copy*. Nothing here knows NATS: the client of a side does.
"""
