"""NATS with JetStream: how servers that share a tree reach each other and store it.

From top to bottom; each imports only from those below it:

    connector     the way of the clients of a process to a shared tree
    joined        a server that shares its tree with others
    uplink        its membership: from when it joins the others until it leaves
    nodes         all nodes of the shared tree
    relay         requests and events between the servers
    members       the servers, each with an entry that it renews
    fence         the newest fencing tokens, by which outputs of earlier holders are refused
    bucket        entries by key in a JetStream stream, written by compare-and-set
    stream        a JetStream stream: created or adapted when it is opened
    consumer      fetches the messages of a stream, in order
    watch         receives the entries of a bucket, and then each change
    entry         an entry, and how it is stored
    jetstream     requests to JetStream, repeated while it elects a leader
    connection    a connection to a cluster of NATS servers, which reconnects
    session       a connection to one of them
    transport     the socket of a connection
    address       the URL of a cluster
    exceptions    the errors

Only this package imports nats-py, which is an extra. So of its modules only `address`, which does
without, is imported before a tree on NATS is used.
"""
