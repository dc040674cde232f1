"""What is shown of what fails again and again: its begin, once a minute, and its end."""

import pytest

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
