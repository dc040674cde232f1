"""Handing the state of nodes over to the next version of a rule.

handover    takes and restores snapshots of nodes
matching    matches the nodes of the old version with those of the new one
"""
