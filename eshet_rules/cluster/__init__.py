"""Runners that share modules: each module runs on one of them, and moves when that one ends.

assignment    ranks the runners for each module

Only a runner with `--cluster` imports this package, and with it `eshet.nats`.
"""
