"""Notifications to users, as an action.

bridge    the action of one service
sender    the data of a notification, and the interface to services
ntfy      the service ntfy
apprise   all other services, by the library apprise in a thread of its own
"""
