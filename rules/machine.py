"""The machine that runs the house: publishes how busy it is."""

import asyncio
import logging
import os

from eshet import yarp
from eshet_rules import rule

log = logging.getLogger(__name__)


@rule
async def load():
    load = yarp.Value(os.getloadavg()[0])
    busy = yarp.no_repeat(load > os.cpu_count())
    await yarp.state_register("/house/machine/load", load)
    await yarp.state_register("/house/machine/busy", busy)
    yarp.on_value(busy, lambda busy: log.info("this machine is %s", "busy" if busy else "idle"))

    while True:
        await asyncio.sleep(5)
        load.value = os.getloadavg()[0]
