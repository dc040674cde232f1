"""Watchdog: each evening a list of low batteries and silent devices, also of those added later."""

from eshet import yarp
from eshet_rules import rule


@rule
async def watchdog(client):
    problems = {}

    async def watch(path):
        if path.endswith("/battery") and path not in problems:
            battery = await yarp.state_observe(path)
            problems[path] = yarp.default(battery < 15, False) | yarp.stale(battery, 86400)

    changed = await yarp.event_listen("/meta/changed")  # "added" or "removed", path, kind
    changed.on_event(lambda change: watch(change[1]))
    page = {"next": ""}
    while page["next"] is not None:
        page = await client.action_call("/meta/tree", page["next"])
        for path, *_ in page["nodes"]:
            await watch(path)

    bad = yarp.fn(lambda _: ", ".join(path for path in problems if problems[path].value))
    await yarp.action_call("/notify/phone", yarp.filter(bad(yarp.schedule("18:00")), None))
