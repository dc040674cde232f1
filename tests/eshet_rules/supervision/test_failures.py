"""What is shown of what fails again and again: its begin, once a minute, and its end."""

import io
import json
import threading

import pytest

from eshet_rules.logs import make_logger
from eshet_rules.supervision.failures import Failures

ATTEMPTS = """
    import asyncio
    from eshet import yarp
    from eshet.utils import RunSerially
    from eshet_rules import rule

    broken = True

    @rule
    async def hall():
        async def send(value):
            if await client_says_no():
                raise OSError(f"no server, try {value}")

        async def client_says_no():
            return (await yarp_get()) != "well"

        async def yarp_get():
            return mood.value

        mood = await yarp.state_observe("/mood")
        strategy = RunSerially(retry=True, retry_start=1, retry_end=1)
        calls = await yarp.event_listen("/call")
        calls.on_event(strategy.wrap_fn(send))
    """


async def load(house, text):
    mood = await house.viewer.state_register("/mood")
    await mood.changed("ill")
    emit = await house.viewer.event_register("/call")
    house.write("hall.py", text)
    assert await house.update()
    house.log.clear()
    return mood, emit


async def test_a_retried_output_is_shown_once_a_minute_and_when_it_works(house):
    mood, emit = await load(house, ATTEMPTS)
    await emit(1)
    await house.advance(150.5)
    shown = [r for r in house.log.records if r["event"] == "rule.attempt_failed"]
    assert [r.get("again") for r in shown] == [None, 59, 59]
    assert shown[0]["error"] == "OSError: no server, try 1"
    [report] = house.reloader.reports()
    assert report.status.last_error == "OSError: no server, try 1"
    assert str(report.status.state) == "running"
    await mood.changed("well")
    await house.advance(2)
    assert house.log.find("rule.recovered")["failures"] == 151
    [report] = house.reloader.reports()
    assert report.status.last_error == "OSError: no server, try 1 (works again)"
    await emit(2)
    await house.advance(2)
    assert house.log.find("rule.recovered")


@pytest.mark.parametrize(
    "body",
    [
        "await yarp.set_value('/mood/x', yarp.fn(lambda x: 1 / len(x))(text))",
        "text.on_value_changed(lambda x: 1 / len(x))",
        "text.on_value_changed(later)",
    ],
)
async def test_the_error_of_what_a_rule_has_set_up_is_in_its_status(house, body):
    mood, _ = await load(
        house,
        f"""
        from eshet import yarp
        from eshet_rules import rule

        async def later(x):
            1 / len(x)

        @rule
        async def hall():
            text = await yarp.state_observe("/mood")
            {body}
        """,
    )
    await mood.changed("")
    await house.advance(1)
    [report] = house.reloader.reports()
    assert report.status.last_error == "ZeroDivisionError: division by zero"
    assert str(report.status.state) == "running"


EACH_SECOND = """
    from eshet import yarp
    from eshet_rules import rule

    @rule
    async def hall():
        seconds = yarp.fn(lambda now: int(now.timestamp()))(yarp.now(1))

        def fail(n):
            if mood.value == "sick":
                raise ValueError(f"{n} is no lamp, nor is {object()}")
            if mood.value == "worse":
                1 / 0

        mood = await yarp.state_observe("/mood")
        """


@pytest.mark.parametrize(
    "failing",
    [
        "seconds.on_value_changed(fail)",
        "yarp.fn(fail)(yarp.value_to_event(seconds)).on_event(print)",
    ],
)
async def test_the_error_of_a_callback_or_node_is_shown_once_a_minute(house, failing):
    mood, _ = await load(house, f"{EACH_SECOND}{failing}\n")
    await mood.changed("sick")
    await house.advance(150.5)
    shown = [r for r in house.log.records if r["event"] == "rule.failed"]
    assert [r.get("again") for r in shown] == [None, 59, 59]
    assert "is no lamp" in shown[0]["error"]
    house.log.clear()
    await mood.changed("worse")
    await house.advance(10)
    assert house.log.find("rule.failed")["error"] == "ZeroDivisionError: division by zero"
    await mood.changed("well")
    await house.advance(10)
    assert "rule.recovered" not in house.log.events()


@pytest.fixture
def debug():
    """Failures of a rule, and what is logged of them, down to level debug."""
    stream = io.StringIO()
    failures = Failures(make_logger(stream, "json", level="debug"), lambda: True)
    return failures, lambda: [json.loads(line) for line in stream.getvalue().splitlines()]


async def test_the_trail_has_each_failure(debug):
    failures, records = debug
    for _ in range(3):
        failures.report(ValueError("x"), "callback of /lux")
    assert [r["level"] for r in records()] == ["error", "debug", "debug"]
    assert {(r["doing"], r["error"]) for r in records()} == {("callback of /lux", "ValueError: x")}


async def test_another_callback_text_or_kind_of_error_is_another_series(debug):
    failures, records = debug
    failures.report(ValueError("x"), "callback of /lux")
    failures.report(ValueError("x"), "callback of /mood")
    failures.report(ValueError("y"), "callback of /lux")
    failures.report(TypeError("x"), "callback of /lux")
    assert [r["level"] for r in records()] == ["error"] * 4


def test_failures_in_a_thread_are_collapsed_as_well(debug):
    failures, records = debug
    for _ in range(2):
        error = ValueError("x")
        thread = threading.Thread(target=failures.report, args=(error, "thread"))
        thread.start()
        thread.join()
    assert [r["level"] for r in records()] == ["error", "debug"]


async def test_a_task_that_fails_once_and_then_works_is_not_reported_as_recovered(debug):
    failures, records = debug
    failures.report(ValueError("x"), "task ring")
    failures.succeeded("task ring")
    assert [r["event"] for r in records()] == ["rule.failed"]
