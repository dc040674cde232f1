"""Home Assistant itself: its entities as devices, and its services as actions.

bridge      keeps the entities of one Home Assistant published
services    the services as actions, and calls of them
registries  what Home Assistant knows of areas, devices, floors and labels
entities    the types of entities' states, and the services that set them
websocket   the WebSocket API: authentication, requests, results and subscriptions
"""
