"""HTTP, WebSocket and server-sent events for programs without an ESHET client; needs aiohttp.

    gateway               Gateway: all routes of nodes
    nodes                 the routes that get, set, call, emit and list nodes
    events                the route of server-sent events
    conflation            changes and events that wait for a stream
    websocket             one WebSocket, and its connection to the server
    websocket_messages    the messages of a WebSocket, as JSON
    outbox                messages that wait for a slow reader of a WebSocket
    listening             serve: listens on an address, and applies the access control
    connection            one HTTP connection: its deadlines, and its answers to broken requests
    connections           all connections: how many there may be, in all and from one peer
    login                 the routes that exchange a token for a cookie
    access                Access: which requests are answered; require: checks the scope of one
    hosts                 host names and origins that requests may name
    guesses               how long a peer has to wait after wrong tokens
    tokens                TokenFile: tokens of programs and users, of which only hashes are kept
    remedies              the advice in refusals
    refusals              the log of refused requests
    answers               answers as JSON, and HttpError: an error that becomes one
    headers               the security headers of every answer
    limits                HttpLimits: sizes, times and numbers of connections
    json_values           values as JSON, without loss

Import these modules where they are needed: this package itself does not import aiohttp.
"""
