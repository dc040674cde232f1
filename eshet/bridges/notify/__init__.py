"""Notifications for people, as an action.

bridge    the action of one service
sender    what a notification is, and the interface to services
ntfy      ntfy, by one request
apprise   all other services, by the library apprise in a thread of its own
"""
