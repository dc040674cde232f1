"""What keeps rules apart from each other, and from the house.

supervisor    a rule under its strategy, attempt by attempt
scope         a rule's scope, which owns its tasks too
strategies    strategies beyond the contract's two
limits        how much a rule may take
status        what is known of a rule at a glance
"""
