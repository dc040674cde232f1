"""The components of Home Assistant's discovery: values, sets, actions and errors."""

import pytest

from eshet.bridges.mqtt.discovery.components import COMPONENTS, parts_of
from eshet.bridges.mqtt.discovery.parts import UnreadableEntity


async def announced(house, component, **options):
    """Announce an entity with the name `X` of the device `D`."""
    config = {"name": "X", "dev": {"ids": "d", "name": "D"}, **options}
    await house.publish(f"homeassistant/{component}/x/config", config, retained=True)


TEMPLATE = "{{ value_json.x }}"
READ = [
    ("sensor", {"unit_of_meas": "W"}, "19", 19.0),
    ("sensor", {"unit_of_meas": "W"}, "None", "state_unknown"),
    ("sensor", {"dev_cla": "enum", "ops": ["a", "b"]}, "b", "b"),
    ("sensor", {"dev_cla": "timestamp"}, "2026-01-01T00:00:00", "2026-01-01T00:00:00"),
    ("sensor", {}, "None", "state_unknown"),
    ("sensor", {"val_tpl": "{{ value | upper }}"}, "text", "TEXT"),
    ("binary_sensor", {}, "ON", True),
    ("binary_sensor", {"pl_on": "open", "pl_off": "shut"}, "shut", False),
    ("binary_sensor", {"pl_on": True, "pl_off": False, "val_tpl": TEMPLATE}, '{"x":true}', True),
    ("binary_sensor", {}, "None", "state_unknown"),
    ("switch", {"stat_on": "1", "stat_off": "0"}, "1", True),
    ("number", {}, "5", 5.0),
    ("select", {"ops": ["eco", "heat"]}, "eco", "eco"),
    ("text", {}, "None", "None"),
]  # fmt: skip


@pytest.mark.parametrize(("component", "options", "payload", "value"), READ)
async def test_a_component_of_one_value_reports_it(house, component, options, payload, value):
    await announced(house, component, stat_t="x", cmd_t="x/set", **options)
    await house.publish("x", payload)
    read = await house.get("D/X")
    assert (type(read), read) == (type(value), value)


SENT = [
    ("switch", {}, True, "ON"),
    ("switch", {"pl_on": True, "pl_off": False}, False, False),
    ("switch", {"cmd_tpl": '{"on": "{{ value }}"}'}, True, {"on": "ON"}),
    ("number", {"min": 0, "max": 50, "step": 0.5}, 19.0, 19),
    ("number", {"min": 0, "max": 50, "step": 0.5}, 19.5, 19.5),
    ("number", {"cmd_tpl": "{{ (value * 10) | int }}"}, 19, 190),
    ("select", {"ops": ["eco", 7]}, "7", 7),
    ("text", {"max": 4}, "abc", "abc"),
]


@pytest.mark.parametrize(("component", "options", "value", "payload"), SENT)
async def test_a_component_of_one_value_is_set(house, component, options, value, payload):
    await announced(house, component, stat_t="x", cmd_t="x/set", **options)
    await house.set("D/X", value)
    shown = payload if not isinstance(payload, bool) else str(payload)
    assert house.sent == [("x/set", shown)]
    assert "x/set" not in house.broker.retained


@pytest.mark.parametrize(
    ("component", "options", "value", "allowed"),
    [
        ("switch", {}, "ON", "true or false"),
        ("number", {"max": 50}, 51, "a number from 1 to 50"),
        ("number", {"step": 0.5}, 1.3, "in steps of 0.5"),
        ("select", {"ops": ["eco"]}, "heat", "one of 'eco'"),
        ("text", {"max": 4}, "abcde", "at most 4 characters"),
    ],
)
async def test_a_value_that_is_not_allowed_is_not_sent(house, component, options, value, allowed):
    await announced(house, component, stat_t="x", cmd_t="x/set", **options)
    assert allowed in await house.refused(house.set("D/X", value))
    assert house.sent == []


async def test_a_value_that_is_only_sent_is_an_action_with_a_checked_argument(house):
    await announced(house, "number", cmd_t="x/set", max=5)
    await house.call("D/X", 3)
    assert "from 1 to 5" in await house.refused(house.call("D/X", 9))
    assert "None is not allowed" in await house.refused(house.call("D/X"))
    assert house.sent == [("x/set", 3)]


async def test_a_button_is_pressed_by_a_call(house):
    await announced(house, "button", cmd_t="x/set", pl_prs="go")
    await house.call("D/X")
    assert house.sent == [("x/set", "go")]


async def test_a_light_has_topics_for_each_of_its_values(house):
    await announced(
        house, "light", stat_t="l", cmd_t="l/set",
        bri_stat_t="l/bri", bri_cmd_t="l/bri/set", bri_scl=100,
        clr_temp_stat_t="l/ct", clr_temp_cmd_t="l/ct/set", min_mirs=200, max_mirs=400,
        rgb_stat_t="l/rgb", rgb_cmd_t="l/rgb/set",
        fx_stat_t="l/fx", fx_cmd_t="l/fx/set", fx_list=["rainbow"],
    )  # fmt: skip
    for topic, text in {
        "l": "ON", "l/bri": "50", "l/ct": "250", "l/rgb": "255,128,0", "l/fx": "rainbow",
    }.items():  # fmt: skip
        await house.publish(topic, text)
    names = ("state", "brightness", "color_temp", "rgb", "effect")
    assert [await house.get(f"D/X/{name}") for name in names] == [
        True,
        0.5,
        4000,
        {"r": 255, "g": 128, "b": 0},
        "rainbow",
    ]
    await house.set("D/X/state", False)
    await house.set("D/X/brightness", 0.25)
    await house.set("D/X/color_temp", 2500)
    await house.set("D/X/rgb", {"r": 1, "g": 2, "b": 3})
    assert "from 2500 to 5000" in await house.refused(house.set("D/X/color_temp", 6000))
    assert house.sent == [
        ("l/set", "OFF"),
        ("l/bri/set", 25),
        ("l/ct/set", 400),
        ("l/rgb/set", "1,2,3"),
    ]


async def test_a_light_in_kelvin_is_not_converted(house):
    await announced(
        house, "light", cmd_t="l", clr_temp_stat_t="ct", clr_temp_cmd_t="ct/set",
        clr_temp_k=True, min_k=2000, max_k=6000,
    )  # fmt: skip
    await house.publish("ct", "3000")
    assert await house.get("D/X/color_temp") == 3000
    await house.set("D/X/color_temp", 4000)
    assert house.sent == [("ct/set", 4000)]


async def test_a_light_with_json_has_one_topic(house):
    await announced(
        house, "light", schema="json", stat_t="l", cmd_t="l/set",
        sup_clrm=["color_temp", "xy"], fx_list=["rainbow"],
    )  # fmt: skip
    await house.publish("l", {"state": "ON", "brightness": 51, "color_temp": 250})
    await house.publish("l", {"color": {"x": 0.1, "y": 0.2}, "effect": "rainbow"})
    names = ("state", "brightness", "color_temp", "color", "effect")
    assert [await house.get(f"D/X/{name}") for name in names] == [
        True,
        0.2,
        4000,
        {"x": 0.1, "y": 0.2},
        "rainbow",
    ]
    await house.set("D/X/state", False)
    await house.set("D/X/brightness", 0.5)
    await house.set("D/X/color_temp", 4000)
    await house.set("D/X/color", {"x": 0.3})
    await house.set("D/X/effect", "rainbow")
    assert house.sent == [
        ("l/set", {"state": "OFF"}),
        ("l/set", {"state": "ON", "brightness": 128}),
        ("l/set", {"state": "ON", "color_temp": 250}),
        ("l/set", {"state": "ON", "color": {"x": 0.3}}),
        ("l/set", {"state": "ON", "effect": "rainbow"}),
    ]
    await house.publish("l", {"state": None})
    assert await house.get("D/X/state") == "state_unknown"


async def test_wrong_messages_of_a_light_with_json_are_logged_once(house, caplog):
    await announced(house, "light", schema="json", stat_t="l", cmd_t="l/set", brightness=True)
    for payload in ("ON", "[1]", {"state": "MAYBE"}, {"brightness": "x"}, "[" * 50_000):
        await house.publish("l", payload)
    assert await house.get("D/X/brightness") == "state_unknown"
    assert caplog.messages == ["l: not JSON: JSON is malformed: invalid character (byte 0)"]
    await house.publish("l", {"state": "ON", "brightness": 255})
    assert await house.get("D/X/brightness") == 1.0


async def test_a_light_of_an_unknown_schema_is_named(house, caplog):
    await announced(house, "light", schema="template", cmd_t="l")
    assert "the schema 'template' is not supported" in caplog.text


async def test_a_cover_has_a_state_a_position_and_actions(house):
    await announced(
        house, "cover", stat_t="c", cmd_t="c/set", pos_t="c/pos", set_pos_t="c/pos/set",
        pos_open=0, pos_clsd=50, tilt_status_t="c/tilt", tilt_cmd_t="c/tilt/set", stat_open="up",
    )  # fmt: skip
    await house.publish("c", "up")
    await house.publish("c/pos", "10")
    await house.publish("c/tilt", "30")
    assert await house.get("D/X/state") == "open"
    assert await house.get("D/X/position") == 80
    assert await house.get("D/X/tilt") == 30
    await house.set("D/X/position", 100)
    await house.set("D/X/tilt", 40)
    for action in ("open", "close", "stop"):
        await house.call(f"D/X/{action}")
    assert house.sent == [
        ("c/pos/set", 0),
        ("c/tilt/set", 40),
        ("c/set", "OPEN"),
        ("c/set", "CLOSE"),
        ("c/set", "STOP"),
    ]


async def test_a_cover_that_can_not_stop_has_no_such_action(house):
    await announced(house, "cover", cmd_t="c/set", pl_stop=None)
    assert await house.get("D/X/stop") == "path_not_found"
    await house.call("D/X/open")


async def test_a_cover_without_a_range_has_no_position(house, caplog):
    await announced(house, "cover", pos_t="c/pos", set_pos_t="c/set", pos_open=5, pos_clsd=5)
    for text in ("1", "2"):
        await house.publish("c/pos", text)
    assert await house.get("D/X/position") == "state_unknown"
    assert len(caplog.messages) == 1


async def test_a_climate_device_has_modes_and_temperatures(house):
    await announced(
        house, "climate", mode_stat_t="m", mode_cmd_t="m/set", modes=["off", "heat"],
        temp_stat_t="t", temp_cmd_t="t/set", min_temp=5, max_temp=30, temp_step=0.5,
        curr_temp_t="now", curr_hum_t="rh", act_t="a", act_tpl="{{ value_json.a }}",
        fan_mode_stat_t="f", fan_mode_cmd_t="f/set", swing_mode_cmd_t="s/set",
        pr_mode_stat_t="p", pr_mode_cmd_t="p/set", pr_modes=["eco"],
        temp_lo_stat_t="lo", temp_hi_stat_t="hi",
    )  # fmt: skip
    for topic, text in {
        "m": "heat", "t": "21.5", "now": "20", "rh": "45", "a": '{"a": "idle"}', "f": "auto",
        "p": "eco", "lo": "18", "hi": "24",
    }.items():  # fmt: skip
        await house.publish(topic, text)
    values = {
        "mode": "heat", "temperature": 21.5, "current_temperature": 20, "current_humidity": 45,
        "action": "idle", "fan_mode": "auto", "preset_mode": "eco", "temperature_low": 18,
        "temperature_high": 24,
    }  # fmt: skip
    assert {name: await house.get(f"D/X/{name}") for name in values} == values
    await house.set("D/X/mode", "off")
    await house.set("D/X/temperature", 22.0)
    await house.set("D/X/preset_mode", "none")
    await house.call("D/X/swing_mode", "on")
    assert "from 5 to 30 in steps of 0.5 °C" in await house.refused(
        house.set("D/X/temperature", 22.3)
    )
    assert house.sent == [("m/set", "off"), ("t/set", 22), ("p/set", "none"), ("s/set", "on")]


async def test_a_lock_is_locked_unlocked_or_moving(house):
    await announced(house, "lock", stat_t="k", cmd_t="k/set", pl_open="OPEN")
    await house.publish("k", "LOCKED")
    assert await house.get("D/X/locked") is True
    await house.publish("k", "UNLOCKING")
    assert await house.get("D/X/locked") == "state_unknown"
    await house.publish("k", "UNLOCKED")
    assert await house.get("D/X/locked") is False
    await house.set("D/X/locked", True)
    await house.call("D/X/open")
    assert house.sent == [("k/set", "LOCK"), ("k/set", "OPEN")]


async def test_a_fan_has_a_speed_in_percent(house):
    await announced(
        house, "fan", stat_t="f", cmd_t="f/set", pct_stat_t="p", pct_cmd_t="p/set",
        spd_rng_min=1, spd_rng_max=4, osc_stat_t="o", osc_cmd_t="o/set",
        dir_stat_t="d", dir_cmd_t="d/set", pr_mode_stat_t="m", pr_mode_cmd_t="m/set",
        pr_modes=["auto", "night"],
    )  # fmt: skip
    for topic, text in {
        "f": "ON", "p": "2", "o": "oscillate_on", "d": "reverse", "m": "night",
    }.items():  # fmt: skip
        await house.publish(topic, text)
    values = {
        "state": True, "percentage": 50, "oscillation": True, "direction": "reverse",
        "preset_mode": "night",
    }  # fmt: skip
    assert {name: await house.get(f"D/X/{name}") for name in values} == values
    await house.set("D/X/percentage", 75)
    await house.set("D/X/oscillation", False)
    await house.set("D/X/direction", "forward")
    await house.set("D/X/preset_mode", "auto")
    assert house.sent == [
        ("p/set", 3),
        ("o/set", "oscillate_off"),
        ("d/set", "forward"),
        ("m/set", "auto"),
    ]


def test_fourteen_components_are_read():
    assert len(COMPONENTS) == 14


@pytest.mark.parametrize("component", sorted(COMPONENTS))
def test_an_entity_without_topics_is_named(component):
    needed = {"options": ["a"], "event_types": ["a"], "type": "a", "subtype": "b"}
    with pytest.raises(UnreadableEntity, match="no topic is configured"):
        parts_of(component, needed)


@pytest.mark.parametrize(
    ("component", "options"),
    [
        ("select", {"state_topic": "x"}),
        ("select", {"state_topic": "x", "options": "abc"}),
        ("select", {"state_topic": "x", "options": 3}),
        ("event", {"state_topic": "x", "event_types": {"a": 1}}),
        ("device_automation", {"topic": "x"}),
        ("number", {"state_topic": "x", "min": "low"}),
        ("number", {"state_topic": "x", "max": 10**400}),
        ("text", {"state_topic": "x", "max": []}),
        ("light", {"command_topic": "x", "brightness_scale": None}),
        ("light", {"command_topic": "x", "min_mireds": 0}),
        ("light", {"command_topic": "x", "schema": ["json"]}),
        ("light", {"command_topic": "x", "schema": "json", "supported_color_modes": 5}),
        ("cover", {"state_topic": "x", "tilt_min": {}}),
        ("climate", {"mode_state_topic": "x", "modes": "heat"}),
        ("fan", {"state_topic": "x", "speed_range_min": "slow"}),
        ("sensor", {"state_topic": ["x"]}),
        ("sensor", {"state_topic": 5}),
        ("sensor", {"state_topic": "a/+/b"}),
        ("sensor", {"state_topic": "a\0"}),
        ("switch", {"command_topic": "#"}),
        ("sensor", {"state_topic": "x" * 70_000}),
        ("robot", {"state_topic": "x"}),
    ],
)
def test_options_of_a_wrong_type_are_named(component, options):
    with pytest.raises(UnreadableEntity):
        parts_of(component, options)
