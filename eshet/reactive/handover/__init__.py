"""Handing the state of nodes over to the next version of a rule.

handover    collects and restores the state of nodes
matching    which node of the old version is which of the new one
"""
