"""What keeps rules apart from each other, and from the house.

supervised_rule   a rule under its strategy, attempt by attempt, restarted when that has given up
intensity         how many restarts in a period are still worth another
scope             a rule's scope, which owns its tasks too
strategies        strategies beyond the contract's two
limits            how much a rule may take
status            what is known of a rule at a glance
"""
