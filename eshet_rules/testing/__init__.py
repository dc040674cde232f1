"""Tools for tests of rules; pytest loads them by itself.

plugin             the fixture `house`, and async tests that use it
house              a server, devices and the rules under test, in virtual time
rules_under_test   loads, reloads and restarts the rules
deadline           interrupts rules that block or wait in real time
awaited            finds calls that a test has forgotten to await
exceptions         the errors that a house raises
devices            simulated devices
happenings         the inputs and outputs of rules, in order
answers            the answers of `why` and `why-not` in a house
virtual_time       an event loop with a clock that moves only when a test advances it
"""
