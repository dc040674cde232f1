"""Presence: somebody is there for half an hour after any motion."""

from eshet import yarp
from eshet_rules import rule


@rule
async def presence():
    hall = await yarp.event_listen("/hall/motion")
    kitchen = await yarp.event_listen("/kitchen/motion")
    await yarp.state_register("/presence", yarp.hold(yarp.merge(hall, kitchen), 1800))
