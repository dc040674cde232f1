import enum

from eshet import yarp
from eshet_rules import rule


# Which an edit of a comment must not change.
class Level(enum.Enum):
    LOW = 1
    HIGH = 2


@rule
async def light():
    motion = await yarp.event_listen("/motion")
    levels = yarp.fn(lambda motion: Level.HIGH if motion == "fast" else Level.LOW)(motion)
    recent = yarp.time_window(levels, 60)
    await yarp.state_register("/light", yarp.fn(lambda recent: Level.HIGH in recent)(recent))
