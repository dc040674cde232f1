from eshet import yarp
from eshet_rules import rule


@rule(on_reload="restart")
async def port(scope, client):
    bell = await client.event_register("/bell")
    await bell("opened by v2")
    await yarp.state_register("/level", yarp.Value("v2"))
    scope.on_dispose(lambda: client.set("/heater", "closed by v2"))
