"""Weather: polls a service on the web, for rules that need the temperature outside."""

import asyncio
import json
from urllib.request import urlopen

from eshet import Unknown, yarp
from eshet_rules import rule


def fetch(url):
    with urlopen(url, timeout=10) as reply:
        return json.load(reply)["current"]["temperature_2m"]


@rule
async def weather(config):
    temperature = yarp.Value(Unknown)
    await yarp.state_register("/weather/temperature", temperature)
    while True:
        try:
            temperature.value = await asyncio.to_thread(fetch, config.url)
        except (OSError, ValueError, LookupError):  # no network, no JSON, no such field
            temperature.value = Unknown
        await asyncio.sleep(600)
