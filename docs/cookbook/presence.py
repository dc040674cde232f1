"""Presence: whether anybody is at home, for rules that save energy while nobody is."""

from eshet import yarp
from eshet_rules import rule

PHONES = ["/phones/anna", "/phones/ben"]  # states: True in the WLAN of the house


@rule
async def presence():
    # A phone of which nothing is known counts as at home: an outage must not cool the house down.
    at_home = [yarp.default(await yarp.state_observe(phone), True) for phone in PHONES]
    nobody = yarp.for_duration(yarp.not_(yarp.any(at_home)), 600)  # phones sleep now and then
    await yarp.state_register("/presence/anybody", yarp.not_(nobody))
