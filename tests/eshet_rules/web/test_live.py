"""The page gets each change once, the newest value of each path, however slow it reads."""

import asyncio
import json

import pytest

from eshet import Client
from eshet.exceptions import ErrorValue
from eshet.gateway.tokens import Scope
from eshet_rules.config import WebSettings
from eshet_rules.web.visitor import HIDDEN_INTERVAL, INTERVAL, MOST_PATHS
from tests.eshet_rules.web.conftest import HALL
from tests.support.waiting import passing_time


@pytest.fixture
def next_with(site):
    async def next_with(live, name):
        """Return the content of the next message with this key."""
        while True:
            message = await passing_time(live.receive_json(), site.advance, 0.05)
            if name in message:
                return message[name]

    return next_with


async def test_watched_values_arrive_when_they_change(site, outside, next_with):
    async with site.browser.live() as live:
        await live.send_json({"watch": ["/hall/lux"]})
        values = await next_with(live, "values")
        assert values["/hall/lux"][:2] == [25, True]
        await outside.state_changed("/hall/lux", 30)
        assert (await next_with(live, "values"))["/hall/lux"][:2] == [30, True]
        await outside.state_unknown("/hall/lux")
        assert (await next_with(live, "values"))["/hall/lux"][:2] == [None, False]


async def test_an_event_arrives_with_its_payload(site, outside, next_with):
    async with site.browser.live() as live:
        await live.send_json({"watch": ["/hall/motion", "/hall/lux"]})
        await next_with(live, "values")
        await outside.event_emit("/hall/motion", "passed")
        assert (await next_with(live, "values"))["/hall/motion"][:2] == ["passed", True]


async def values_of(live, site, outside):
    """Return the values that arrive while one changes a hundred times a second, for two seconds."""
    found = []

    async def receive():
        async for message in live:
            found.append(json.loads(message.data)["values"]["/hall/lux"][0])  # noqa: PERF401

    receiving = asyncio.create_task(receive())
    for number in range(200):
        await outside.state_changed("/hall/lux", number)
        await site.advance(0.01)
    receiving.cancel()
    await asyncio.wait([receiving])
    return found


@pytest.mark.parametrize(("hidden", "interval"), [(False, INTERVAL), (True, HIDDEN_INTERVAL)])
async def test_many_changes_are_conflated(site, outside, next_with, hidden, interval):
    async with site.browser.live() as live:
        await live.send_json({"watch": ["/hall/lux"], "hidden": hidden})
        await next_with(live, "values")
        values = await values_of(live, site, outside)
    assert values == sorted(values)
    assert 2.0 / interval - 3 <= len(values) <= 2.0 / interval + 2


async def test_a_rule_that_changes_is_sent_and_one_that_is_gone_is_named(site, folder, next_with):
    async with site.browser.live() as live:
        acting = site.browser.with_token(site.token())
        await acting.post("rules/hall.light/disable")
        [rule] = await next_with(live, "rules")
        assert (rule["rule"], rule["state"]) == ("hall.light", "disabled")
        folder.write("other.py", "from eshet_rules import rule\n@rule\nasync def r(): pass\n")
        await site.until_logged("module.loaded", 2)
        [rule] = await next_with(live, "rules")
        assert rule["rule"] == "other.r"
        folder.remove("other.py")
        await site.until_logged("module.unloaded")
        assert await next_with(live, "gone") == ["other.r"]


async def test_the_trail_is_followed_with_a_filter(site, outside, next_with):
    async with site.browser.live() as live:
        await live.send_json({"trail": {"path": "/hall/lux"}})
        await site.advance(1)
        await outside.event_emit("/hall/motion", 1)
        await outside.state_changed("/hall/lux", 31)
        [record] = await next_with(live, "records")
        assert (record["path"], record["value"]) == ("/hall/lux", 31)
        assert "/hall/lux" in record["text"]


async def test_a_path_that_appears_later_is_watched_then(site, outside, next_with):
    async with site.browser.live() as live:
        await live.send_json({"watch": ["/new"]})
        await site.advance(3)
        state = await outside.state_register("/new")
        await state.changed(7)
        assert (await next_with(live, "values"))["/new"][:2] == [7, True]


async def test_paths_that_nobody_watches_are_no_longer_observed(site, outside, next_with):
    async with site.browser.live() as live:
        await live.send_json({"watch": ["/hall/lux", "/hall/light"]})
        await next_with(live, "values")
        await live.send_json({"watch": ["/hall/light"]})
        await site.advance(1)
        nodes = (await outside.action_call("/meta/tree"))["nodes"]
        observers = {path: listeners for path, _, _, _, listeners in nodes}
        assert observers["/hall/light"] == 1
        assert observers["/hall/lux"] == 1  # the rule
    await site.advance(1)
    nodes = (await outside.action_call("/meta/tree"))["nodes"]
    assert {path: listeners for path, *_, listeners in nodes}["/hall/light"] == 0


async def test_a_wrong_message_ends_the_connection_with_a_reason(site, next_with):
    unknown = ({"wach": []}, {"trail": {"rul": "a"}}, {"$map": [[1, 1], ["wach", 1]]})
    for message in (
        [1],
        {"watch": "x"},
        {"watch": [1]},
        {"trail": 3},
        {"trail": {"rule": 1}},
        *unknown,
    ):
        async with site.browser.live() as live:
            await live.send_json(message)
            closed = await passing_time(live.receive(), site.advance, 0.05)
            assert live.close_code == 1008
            assert closed.extra
    async with site.browser.live() as live:
        await live.send_json({"watch": [f"/p{number}" for number in range(MOST_PATHS + 1)]})
        closed = await passing_time(live.receive(), site.advance, 0.05)
        assert "at most" in closed.extra
    assert (await site.browser.get("overview"))["problems"] == []


async def test_two_pages_see_the_same_value(site, outside, next_with):
    async with site.browser.live() as one, site.browser.live() as two:
        for live in (one, two):
            await live.send_json({"watch": ["/hall/lux"]})
            await next_with(live, "values")
        await outside.state_changed("/hall/lux", 33)
        for live in (one, two):
            assert (await next_with(live, "values"))["/hall/lux"][0] == 33


async def test_a_flood_of_messages_costs_nothing_for_paths_that_stay(site, outside, next_with):
    async with site.browser.live() as live:
        for number in range(500):
            await live.send_json({"watch": ["/hall/lux", f"/nothing/{number % 2}"]})
        await next_with(live, "values")
        await outside.state_changed("/hall/lux", 77)
        while (await next_with(live, "values"))["/hall/lux"][0] != 77:
            pass
        await live.send_json({"watch": []})
        await site.advance(1)
        nodes = (await outside.action_call("/meta/tree"))["nodes"]
        assert {path: listeners for path, *_, listeners in nodes}["/hall/lux"] == 1  # the rule


async def test_long_values_come_in_several_messages(site, outside, next_with):
    paths = [f"/long/s{number}" for number in range(20)]
    for path in paths:
        await outside.state_register(path)
        await outside.state_changed(path, path + "x" * 60_000)
    await site.advance(2)
    found = {}
    async with site.browser.live() as live:
        await live.send_json({"watch": paths})
        while len(found) < len(paths):
            values = await next_with(live, "values")
            assert sum(len(value[0]) for value in values.values()) < 400_000
            found |= {path: value[0][: len(path)] for path, value in values.items()}
    assert found == dict(zip(paths, paths, strict=True))


async def test_a_very_long_filter_is_refused(site):
    async with site.browser.live() as live:
        await live.send_json({"trail": {"rule": "*a" * 1000}})
        closed = await passing_time(live.receive(), site.advance, 0.05)
        assert live.close_code == 1008
        assert "at most 1024 characters" in closed.extra


async def test_the_reason_of_a_refusal_is_valid_text(site):
    async with site.browser.live() as live:
        # Cut within a letter of two bytes, the reason would break the connection.
        await live.send_str(json.dumps({"$map": [["é" * 59, 1], ["é" * 59, 2]]}))
        closed = await passing_time(live.receive(), site.advance, 0.05)
        assert live.close_code == 1008
        assert closed.extra.endswith("é")


async def test_a_path_that_can_not_be_observed_does_not_hide_others(
    site, outside, next_with, monkeypatch
):
    await outside.state_register("/aaa")
    await outside.state_changed("/aaa", 1)
    await site.advance(2)
    observe = Client.state_observe

    async def refusing(self, path, callback):
        if path == "/aaa":
            raise ErrorValue("not_permitted")
        return await observe(self, path, callback)

    monkeypatch.setattr(Client, "state_observe", refusing)
    async with site.browser.live() as live:
        await live.send_json({"watch": ["/aaa", "/hall/lux", "/hall/light"]})
        values = {}
        while len(values) < 2:
            values |= await next_with(live, "values")
        assert values.keys() == {"/hall/lux", "/hall/light"}


async def test_a_page_with_a_revoked_token_gets_nothing_more(stopped_site, folder, outside):
    folder.write("hall.py", HALL)
    await outside.state_register("/hall/lux")
    await outside.state_changed("/hall/lux", 25)
    settings = WebSettings(address="0.0.0.0:0", insecure=True)
    async with stopped_site.serving(settings=settings) as site:
        assert (await site.browser.ask("GET", "/api/1/overview")).status == 401
        reading = site.browser.with_token(site.token(Scope.READ, "tablet"))
        async with reading.live() as live:
            await live.send_json({"watch": ["/hall/lux"]})
            received = await passing_time(live.receive_json(), site.advance, 0.05)
            assert received["values"]["/hall/lux"][0] == 25
            site.tokens.remove("tablet")
            await outside.state_changed("/hall/lux", 26)
            closed = await passing_time(live.receive(), site.advance, 0.05)
            assert live.close_code == 1008
            assert "not valid any more" in closed.extra


async def test_the_first_value_has_the_time_of_its_change(site, outside, next_with):
    await outside.state_changed("/hall/lux", 31)
    await site.advance(60)
    [entry] = (await site.browser.get("paths", search="/hall/lux"))["entries"]
    async with site.browser.live() as live:
        await live.send_json({"watch": ["/hall/lux"]})
        assert (await next_with(live, "values"))["/hall/lux"] == [31, True, entry["since"]]


async def test_the_first_value_that_no_rule_has_received_has_no_time(site, outside, next_with):
    await outside.state_register("/attic/lux")
    await outside.state_changed("/attic/lux", 5)
    await site.advance(2)
    async with site.browser.live() as live:
        await live.send_json({"watch": ["/attic/lux"]})
        assert (await next_with(live, "values"))["/attic/lux"] == [5, True, None]
        await outside.state_changed("/attic/lux", 6)
        value, is_known, since = (await next_with(live, "values"))["/attic/lux"]
        assert (value, is_known) == (6, True)
        assert since is not None
