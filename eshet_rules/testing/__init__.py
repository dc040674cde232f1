"""Testing rules.

virtual_time    an event loop whose clock moves only when told to
"""
