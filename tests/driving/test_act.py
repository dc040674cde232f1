"""`yarp.act` in rules: held back in a reload, retried, recorded, and pretended in tests."""

import pytest

from eshet import yarp
from eshet.utils import RunInTask
from eshet_rules import rule

MODULE = """
from eshet import yarp
from eshet_rules import rule

sent = []


async def send(*words):
    sent.append(words)
    yarp.sent.append(words)


@rule
async def tell():
    lux = await yarp.state_observe("/lux")
    await yarp.act(send, "dark", lux < 40)
"""


@pytest.fixture
def real(house):
    house.pretence.is_on = False
    return house


async def test_it_calls_with_each_value_but_not_with_unknown_ones(real):
    called = []

    async def send(text, lux):
        called.append((text, lux))

    @rule
    async def tell():
        await yarp.act(send, "lux", await yarp.state_observe("/lux"))

    lux = real.device("/lux", 5)
    await real.rule(tell)
    await lux.offline()
    await lux.online()
    await lux.report(7)
    assert called == [("lux", 5), ("lux", 5), ("lux", 7)]


async def test_an_event_among_the_arguments_calls_at_each_emission(real):
    called = []

    async def send(*arguments):
        called.append(arguments)

    @rule
    async def tell():
        bell = await yarp.event_listen("/bell")
        await yarp.act(send, await yarp.state_observe("/lux"), bell)

    lux = real.device("/lux", 5)
    await real.rule(tell)
    await lux.report(6)
    await real.emit("/bell", "front")
    await real.emit("/bell", "back")
    assert called == [(6, "front"), (6, "back")]


async def test_a_failure_is_reported_and_retried_under_the_strategy(real):
    called = []

    async def send(value):
        called.append((real.time, value))
        if len(called) < 3:
            raise ConnectionError("no network")

    @rule
    async def tell():
        await yarp.act(send, 1, strategy=RunInTask(retry=True, retry_start=5, retry_multiplier=2))

    await real.rule(tell)
    await real.advance(minutes=1)
    assert called == [(0, 1), (5, 1), (15, 1)]
    assert [each for each in real.errors if "no network" in each]
    real.errors.clear()
    records = [e.record for e in real.happenings.all if getattr(e.record, "function", None)]
    assert [(r.event, r.outcome, r.attempt, r.rule) for r in records] == [
        ("output.acted", "failed", 1, "test.tell"),
        ("output.acted", "failed", 2, "test.tell"),
        ("output.acted", "done", 3, "test.tell"),
    ]
    assert records[0].error == "no network"
    assert records[0].function.endswith("send")


async def test_the_cause_of_a_call_is_that_of_its_argument(real):
    async def send(value):
        pass

    @rule
    async def tell():
        await yarp.act(send, await yarp.event_listen("/bell"))

    await real.rule(tell)
    await real.emit("/bell", "front")
    [record] = [e.record for e in real.happenings.all if getattr(e.record, "function", None)]
    assert record.after_input == "event /bell"
    assert record.inputs == {"/bell": "front"}


async def test_a_reload_and_a_restart_call_nothing_that_was_called(house, tmp_path):
    file = tmp_path / "tell.py"
    file.write_text(MODULE)
    yarp_module = __import__("eshet.yarp").yarp
    yarp_module.sent = []
    try:
        house.pretence.is_on = False
        lux = house.device("/lux", 5)
        await house.load(file)
        await house.reload(file)
        await house.restart(seconds=5)
        assert yarp_module.sent == [("dark", True)]
        await lux.report(50)
        assert yarp_module.sent == [("dark", True), ("dark", False)]
    finally:
        del yarp_module.sent


async def test_a_test_pretends_calls(house):
    called = []

    async def send(value):
        called.append(value)

    @rule
    async def tell():
        await yarp.act(send, await yarp.event_listen("/bell"))

    await house.rule(tell)
    await house.emit("/bell", "front")
    assert called == []
    assert house.acts("send") == [["front"]]


async def test_without_a_runner_it_needs_no_server(real):
    called = []

    async def send(value):
        called.append(value)

    value = yarp.Value(1)
    await yarp.act(send, value)
    await real.settle()
    value.value = 2
    await real.settle()
    assert called == [1, 2]


async def test_mistakes(real):
    async def send():
        pass

    with pytest.raises(TypeError, match="without calling it"):
        await yarp.act(send())
    with pytest.raises(TypeError):
        await yarp.act(3)
    with pytest.raises(TypeError, match="await"):
        await yarp.act(send, yarp.state_observe("/x"))

    def blocking(value):
        return value

    @rule
    async def tell():
        await yarp.act(blocking, 1)

    await real.rule(tell)
    assert "write `async def" in real.errors[0]
    real.errors.clear()
