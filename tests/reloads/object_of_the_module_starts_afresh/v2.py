
from eshet import yarp
from eshet_rules import keep, rule



class Visit:
    def __init__(self, number=0):
        self.number = number


# Another line.
@rule
async def count():
    visit = keep("visit", Visit())
    await yarp.state_register("/count", yarp.fn(lambda visit: visit.number)(visit))
    motion = await yarp.event_listen("/motion")

    @motion.on_event
    def add(_):
        assert isinstance(visit.value, Visit)
        visit.value = Visit(visit.value.number + 1)
