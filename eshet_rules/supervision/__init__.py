"""Runs rules under their strategies, isolated from each other and from the runner.

guard              protects the event loop and the process against the rules
loops              finds rules that trigger each other in a cycle, and cuts the cycle
supervised_rule    runs a rule under its strategy, and restarts it when it has failed
report             the state of a rule as plain data
scope              a scope that owns asyncio tasks
intensity          restart intensity: how many restarts in a period are allowed
strategies         strategies beyond those of `eshet.utils`
failures           logs failures in a rule, with a limited rate
limits             limits of restarts, blocking and loops
owned_task         tasks that know their scope
status             the state of a rule
"""
