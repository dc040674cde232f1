"""Home Assistant: its entities as devices, and its services as actions.

bridge      keeps the entities of one Home Assistant published
services    the services as actions, and calls of them
contexts    the causes of changes, by the contexts of service calls
registries  the areas, devices, floors and labels of Home Assistant
entities    the types of entities' states, and the services that set them
websocket   the WebSocket API: authentication, requests, results and subscriptions
"""
