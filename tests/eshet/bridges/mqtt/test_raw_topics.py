"""Messages of chosen topics as states, with any payload, and publishing to any topic."""

import pytest

from eshet.bridges.mqtt.raw_topics import MAX_TOPICS, value_of
from tests.support.bridged import bridged_house


@pytest.fixture
async def house(advance):
    async with bridged_house(advance, topics=("raw/#", "one/topic")) as house:
        yield house


@pytest.mark.parametrize(
    ("payload", "value"),
    [
        (b'{"a": [1, true]}', {"a": [1, True]}),
        (b"21.5", 21.5),
        (b"plain text", "plain text"),
        (b"", ""),
        (b"\xff\x00", b"\xff\x00"),
        (b"[" * 100, "[" * 100),
        (b"9" * 100, 1e100),
    ],
)
async def test_a_payload_is_json_text_or_bytes(house, payload, value):
    assert value_of(payload) == value
    await house.publish("raw/x", payload)
    assert await house.get("topic/raw/x") == value


async def test_only_matching_topics_are_shown(house):
    await house.publish("one/topic", "1")
    await house.publish("two/topic", "2")
    assert await house.get("topic/one/topic") == 1
    assert await house.get("topic/two/topic") == "path_not_found"


async def test_a_state_follows_its_topic(house):
    await house.publish("raw/x", "1")
    await house.hear("topic/raw/x")
    for text in ("2", "2", "three"):
        await house.publish("raw/x", text)
    assert house.heard == [("topic/raw/x", 2), ("topic/raw/x", "three")]


async def test_a_topic_may_have_a_value_and_topics_below(house):
    await house.publish("raw/lamp", "on")
    await house.publish("raw/lamp/online", "true")
    await house.publish("raw/deep/er", "1")
    await house.publish("raw/deep", "2")
    await house.publish("raw/a b", "3")
    await house.publish("raw/a-b", "4")
    values = {"lamp": "on", "lamp_/online": True, "deep/er": 1, "deep_": 2, "a_b": 3, "a_b_": 4}
    assert {name: await house.get(f"topic/raw/{name}") for name in values} == values


async def test_endless_topics_are_shown_with_shorter_paths(house):
    await house.publish("raw/" + "x" * 5000, "1")
    await house.publish("raw/" + "y/" * 500, "2")
    await house.publish("raw//", "3")
    assert await house.get("topic/raw/" + "x" * 64) == 1
    assert await house.get("topic/raw/" + "/".join("y" * 7)) == 2
    assert await house.get("topic/raw_") == 3


async def test_only_some_of_very_many_topics_are_shown(house, caplog):
    for number in range(MAX_TOPICS + 5):
        house.publish_now(f"raw/{number}", str(number), retained=True)
    await house.settle()
    assert await house.get(f"topic/raw/{MAX_TOPICS - 1}") == MAX_TOPICS - 1
    assert await house.get(f"topic/raw/{MAX_TOPICS}") == "path_not_found"
    assert caplog.messages == [
        f"more than 1000 topics match raw/#, one/topic: raw/{MAX_TOPICS} and others are not shown"
    ]
    await house.publish("raw/3", "new")
    assert await house.get("topic/raw/3") == "new"


async def test_a_value_that_fits_into_no_message_is_unknown(house, caplog):
    await house.publish("raw/x", "small")
    await house.publish("raw/x", "x" * 100_000)
    assert await house.get("topic/raw/x") == "state_unknown"
    assert len(caplog.messages) == 1


async def test_anything_may_be_published(house):
    for arguments in [("a/b", "text"), ("a/b", {"x": 1}), ("a/b", b"bytes", True), ("a/b",)]:
        await house.call("bridge/publish", *arguments)
    assert house.sent == [("a/b", "text"), ("a/b", {"x": 1}), ("a/b", "bytes"), ("a/b", "")]
    assert house.broker.retained["a/b"] == b"bytes"


@pytest.mark.parametrize(
    ("arguments", "problem"),
    [
        ((), "a topic, a payload"),
        ((3,), "a topic, a payload"),
        (("",), "the topic is empty"),
        (("a/+",), "subscriptions only"),
        (("a", float("nan")), "what JSON can hold"),
        (("a", {"x": b"1"}), "what JSON can hold"),
    ],
)
async def test_an_invalid_topic_or_payload_is_an_error(house, arguments, problem):
    assert problem in await house.refused(house.call("bridge/publish", *arguments))
    assert house.sent == []
