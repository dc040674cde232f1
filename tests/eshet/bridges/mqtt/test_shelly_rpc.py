"""Shelly devices of generation 2 and later: calls, notifications, events and sleeping devices."""

import asyncio

import pytest

from eshet import Client
from eshet.bridges.mqtt.bridge import MqttBridge
from eshet.bridges.settings import MqttSettings
from eshet.server import Server

PREFIX = "shellyplus2pm-a8"
STATUS = {
    "sys": {"mac": "A8", "uptime": 5},
    "wifi": {"sta_ip": "192.168.1.8", "rssi": -60},
    "switch:0": {
        "id": 0,
        "output": True,
        "apower": 8.9,
        "voltage": 237.5,
        "aenergy": {"total": 6.5},
    },
    "light:0": {"id": 0, "output": False, "brightness": 40},
    "cover:1": {"id": 1, "state": "stopped", "current_pos": 30},
    "input:0": {"id": 0, "state": False},
    "input:1": {"id": 1, "state": None},
    "temperature:100": {"id": 100, "tC": 23.5, "tF": 74.3},
    "devicepower:0": {"id": 0, "battery": {"V": 5.9, "percent": 90}},
    "cloud": {"connected": False},
    "odd": 3,
}
BASE = "Boiler"


class Shelly:
    """Answers calls as a device does."""

    def __init__(self, house, prefix=PREFIX, name=BASE, status=STATUS):
        self.house = house
        self.prefix = prefix
        self.calls = []
        self.results = {
            "Shelly.GetDeviceInfo": {"id": prefix, "model": "SNSW-102", "ver": "1.4.4", "gen": 2},
            "Shelly.GetConfig": {"sys": {"device": {"name": name}}},
            "Shelly.GetStatus": status,
        }
        house.on_sent = self.answer

    def answer(self, topic, call):
        if topic != f"{self.prefix}/rpc":
            return
        self.calls.append((call["method"], call.get("params")))
        result = self.results.get(call["method"])
        reply = {"id": call["id"], "src": self.prefix, "dst": call["src"]}
        if result is None:
            reply["error"] = {"code": 404, "message": f"No handler for {call['method']}"}
        else:
            reply["result"] = result
        self.house.publish_now(f"{call['src']}/rpc", reply)

    async def come_online(self):
        await self.house.publish(f"{self.prefix}/online", "true", retained=True)
        await self.house.advance(1)
        await self.house.settle()
        self.calls.clear()

    async def notify(self, method="NotifyStatus", **params):
        message = {"src": self.prefix, "dst": "x", "method": method, "params": {"ts": 1, **params}}
        await self.house.publish(f"{self.prefix}/events/rpc", message)


@pytest.fixture
async def shelly(house):
    device = Shelly(house)
    await device.come_online()
    return device


async def test_the_components_of_a_device_are_requested(house, shelly):
    values = {
        "switch/0/output": True,
        "switch/0/power": 8.9,
        "switch/0/voltage": 237.5,
        "switch/0/energy": 6.5,
        "light/0/brightness": 0.4,
        "cover/1/state": "stopped",
        "cover/1/position": 30,
        "input/0/state": False,
        "input/1/state": "state_unknown",
        "temperature/100/temperature": 23.5,
        "devicepower/0/battery": 90,
        "wifi/rssi": -60,
        "online": True,
    }
    assert {name: await house.get(f"{BASE}/{name}") for name in values} == values
    assert await house.get(f"{BASE}/info") == {
        "id": PREFIX,
        "name": "Boiler",
        "kind": "shelly",
        "vendor": "Shelly",
        "model": "SNSW-102",
        "firmware": "1.4.4",
        "address": "192.168.1.8",
    }


async def test_a_notification_changes_states(house, shelly):
    await shelly.notify(**{"switch:0": {"id": 0, "apower": 100}, "light:0": {"brightness": 100}})
    assert await house.get(f"{BASE}/switch/0/power") == 100
    assert await house.get(f"{BASE}/switch/0/output") is True
    assert await house.get(f"{BASE}/light/0/brightness") == 1.0
    full = {"switch:0": {"id": 0, "output": False, "apower": 0}, "input:1": {"state": True}}
    await shelly.notify("NotifyFullStatus", **full)
    assert await house.get(f"{BASE}/switch/0/output") is False
    assert await house.get(f"{BASE}/input/1/state") is True


@pytest.mark.parametrize(
    "params",
    [
        {"switch:0": 5},
        {"switch:0": {"output": "on"}},
        {"light:0": {"brightness": "bright"}},
        {"switch:0": {"aenergy": 3}},
        {"switch:9": {"output": True}},
    ],
)
async def test_an_odd_notification_keeps_the_values(house, shelly, params):
    await shelly.notify(**params)
    await house.publish(f"{PREFIX}/events/rpc", [])
    await house.publish(f"{PREFIX}/events/rpc", {"params": [], "method": {}})
    assert await house.get(f"{BASE}/switch/0/output") is True
    assert await house.get(f"{BASE}/switch/0/energy") == 6.5
    assert await house.get(f"{BASE}/light/0/brightness") == 0.4
    assert house.bridge.connection.failed == 0


async def test_presses_are_events(house, shelly):
    await house.listen(f"{BASE}/input/0/event", f"{BASE}/input/1/event")
    await shelly.notify(
        "NotifyEvent",
        events=[
            {"component": "input:0", "event": "btn_down", "ts": 1},
            {"component": "input:0", "event": "single_push", "ts": 1},
            {"component": "input:1", "event": "long_push", "ts": 1},
            {"component": "sys", "event": "ota_begin"},
            {"component": {}, "event": 3},
            "odd",
        ],
    )
    await shelly.notify("NotifyEvent", events="odd")
    assert house.heard == [
        (f"{BASE}/input/0/event", "btn_down"),
        (f"{BASE}/input/0/event", "single_push"),
        (f"{BASE}/input/1/event", "long_push"),
    ]


async def test_a_set_is_a_call_with_a_reply(house, shelly):
    shelly.results |= {"Switch.Set": {"was_on": True}, "Light.Set": {}, "Cover.GoToPosition": {}}
    await house.set(f"{BASE}/switch/0/output", False)
    await house.set(f"{BASE}/light/0/brightness", 0.25)
    await house.set(f"{BASE}/cover/1/position", 50)
    assert shelly.calls == [
        ("Switch.Set", {"id": 0, "on": False}),
        ("Light.Set", {"id": 0, "brightness": 25}),
        ("Cover.GoToPosition", {"id": 1, "pos": 50}),
    ]
    assert "only be read" in await house.refused(house.set(f"{BASE}/input/0/state", True))


async def test_the_error_of_a_call_is_the_error_of_the_set(house, shelly):
    assert await house.refused(house.set(f"{BASE}/switch/0/output", True)) == (
        "Switch.Set: No handler for Switch.Set (404)"
    )


async def test_a_cover_is_moved_by_actions(house, shelly):
    shelly.results |= {f"Cover.{what}": {} for what in ("Open", "Close", "Stop")}
    for what in ("open", "close", "stop"):
        await house.call(f"{BASE}/cover/1/{what}")
    assert shelly.calls == [(f"Cover.{what}", {"id": 1}) for what in ("Open", "Close", "Stop")]


async def test_any_method_can_be_called(house, shelly):
    shelly.results["Sys.GetStatus"] = {"uptime": 9}
    assert await house.call(f"{BASE}/call", "Sys.GetStatus") == {"uptime": 9}
    assert "404" in await house.refused(house.call(f"{BASE}/call", "Nothing", {"id": 3}))
    assert "name of a method" in await house.refused(house.call(f"{BASE}/call"))
    assert "a map with the parameters" in await house.refused(house.call(f"{BASE}/call", "A", 3))
    assert shelly.calls[-1] == ("Nothing", {"id": 3})


async def test_a_call_without_a_result_is_an_error(house, shelly, advance):
    house.on_sent = lambda topic, payload: None
    setting = asyncio.ensure_future(house.refused(house.set(f"{BASE}/switch/0/output", True)))
    await advance(10.1)
    assert await setting == "Switch.Set: no result in 10 s"


@pytest.mark.parametrize("answer", [[], 3, {"id": []}, {"id": {}}, {"id": 999}, {"id": None}, {}])
async def test_odd_results_are_ignored(house, shelly, answer):
    await house.publish("eshet/house/bridge/rpc", answer)
    shelly.results["Switch.Set"] = {}
    await house.set(f"{BASE}/switch/0/output", True)
    assert house.bridge.connection.failed == 0


async def test_a_device_is_offline_when_its_last_will_says_so(house, shelly, advance):
    await house.publish(f"{PREFIX}/online", "false", retained=True)
    await advance(2.1)
    assert await house.get(f"{BASE}/online") is False
    assert await house.get(f"{BASE}/switch/0/output") == "state_unknown"
    await shelly.come_online()
    assert await house.get(f"{BASE}/switch/0/output") is True


SLEEPING = {"sys": {"wakeup_period": 7200}, "temperature:0": {"id": 0, "tC": 20.5}}


async def test_a_device_with_a_battery_keeps_its_values_while_it_sleeps(house, advance):
    shelly = Shelly(house, "shellyplusht-b1", "Sensor", SLEEPING)
    await shelly.come_online()
    await house.publish(f"{shelly.prefix}/online", "false", retained=True)
    await advance(3600)
    assert await house.get("Sensor/temperature/0/temperature") == 20.5
    await shelly.notify(**{"temperature:0": {"id": 0, "tC": 19}})
    assert await house.get("Sensor/temperature/0/temperature") == 19


async def test_a_sleeping_device_that_does_not_answer_is_known_from_its_report(house, advance):
    shelly = Shelly(house, "shellyplusht-b1", "Sensor", SLEEPING)
    house.on_sent = lambda topic, payload: None
    await shelly.notify("NotifyFullStatus", **SLEEPING)
    assert await house.get("shellyplusht_b1/temperature/0/temperature") == 20.5
    await advance(60)
    house.on_sent = shelly.answer
    await shelly.come_online()
    assert await house.get("Sensor/temperature/0/temperature") == 20.5


async def test_a_device_that_does_not_answer_is_logged_once(house, advance, caplog):
    for _ in range(3):
        await house.publish("shellyplus1-x/online", "true", retained=True)
        await advance(11)
    assert caplog.messages == [
        "can't read the components of shellyplus1-x: Shelly.GetDeviceInfo: no result in 10 s"
    ]


async def test_topics_of_other_devices_with_the_same_end_are_ignored(house, advance):
    await house.publish("someone/online", "true", retained=True)
    await house.publish("shelly-y/online", "perhaps", retained=True)
    await advance(1)
    assert house.sent == []


async def test_a_device_that_claims_the_id_of_another_does_not_replace_it(house, shelly):
    thief = Shelly(house, "shelly-thief", "Thief", {"switch:0": {"output": False}})
    thief.results["Shelly.GetDeviceInfo"]["id"] = PREFIX
    await thief.come_online()
    assert await house.get(f"{BASE}/switch/0/output") is True
    assert await house.get("Thief/switch/0/output") is False


@pytest.mark.parametrize(
    ("method", "result"),
    [
        ("Shelly.GetDeviceInfo", {"id": {}, "model": [], "ver": 3}),
        ("Shelly.GetConfig", {"sys": {"device": {"name": {"a": 1}}}}),
        ("Shelly.GetConfig", {"sys": 5}),
        ("Shelly.GetStatus", {"switch:0": [], "cover:x": {}, ":": {}, "": {}, "switch:²": {}}),
        ("Shelly.GetStatus", {"wifi": {"sta_ip": {}}}),
        ("Shelly.GetStatus", []),
    ],
)
async def test_odd_answers_disturb_nothing(house, method, result, caplog):
    shelly = Shelly(house)
    shelly.results[method] = result
    await shelly.come_online()
    assert "Traceback" not in caplog.text
    other = Shelly(house, "shellyplus1-b2", "Other")
    await other.come_online()
    assert await house.get("Other/switch/0/output") is True


async def test_the_results_of_a_bridge_with_the_same_name_are_not_mixed_up(house, advance):
    async with Server() as server, Client(server=server) as client:
        second = MqttBridge("house", MqttSettings(), client, house.broker.client("second/+"))
        running = asyncio.create_task(second.run())
        await advance(1)
        shelly = Shelly(house)
        calls = []
        house.on_sent = lambda topic, call: calls.append(call) or shelly.answer(topic, call)
        await shelly.come_online()
        await second.tree.registrations.join()
        assert second.device_count == 1
        running.cancel()
        await asyncio.gather(running, return_exceptions=True)
    requests = [call for call in calls if isinstance(call, dict) and "src" in call]
    assert {call["src"] for call in requests} == {
        "eshet/house/bridge",
        "eshet/house/second%2F%2B",
    }
    assert len({call["id"] for call in requests}) == 6
