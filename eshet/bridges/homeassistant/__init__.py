"""Home Assistant itself: its entities as devices, and its services as actions.

websocket   the WebSocket API: authentication, requests, results and subscriptions
entities    the types of entities' states, and the services that set them
bridge      keeps the entities of one Home Assistant published
"""
