"""Tools for tests of rules.

virtual_time    an event loop whose clock moves only when a test advances it
"""
