"""The bridge to a real Home Assistant, and our states in it; see `make test-ha`."""

import json
import shutil

import pytest

from eshet import ErrorValue, Unknown
from tests.homeassistant.conftest import INSTALLED, RULES, House
from tests.support.processes import command

if INSTALLED is None:
    pytest.skip("Home Assistant was not tested: run `make test-ha`", allow_module_level=True)

pytestmark = pytest.mark.timeout(300)

ON_OR_OFF = {
    "automation", "binary_sensor", "calendar", "fan", "humidifier", "light", "script", "siren",
    "switch", "update",
}  # fmt: skip

TARGET = "/ha/number/house_thermostat_target"
"""The thermostat of our rule, as Home Assistant has it, as we have it from there."""

EVENING = """
from eshet import yarp
from eshet_rules import rule

@rule
async def evening():
    bell = await yarp.event_listen("/bell")
    script = yarp.fn(lambda _: {"entity_id": "script.evening"})(bell)
    await yarp.action_call("/ha/services/script/turn_on", script)

@rule
async def shown():
    office = await yarp.state_observe("/ha/light/office_rgbw_lights/state")
    switch = await yarp.state_observe("/ha/switch/decorative_lights/state")
    entrance = await yarp.state_observe("/ha/light/entrance_color_white_lights/state")
    await yarp.state_register("/shown", yarp.fn(lambda *all_: list(all_))(office, switch, entrance))
"""


def test_all_entities_are_mirrored_with_their_types(house: House) -> None:
    entities = house.ha.request("/api/states")
    assert len(entities) > 100
    for entity in entities:
        domain, _, name = entity["entity_id"].partition(".")
        state, attributes = entity["state"], entity["attributes"]
        path = f"/ha/{domain}/{name}"
        info = house.observe(f"{path}/info").until(lambda info: info is not Unknown)
        assert info["id"] == entity["entity_id"]
        if state in ("unknown", "unavailable"):
            with pytest.raises(ErrorValue, match="state_unknown"):
                house.client.get(f"{path}/state")
            continue
        value = house.client.get(f"{path}/state")
        if domain in ON_OR_OFF:
            assert value is (state == "on"), entity
        elif domain == "lock":
            assert value is (state == "locked"), entity
        elif domain == "number" or "unit_of_measurement" in attributes:
            assert isinstance(value, float), entity
        else:
            assert isinstance(value, str), entity


def test_a_light_is_set_and_its_attribute_observed(house: House) -> None:
    state = house.observe("/ha/light/kitchen_lights/state")
    brightness = house.observe("/ha/light/kitchen_lights/attr/brightness")
    brightness.until(lambda value: isinstance(value, int))
    house.client.set("/ha/light/kitchen_lights/state", False)
    state.until(lambda value: value is False)
    brightness.until(lambda value: value is Unknown)
    house.client.action_call(
        "/ha/services/light/turn_on", {"entity_id": "light.kitchen_lights", "brightness": 77}
    )
    state.until(lambda value: value is True)
    brightness.until(lambda value: value == 77)


@pytest.mark.parametrize(
    ("path", "value"),
    [
        ("/ha/lock/front_door/state", False),
        ("/ha/number/volume/state", 17.0),
        ("/ha/select/speed/state", "light_speed"),
        ("/ha/climate/heatpump/state", "off"),
        ("/ha/cover/garage_door/state", "open"),
        ("/ha/text/text/state", "hello"),
    ],
)
def test_entities_of_other_domains_are_set(house: House, path: str, value: object) -> None:
    state = house.observe(path)
    house.client.set(path, value)
    state.until(lambda seen: seen == value)


def test_a_service_is_called_with_a_reply(house: House) -> None:
    target = {"entity_id": "weather.demo_weather_south"}
    reply = house.client.action_call(
        "/ha/services/weather/get_forecasts", {"type": "daily"}, target
    )
    assert reply["weather.demo_weather_south"]["forecast"]


@pytest.mark.parametrize(
    ("data", "error"),
    [
        ({"entity_id": "light.kitchen"}, "'light.kitchen' is not allowed: write one of light"),
        ({"area_id": "nowhere"}, "'nowhere' is not allowed"),
        ({"entity_id": "light.kitchen_lights", "brightness": "x"}, "invalid_format"),
    ],
)
def test_a_wrong_call_is_an_error(house: House, data: dict[str, object], error: str) -> None:
    with pytest.raises(ErrorValue, match=error):
        house.client.action_call("/ha/services/light/turn_on", data)


def test_our_thermostat_is_shown_and_set_in_home_assistant(house: House) -> None:
    shown = house.observe(f"{TARGET}/state")
    shown.until(lambda value: value == 21)
    entity = house.ha.request("/api/states/number.house_thermostat_target")
    attributes = entity["attributes"]
    assert [attributes[name] for name in ("min", "max", "step")] == [5, 30, 0.5]
    assert attributes["unit_of_measurement"] == "°C"

    ours = house.observe("/house/thermostat/target")
    service = "/api/services/number/set_value"
    house.ha.request(service, {"entity_id": "number.house_thermostat_target", "value": 23.5})
    ours.until(lambda value: value == 23.5)
    shown.until(lambda value: value == 23.5)
    house.client.set("/house/thermostat/target", 19)
    shown.until(lambda value: value == 19)


def test_all_effects_of_a_script_follow_from_the_rule_that_called_it(house: House) -> None:
    house.rules.write("evening.py", EVENING)
    house.client.set("/ha/switch/decorative_lights/state", True)
    effects = (
        "/ha/light/office_rgbw_lights/state",  # of the script
        "/ha/switch/decorative_lights/state",  # of an automation that the first effect triggers
        "/ha/light/entrance_color_white_lights/state",  # of the script, two seconds later
    )
    shown = house.observe("/shown")
    shown.until(lambda value: value == [True, True, True])
    house.client.event_emit("/bell", 1)
    shown.until(lambda value: value == [False, False, False])
    given = [str(house.rules.path), "--state-dir", str(house.state), "--json"]
    records = [
        json.loads(line) for line in command("eshet-rules", "audit", *given).stdout.splitlines()
    ]
    inputs = [record for record in records if record["event"] == "input.received"]
    [bell] = [record for record in inputs if record["path"] == "/bell"]
    for path in effects:
        [effect] = [each for each in inputs if each["path"] == path and each["value"] is False]
        assert effect.get("parent") == bell["cause"], path
    house.rules.remove("evening.py")


def test_an_unknown_state_of_ours_is_unavailable_in_home_assistant(house: House) -> None:
    shown = house.observe(f"{TARGET}/state")
    online = house.observe(f"{TARGET}/online")
    shown.until(lambda value: value is not Unknown)
    house.rules.remove("heating.py")
    shown.until(lambda value: value is Unknown)
    online.until(lambda value: value is False)
    entity = house.ha.request("/api/states/number.house_thermostat_target")
    assert entity["state"] == "unavailable"
    shutil.copy(RULES / "heating.py", house.rules.path)
    shown.until(lambda value: value is not Unknown)


def test_a_restart_makes_everything_unknown_and_brings_it_back(house: House) -> None:
    states = {
        path: house.observe(path)
        for path in (
            "/ha/bridge/online",
            "/ha/light/bed_light/state",
            "/ha/sensor/outside_temperature/state",
            f"{TARGET}/state",
        )
    }
    before = {
        path: state.until(lambda value: value is not Unknown) for path, state in states.items()
    }
    house.ha.stop()
    for path, state in states.items():
        gone = False if path == "/ha/bridge/online" else Unknown
        state.until(lambda value, gone=gone: value is gone)
    house.ha.start()
    for path, state in states.items():
        assert state.until(lambda value: value is not Unknown) == before[path]
        assert len(state.seen) == 3
    house.client.set("/ha/light/bed_light/state", True)
    states["/ha/light/bed_light/state"].until(lambda value: value is True)
