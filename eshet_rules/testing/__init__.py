"""Tools for tests of rules.

virtual_time    an event loop with a clock that moves only when a test advances it
"""
