"""Devices that announce themselves: entities, names, availability and events."""

import tracemalloc

import pytest

from eshet import Unknown
from tests.support.bridged import bridged_house

NODE = {"ids": ["node-1"], "name": "Node", "mf": "Acme", "mdl": "M2", "sw": "1.4", "sa": "Hall"}


PARSED = tracemalloc.Filter(True, "*/json_text.py")


def sensor(topic="node/t", **more):
    return {"name": "Temperature", "stat_t": topic, "unit_of_meas": "°C", "dev": NODE, **more}


async def announce(house, topic, config):
    await house.publish(f"homeassistant/{topic}/config", config, retained=True)


async def test_a_sensor_is_a_state_of_its_device(house):
    await announce(house, "sensor/node/t", sensor(uniq_id="u1"))
    await house.publish("node/t", "19")
    assert repr(await house.get("Node/Temperature")) == "19.0"
    assert await house.get("Node/info") == {
        "id": "node-1",
        "name": "Node",
        "kind": "discovery",
        "model": "M2",
        "vendor": "Acme",
        "firmware": "1.4",
        "area": "Hall",
    }


async def test_entities_of_several_messages_are_one_device(house):
    await announce(house, "sensor/t", sensor())
    await announce(house, "sensor/node/h", sensor("node/h", name="Humidity"))
    await announce(house, "switch/node/s", {"name": "Relay", "cmd_t": "node/s", "dev": NODE})
    await house.publish("node/h", "40.5")
    assert await house.get("Node/Humidity") == 40.5
    await house.call("Node/Relay", True)
    assert house.sent == [("node/s", "ON")]


async def test_one_message_may_announce_a_whole_device(house):
    message = {
        "dev": NODE,
        "o": {"name": "program"},
        "stat_t": "node/state",
        "cmps": {
            "a": {"p": "sensor", "name": "A", "val_tpl": "{{ value_json.a }}", "stat_cla": "x"},
            "b": {"p": "binary_sensor", "name": "B", "val_tpl": "{{ value_json.b }}"},
        },
    }
    await announce(house, "device/node-1", message)
    await house.publish("node/state", {"a": 1.5, "b": "ON"})
    assert await house.get("Node/A") == 1.5
    assert await house.get("Node/B") is True
    message["cmps"]["a"] = {"p": "sensor"}  # removes it
    await announce(house, "device/node-1", message)
    assert await house.get("Node/A") == "path_not_found"
    assert await house.get("Node/B") is True
    await announce(house, "device/node-1", "")
    assert await house.get("Node/info") == "path_not_found"


async def test_full_names_of_options_are_read_as_abbreviations_are(house):
    config = {
        "name": "Relay",
        "command_topic": "x/set",
        "state_topic": "x/state",
        "device": {"identifiers": "x", "name": "X"},
    }
    await announce(house, "switch/x", config)
    await house.publish("x/state", "ON")
    assert await house.get("X/Relay") is True


@pytest.mark.parametrize(("topic", "full"), [("~/t", "base/t"), ("top/~", "top/base")])
async def test_a_tilde_stands_for_the_base_topic(house, topic, full):
    config = {**sensor(topic), "~": "base", "avty": [{"t": "~/online"}]}
    await announce(house, "sensor/t", config)
    await house.publish(full, "1")
    await house.publish("base/online", "online")
    assert await house.get("Node/Temperature") == 1
    assert await house.get("Node/online") is True


async def test_a_device_has_the_first_of_its_identifiers_or_a_connection(house):
    connection = {"cns": [["mac", "aa:bb"]], "name": "By connection"}
    await announce(house, "sensor/a", sensor(dev=connection))
    await announce(house, "sensor/b", sensor(dev={"name": "Nothing"}, uniq_id="u7"))
    await announce(house, "sensor/c", {"name": "Alone", "stat_t": "c"})
    assert (await house.get("By_connection/info"))["id"] == "mac:aa:bb"
    assert (await house.get("Nothing/info"))["id"] == "u7"
    assert (await house.get("Alone/info"))["id"] == "sensor/c"
    await house.publish("c", "text")
    assert await house.get("Alone/Alone") == "text"


async def test_each_entity_has_a_name_of_its_own(house):
    await announce(house, "sensor/a", sensor("a", name="Node"))
    await announce(house, "sensor/b", sensor("b", name=None, dev_cla="power"))
    await announce(house, "sensor/c", sensor("c", name="Node Power"))
    await announce(house, "sensor/d", sensor("d", name=None, dev_cla="power"))
    await announce(house, "binary_sensor/e", {"stat_t": "e", "dev": NODE})
    for topic, text in zip("abcd", "1234", strict=True):
        await house.publish(topic, text)
    names = [f"Node/{name}" for name in ("sensor", "power", "Power", "sensor_d")]
    assert [await house.get(name) for name in names] == [1, 2, 3, 4]
    assert await house.get("Node/binary_sensor") == "state_unknown"


async def test_an_announcement_that_changes_keeps_the_names_of_the_others(house):
    await announce(house, "sensor/a", sensor("a", name="Same"))
    await announce(house, "sensor/b", sensor("b", name="Same"))
    await announce(house, "sensor/a", sensor("a2", name="Same"))
    await house.publish("a2", "1")
    await house.publish("a", "3")
    await house.publish("b", "2")
    assert [await house.get("Node/Same"), await house.get("Node/sensor")] == [1, 2]


async def test_an_entity_that_moves_to_another_device_leaves_the_first(house):
    await announce(house, "sensor/a", sensor("a"))
    await announce(house, "sensor/a", sensor("a", dev={"ids": "other", "name": "Other"}))
    await house.publish("a", "1")
    assert await house.get("Other/Temperature") == 1
    assert await house.get("Node/info") == "path_not_found"


async def test_an_entity_with_a_new_kind_has_values_of_that_kind(house):
    def message(**component):
        return {"dev": NODE, "cmps": {"x": {"name": "X", "stat_t": "x", **component}}}

    await announce(house, "device/n", message(p="binary_sensor"))
    await house.publish("x", "ON")
    assert await house.get("Node/X") is True
    await announce(house, "device/n", message(p="sensor", unit_of_meas="W"))
    assert await house.get("Node/X") == "state_unknown"
    await house.publish("x", "7")
    assert await house.get("Node/X") == 7
    await announce(house, "device/n", message(p="button", cmd_t="x/set"))
    await house.call("Node/X")
    assert house.sent == [("x/set", "PRESS")]


async def test_a_removed_entity_is_gone_and_may_come_back(house):
    await announce(house, "sensor/t", sensor(uniq_id="u1"))
    await house.hear("Node/Temperature")
    await house.publish("node/t", "1")
    await announce(house, "sensor/t", "")
    assert house.heard[-1] == ("Node/Temperature", Unknown)
    assert await house.get("Node/info") == "path_not_found"
    await announce(house, "sensor/t", sensor(uniq_id="u1"))
    await house.publish("node/t", "2")
    assert house.heard[-1] == ("Node/Temperature", 2.0)


async def test_an_entity_with_the_unique_id_of_another_is_not_read(house, caplog):
    thief = sensor("thief/t", uniq_id="u1", dev={"ids": "thief", "name": "Thief"})
    await announce(house, "sensor/a", sensor(uniq_id="u1"))
    for _ in range(2):
        await announce(house, "sensor/b", thief)
    await house.publish("node/t", "1")
    await house.publish("thief/t", "9")
    assert await house.get("Node/Temperature") == 1
    assert await house.get("Thief/Temperature") == "path_not_found"
    problem = "the unique_id 'u1' is used by sensor/a"
    assert caplog.messages == [f"homeassistant/sensor/b is not read: {problem}"]
    assert (await house.get("Thief/info"))["unread"] == [f"sensor/b: {problem}"]
    await announce(house, "sensor/a", "")  # then the id is free for the other entity
    await house.publish("thief/t", "8")
    assert await house.get("Thief/Temperature") == 8


async def test_a_unique_id_that_changes_is_free_for_others(house, caplog):
    await announce(house, "sensor/a", sensor(uniq_id="u1"))
    await announce(house, "sensor/a", sensor(uniq_id="u2"))
    await announce(house, "sensor/b", sensor("b", uniq_id="u1", name="B"))
    await house.publish("b", "1")
    assert await house.get("Node/B") == 1
    assert caplog.messages == []


async def test_unsupported_entities_are_logged_once_and_the_others_are_read(house, caplog):
    vacuum = {"name": "Robot", "cmd_t": "r", "dev": NODE}
    template = sensor("x", name="Odd", val_tpl="{% for a %}")
    for _ in range(2):
        await announce(house, "sensor/t", sensor())
        await announce(house, "vacuum/r", vacuum)
        await announce(house, "sensor/x", template)
    await house.publish("node/t", "1")
    assert await house.get("Node/Temperature") == 1
    assert caplog.messages == [
        "homeassistant/vacuum/r is not read: the component 'vacuum' is not supported",
        "homeassistant/sensor/x is not read: the statement 'for' in the template '{% for a %}'",
    ]
    assert len((await house.get("Node/info"))["unread"]) == 2


async def test_announcements_of_programs_with_a_reader_of_their_own_are_ignored(house):
    await announce(house, "sensor/z", sensor(o={"name": "Zigbee2MQTT"}))
    assert await house.get("Node/info") == "path_not_found"


async def test_announcements_may_have_another_prefix(advance):
    async with bridged_house(advance, discovery=("ha", "other/prefix")) as house:
        await house.publish("ha/sensor/t/config", sensor(), retained=True)
        await house.publish("other/prefix/sensor/t/config", sensor(), retained=True)
        await house.publish("node/t", "1")
        assert await house.get("Node/Temperature") == 1
        assert await house.get("Node_e_1/Temperature") == "path_not_found"
        assert await house.get("Node_de_1/Temperature") == 1


async def test_messages_of_parts_keep_the_other_values(house):
    await announce(house, "sensor/a", sensor("n", name="A", val_tpl="{{ value_json.a }}"))
    await announce(house, "sensor/b", sensor("n", name="B", val_tpl="{{ value_json.b }}"))
    await house.publish("n", {"a": 1, "b": 2})
    await house.publish("n", {"a": 3})
    await house.publish("n", "")
    assert [await house.get("Node/A"), await house.get("Node/B")] == [3, 2]
    await house.publish("n", {"a": None})
    assert await house.get("Node/A") == "state_unknown"


async def test_a_payload_of_another_form_is_logged_once(house, caplog):
    await announce(house, "sensor/t", sensor())
    await house.publish("node/t", "1")
    for text in ("warm", "hot", "{}"):
        await house.publish("node/t", text)
    assert await house.get("Node/Temperature") == 1
    assert len(caplog.messages) == 1
    assert caplog.messages[0].startswith("node/t: could not convert string to float: 'warm'")


# --- availability -------------------------------------------------------------------------------


async def test_a_device_without_a_topic_for_it_has_no_availability(house):
    await announce(house, "sensor/t", sensor())
    await house.publish("node/t", "1")
    assert await house.get("Node/online") == "state_unknown"
    assert await house.get("Node/Temperature") == 1


async def test_a_device_is_offline_according_to_its_topic(house, advance):
    await announce(house, "sensor/t", sensor(avty_t="n/lwt", pl_avail="up", pl_not_avail="down"))
    await house.publish("node/t", "1")
    await house.publish("n/lwt", "up", retained=True)
    await house.publish("n/lwt", "sideways", retained=True)
    assert await house.get("Node/online") is True
    await house.publish("n/lwt", "down", retained=True)
    await advance(2.1)
    assert await house.get("Node/online") is False
    assert await house.get("Node/Temperature") == "state_unknown"


@pytest.mark.parametrize(
    ("mode", "messages", "online"),
    [
        ("latest", ["a offline", "b online"], True),
        ("latest", ["a online", "b offline"], False),
        ("all", ["a online", "b online"], True),
        ("all", ["a online"], False),
        ("all", ["a offline", "b online"], False),
        ("any", ["a offline", "b online"], True),
        ("any", ["b online", "a offline"], True),
        ("any", ["a offline", "b offline"], False),
    ],
)
async def test_several_topics_are_combined_by_the_mode(house, advance, mode, messages, online):
    await announce(house, "sensor/t", sensor(avty=[{"t": "a"}, {"t": "b"}], avty_mode=mode))
    for message in messages:
        await house.publish(*message.split())
    await advance(2.1)
    assert await house.get("Node/online") is online


async def test_an_availability_may_have_a_template(house, advance):
    template = "{{ value_json.state }}"
    await announce(house, "sensor/a", sensor(avty={"t": "b/state", "val_tpl": template}))
    await house.publish("b/state", {"other": 1})
    await house.publish("b/state", {"state": "online"})
    assert await house.get("Node/online") is True
    await announce(house, "sensor/a", sensor(avty_t="b/state", avty_tpl=template))
    await house.publish("b/state", {"state": "offline"})
    await advance(2.1)
    assert await house.get("Node/online") is False


async def test_a_device_is_online_while_one_of_its_entities_is(house, advance):
    await announce(house, "sensor/a", sensor("a", name="A", avty_t="a/on"))
    await announce(house, "sensor/b", sensor("b", name="B", avty_t="b/on"))
    await house.publish("a/on", "online")
    await house.publish("b/on", "offline")
    await advance(2.1)
    assert await house.get("Node/online") is True
    await house.publish("a/on", "offline")
    await advance(2.1)
    assert await house.get("Node/online") is False


# --- events -------------------------------------------------------------------------------------


def trigger(subtype, payload, topic="remote/action", **more):
    return {
        "automation_type": "trigger",
        "type": "button_short_press",
        "subtype": subtype,
        "payload": payload,
        "topic": topic,
        "dev": NODE,
        **more,
    }


async def test_triggers_of_a_device_are_one_event(house):
    await announce(house, "device_automation/n/a", trigger("button_1", "1_single"))
    await announce(house, "device_automation/n/b", trigger("button_2", "2_single"))
    await house.listen("Node/action")
    for payload in ("2_single", "1_single", "1_single", "unheard"):
        house.publish_now("remote/action", payload)
    await house.settle()
    assert [payload["subtype"] for _, payload in house.heard] == [
        "button_2",
        "button_1",
        "button_1",
    ]
    assert house.heard[0][1]["type"] == "button_short_press"


async def test_a_trigger_that_is_announced_after_a_sensor_of_its_topic_counts_each_message(house):
    await announce(house, "sensor/n/a", {"name": "Last", "stat_t": "remote/action", "dev": NODE})
    await announce(house, "device_automation/n/a", trigger("button_1", "single"))
    await house.listen("Node/action")
    for _ in range(3):
        house.publish_now("remote/action", "single")
    await house.settle()
    assert len(house.heard) == 3
    assert await house.get("Node/Last") == "single"


async def test_retained_triggers_and_events_did_not_happen_now(house):
    await house.publish("remote/action", "single", retained=True)
    await house.publish("bell", {"event_type": "ring"}, retained=True)
    await announce(house, "device_automation/n/a", trigger("button_1", "single"))
    event = {"name": "Bell", "stat_t": "bell", "evt_typ": ["ring"], "dev": NODE}
    await announce(house, "event/n/b", event)
    await house.listen("Node/action", "Node/Bell")
    await house.settle()
    assert house.heard == []


async def test_an_event_has_one_of_its_types(house, caplog):
    event = {"name": "Bell", "stat_t": "bell", "evt_typ": ["ring", "hold"], "dev": NODE}
    await announce(house, "event/bell", event)
    await house.listen("Node/Bell")
    await house.publish("bell", {"event_type": "ring", "more": 1})
    await house.publish("bell", {"event_type": "sing"})
    await house.publish("bell", {"event_type": "hold"})
    assert house.heard == [("Node/Bell", "ring"), ("Node/Bell", "hold")]
    assert caplog.messages == ["bell: the event_type 'sing', which is not declared"]


async def test_malformed_announcements_are_named_once_each_until_they_are_right(house, caplog):
    for _ in range(2):
        for topic in ("sensor/a", "sensor/b"):
            await announce(house, topic, [])
    problem = "the message is not a JSON object"
    assert caplog.messages == [
        f"homeassistant/sensor/a/config: {problem}",
        f"homeassistant/sensor/b/config: {problem}",
    ]
    await announce(house, "sensor/a", sensor())
    await announce(house, "sensor/a", [])
    await house.publish("node/t", "1")
    assert await house.get("Node/Temperature") == 1
    assert len(caplog.messages) == 3


async def test_changing_announcements_with_the_id_of_another_use_no_more_memory(house, caplog):
    """They are logged once, and nothing is kept of the announcements that were replaced."""
    await announce(house, "sensor/a", sensor(uniq_id="u1"))
    tracemalloc.start()
    try:
        for number in range(30):
            device = {"ids": "b", "sw": f"{number}{'x' * 100_000}", f"{number}": "x" * 100_000}
            await announce(house, "sensor/b", sensor(uniq_id="u1", dev=device))
        kept = tracemalloc.take_snapshot().filter_traces([PARSED]).statistics("filename")
    finally:
        tracemalloc.stop()
    assert sum(each.size for each in kept) < 1_000_000
    assert caplog.messages == [
        "homeassistant/sensor/b is not read: the unique_id 'u1' is used by sensor/a"
    ]


async def test_an_entity_that_waited_for_an_id_and_was_removed_does_not_get_it(house):
    for key in "abc":
        device = {"ids": key, "name": key}
        await announce(house, f"sensor/{key}", sensor(key, uniq_id="u", dev=device))
    await announce(house, "sensor/b", "")
    await announce(house, "sensor/a", "")
    await house.publish("c", "3")
    assert await house.get("c/Temperature") == 3
    assert await house.get("b/Temperature") == "path_not_found"
