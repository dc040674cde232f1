"""HTTP, WebSocket and server-sent events for programs without an ESHET client.

tokens         TokenFile: tokens of programs and people, of which only hashes are kept
json_values    values as JSON, without loss
"""
