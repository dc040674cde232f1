"""What a guard of the loop raises in a rule, and sys.exit(), goes no further than that rule."""

import pytest

TWO_RULES = """
import sys
from eshet import yarp
from eshet.exceptions import Interrupted
from eshet_rules import rule

@rule
async def bad(client):
    poke = await yarp.event_listen("/poke")
    {body}

@rule
async def good():
    poke = await yarp.event_listen("/poke")
    await yarp.state_register("/pokes", yarp.fn(lambda n: n)(yarp.event_to_value(poke, 0)))
"""

BODIES = {
    "a callback": "poke.on_value_changed(lambda _: fail())",
    "a node": "yarp.fn(lambda _: fail())(poke).on_value_changed(print)",
    "a listener": "await client.event_listen_cb('/poke', lambda _: fail())",
    "an action": "await client.action_register('/bad/action', lambda: fail())",
}


@pytest.mark.parametrize("body", BODIES.values(), ids=BODIES)
@pytest.mark.parametrize("error", ["Interrupted('blocked')", "SystemExit(3)"])
async def test_the_connection_and_the_other_rules_of_the_module_go_on(house, body, error):
    await house.viewer.event_register("/poke")
    raising = f"def fail():\n        raise {error}\n    {body}"
    house.write("hall.py", TWO_RULES.format(body=raising))
    assert await house.update()
    pokes = await house.watch("/pokes")
    for number in range(1, 4):
        await house.viewer.event_emit("/poke", number)
        if "action" in body:
            with pytest.raises(Exception, match="bad/action"):
                await house.viewer.action_call("/bad/action")
        await house.advance(61)  # within a minute, an equal failure is not shown again
    assert pokes == [0, 1, 2, 3]
    failed = [r for r in house.log.records if r["event"] == "rule.failed"]
    assert [r["rule"] for r in failed] == ["hall.bad"] * 3


ODD = """
from eshet import yarp
from eshet_rules import rule
from tests.support.hostile import ODD_ERRORS

def fail():
    raise ODD_ERRORS[{kind!r}]()

@rule
async def bad(client):
    poke = await yarp.event_listen("/poke")
    {body}
"""

ODD_KINDS = [
    "__cause__ raises ValueError",
    "__class__ raises KeyboardInterrupt",
    "__notes__ raises Own",
    "__str__ raises KeyboardInterrupt",
    "__getattribute__ raises KeyboardInterrupt",
    "__getattribute__ of its class raises KeyboardInterrupt",
    "__name__ of its class raises Own",
]


IN_SET_UP = ["fail()", "raise OSError('other') from ODD_ERRORS[{kind!r}]()"]


@pytest.mark.parametrize("body", [*BODIES.values(), *IN_SET_UP])
@pytest.mark.parametrize("kind", ODD_KINDS)
async def test_an_error_of_an_odd_class_is_a_failure_of_its_rule(house, body, kind):
    await house.viewer.event_register("/poke")
    house.write("hall.py", ODD.format(body=body.format(kind=kind), kind=kind))
    assert await house.update() is (body not in IN_SET_UP)
    await house.viewer.event_emit("/poke", 1)
    if "action" in body:
        with pytest.raises(Exception, match="bad/action"):
            await house.viewer.action_call("/bad/action")
    await house.advance(0.5)
    failed = [r for r in house.log.records if r["event"] == "rule.failed"]
    assert failed
    assert {r["rule"] for r in failed} == {"hall.bad"}
    assert all(r["error"] for r in failed)
