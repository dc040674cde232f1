"""What keeps rules apart from each other, and from the house.

supervisor    a rule under its strategy, attempt by attempt
scope         a rule's scope, which owns its tasks too
"""
