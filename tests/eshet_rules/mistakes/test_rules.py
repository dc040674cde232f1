"""What a new user writes by mistake: each is named with the rule's line, and says what to write.

In each file, the line that is to be named ends with `# here`.
"""

import asyncio
import gc
import textwrap
import warnings

import pytest

from eshet_rules.logs import receiving_stdlib_logs
from eshet_rules.modules.module_objects import module_of_file

IMPORTS = """\
import asyncio
import threading
from eshet import yarp
from eshet.utils import RunSerially
from eshet_rules import rule

"""
RULE = "@rule\nasync def hall(client, log):\n"

# Name, body of the rule, what is said.
IN_A_RULE = [
    (
        "assign to what is observed",
        """
        lamp = await yarp.state_observe("/lamp")
        lamp.value = 100  # here
        """,
        'await yarp.set_value("/lamp", value)',
    ),
    (
        "assign to what is derived",
        """
        dark = await yarp.state_observe("/lux") < 40
        dark.value = True  # here
        """,
        "follows other Values and can't be set: set those",
    ),
    (
        "an async callback that fails",
        """
        press = await yarp.event_listen("/press")

        @press.on_event
        async def ring(_):
            await asyncio.sleep(0)
            raise ValueError("no bell")  # here
        """,
        "ValueError: no bell",
    ),
    (
        "a callback that is called at once",
        """
        press = await yarp.event_listen("/press")
        press.on_event(print("pressed"))  # here
        """,
        "a callback of /press must be a function, and not None: pass the function itself",
    ),
    (
        "a coroutine as the callback of a client",
        """
        await client.event_listen_cb("/press", client.set("/lamp", 1))  # here
        """,
        "write `f` instead of `f()`",
    ),
    (
        "a cron expression with a wrong field",
        """
        morning = yarp.schedule("61 6 * * *")  # here
        """,
        'a schedule is a time of day, such as "07:30"',
    ),
    (
        "a time zone without its area",
        """
        morning = yarp.schedule("07:30", tz="berlin")  # here
        """,
        "did you mean 'Europe/Berlin'?",
    ),
    (
        "text of a Value",
        """
        lux = await yarp.state_observe("/lux")
        await yarp.set_value("/lamp", f"{lux} lux")  # here
        """,
        'write `yarp.str_format("{} lux", value)`',
    ),
    (
        "two Events at once",
        """
        press, motion = await yarp.event_listen("/press"), await yarp.event_listen("/motion")
        both = press & motion  # here
        """,
        "write `yarp.merge(a, b)` for either of them",
    ),
    (
        "a Value in a thread",
        """
        level = yarp.Value(1)

        def work():
            level.value = 2  # here

        threading.Thread(target=work).start()
        """,
        "from another one, call `loop.call_soon_threadsafe(...)`",
    ),
    (
        "if",
        """
        lux = await yarp.state_observe("/lux")
        if lux < 40:  # here
            print("dark")
        """,
        "instead of `if` write a function under `yarp.fn`",
    ),
    (
        "and",
        """
        lux = await yarp.state_observe("/lux")
        dark = lux < 40 and lux > 0  # here
        """,
        "instead of `and`, `or` and `not` write `&`",
    ),
    (
        "in a list",
        """
        mood = await yarp.state_observe("/mood")
        happy = mood in ["good", "fine"]  # here
        """,
        "write `yarp.contains(items, value)`",
    ),
    (
        "compare without await",
        """
        lux = yarp.state_observe("/lux")
        dark = lux < 40  # here
        """,
        "an `await` is missing",
    ),
    (
        "attribute without await",
        """
        press = yarp.event_listen("/press")
        press.on_event(print)  # here
        """,
        "an `await` is missing",
    ),
    (
        "sink of a source without await",
        """
        lux = yarp.state_observe("/lux")
        await yarp.set_value("/lamp", lux)  # here
        """,
        "write `await` before state_observe(...)",
    ),
    (
        "state of a source without await",
        """
        lux = yarp.state_observe("/lux")
        await yarp.state_register("/copy", lux)  # here
        """,
        "write `await` before state_observe(...)",
    ),
    (
        "sink without await",
        """
        lux = await yarp.state_observe("/lux")
        yarp.set_value("/lamp", lux)  # here
        """,
        "write `await` before it",
    ),
    (
        "state of a constant",
        """
        await yarp.state_register("/five", 5)  # here
        """,
        "write `yarp.Value(5)`",
    ),
    (
        "state of an Event",
        """
        await yarp.state_register("/five", await yarp.event_listen("/press"))  # here
        """,
        "use event_register for an Event",
    ),
    (
        "event of a Value",
        """
        await yarp.event_register("/five", yarp.Value(5))  # here
        """,
        "use state_register for a Value",
    ),
    (
        "observe an event",
        """
        press = await yarp.state_observe("/press")  # here
        """,
        "use the function for that kind",
    ),
    (
        "register what is there",
        """
        await yarp.state_register("/lux", yarp.Value(5))  # here
        """,
        "let one rule provide each path",
    ),
    (
        "register below a state",
        """
        await yarp.state_register("/lux/kitchen", yarp.Value(5))  # here
        """,
        "nothing can be below it: choose another path",
    ),
    (
        "a schedule that is a Value",
        """
        time = yarp.Value("0 7 * * *")
        yarp.schedule(time)  # here
        """,
        "for the current value of a Value write `value.value`",
    ),
    (
        "change a list in place",
        """
        seen = yarp.Value([])
        press = await yarp.event_listen("/press")
        press.on_event(lambda who: seen.value.append(who))  # here
        """,
        "assign a new one, as in `seen.value = [*seen.value, item]`",
    ),
    (
        "change a dict in place",
        """
        seen = yarp.Value({})
        press = await yarp.event_listen("/press")

        @press.on_event
        def count(who):
            seen.value[who] = True  # here
        """,
        "`seen.value = {**seen.value, key: item}`",
    ),
    (
        "decide in the set-up",
        """
        lux = await yarp.state_observe("/lux")
        if lux.value == 30:  # here
            await client.set("/lamp", 1)
        """,
        "write a function of it under `yarp.fn`, or `yarp.switch`",
    ),
    (
        "keep two Values under one name",
        """
        from eshet_rules import keep
        day, night = yarp.no_repeat(keep("target", 21)), 5
        night = keep("target", 17)  # here
        """,
        "give each its own name",
    ),
    (
        "a timer that calls an async function",
        """
        async def off():
            await client.set("/lamp", 0)

        press = await yarp.event_listen("/press")
        press.on_event(lambda _: asyncio.get_running_loop().call_later(9999, off))  # here
        """,
        "write `def off`",
    ),
    (
        "brackets",
        """
        door, lux = yarp.Value(True), yarp.Value(30)
        dark = door & lux < 40  # here
        """,
        "write brackets, as in `door & (lux < 40)`",
    ),
    (
        "a misspelt name",
        """
        await yarp.set_value("/lamp", luxx)  # here
        """,
        "NameError: name 'luxx' is not defined",
    ),
    (
        "a misspelt name of yarp",
        """
        lux = yarp.norepeat(await yarp.state_observe("/lux"))  # here
        """,
        "module 'eshet.yarp' has no attribute 'norepeat': did you mean 'no_repeat'?",
    ),
    (
        "a misspelt function",
        """
        lux = await yarp.state_obsrve("/lux")  # here
        """,
        "has no attribute 'state_obsrve'",
    ),
    (
        "a function that fails",
        """
        def inverse(x):
            return 1 / x  # here

        lux = await yarp.state_observe("/lux")
        await yarp.set_value("/lamp", yarp.fn(inverse)(lux))
        """,
        "ZeroDivisionError",
    ),
    (
        "a Value that is sent by hand",
        """
        lux = await yarp.state_observe("/lux")
        await client.set("/lamp", lux)  # here
        """,
        "write `value.value` to send its present value",
    ),
]

# Name, what follows the imports, what is said.
IN_A_FILE = [
    (
        "no rule",
        """
        async def hall():  # here
            await yarp.set_value("/lamp", await yarp.state_observe("/lux"))
        """,
        "write `@rule` above it",
    ),
    (
        "each of a list",
        """
        @rule.each(["bath", "hall"])  # here
        async def light(room):
            pass
        """,
        "@rule.each(*['bath', 'hall'])",
    ),
    (
        "a plain function",
        """
        @rule  # here
        def light():
            pass
        """,
        "write `async def light():`",
    ),
    (
        "a parameter that nothing gives",
        """
        @rule  # here
        async def light(lamp):
            pass
        """,
        "The parameters of rules are: `client`",
    ),
]


def named_place(record):
    """Return all that a record says of places."""
    return "\n".join(
        [
            f"{record.get('file')}:{record.get('line')}",
            str(record.get("traceback", "")).replace('", line ', ":"),
            record["event"],
            str(record.get("error", "")),
            *record.get("conflicts", ()),
        ]
    )


async def say(house, text):
    """Run a file in a house where something happens, and return what is logged for people."""
    lux = await house.viewer.state_register("/lux")
    await lux.changed(30)
    await (await house.viewer.state_register("/mood")).changed("good")
    await (await house.viewer.state_register("/lamp", lambda value: None)).changed(0)
    press = await house.viewer.event_register("/press")
    await house.viewer.event_register("/motion")
    with receiving_stdlib_logs(house.log.logger, module_of_file), warnings.catch_warnings():
        warnings.simplefilter("default")
        house.write("hall.py", text)
        await house.update()
        await asyncio.to_thread(lambda: None)
        await lux.changed(0)
        await press(1)
        await house.advance(2)
        gc.collect()
        await house.advance(600)
    return [r for r in house.log.records if r["level"] in ("warning", "error")]


CHAINED = ("direct cause of the following", "another exception occurred")
"""What Python writes between two errors; only the error of the user is to be shown."""


def expected_line(text):
    [line] = [n for n, each in enumerate(text.splitlines(), start=1) if "# here" in each]
    return line


@pytest.mark.parametrize(("name", "body", "remedy"), IN_A_RULE, ids=[m[0] for m in IN_A_RULE])
async def test_a_mistake_in_a_rule_is_named_with_its_line_and_a_remedy(house, name, body, remedy):
    text = IMPORTS + RULE + textwrap.indent(textwrap.dedent(body).strip("\n"), "    ") + "\n"
    said = await say(house, text)
    naming = [r for r in said if f"hall.py:{expected_line(text)}" in named_place(r)]
    assert naming, said
    assert any(remedy in str(r.values()).replace("\\'", "'") for r in naming), naming
    assert not any(each in r.get("traceback", "") for r in naming for each in CHAINED)
    # What a server refuses may be right the next time, so the rule is restarted.
    assert len(naming) == 1 or "ErrorValue" in naming[0]["error"], naming


@pytest.mark.parametrize(("name", "body", "remedy"), IN_A_FILE, ids=[m[0] for m in IN_A_FILE])
async def test_a_mistake_in_a_file_is_named_with_its_line_and_a_remedy(house, name, body, remedy):
    text = IMPORTS + textwrap.dedent(body).strip("\n") + "\n"
    said = await say(house, text)
    [record] = [r for r in said if f"hall.py:{expected_line(text)}" in named_place(r)]
    assert remedy in str(record.values()).replace("\\'", "'")
    assert not any(each in record.get("traceback", "") for each in CHAINED)


async def test_a_state_that_can_not_be_set_is_named_with_its_path_and_a_remedy(house):
    text = IMPORTS + RULE + '    await yarp.set_value("/lux", yarp.Value(5))\n'
    [record] = await say(house, text)
    assert (record["rule"], record["doing"]) == ("hall.hall", "task set_value of /lux")
    assert "must register it with `settable=True`" in record["advice"]
    [report] = house.reloader.reports()
    assert "must register it with `settable=True`" in report.status.last_error


async def test_what_was_never_awaited_is_no_fault_of_the_rule_that_acts_then(house):
    text = IMPORTS + RULE + '    cycle = [yarp.set_value("/lamp", 1)]; cycle.append(cycle)\n'
    await say(house, text)
    record = house.log.find("rule.coroutine_never_awaited")
    assert (record["coroutine"], record["line"]) == ("set_value", 9)
    assert "rule" not in record


async def test_a_call_of_the_client_that_was_never_awaited_is_named_as_documented(house):
    await say(house, IMPORTS + RULE + '    client.set("/lamp", 1)\n')
    record = house.log.find("rule.coroutine_never_awaited")
    assert (record["coroutine"], record["module"]) == ("Client.set", "hall")


async def test_a_rule_s_own_fields_do_not_take_the_places_of_the_runner_s(house):
    await say(house, IMPORTS + RULE + '    log.warning("x", module="m", version=3, level="low")\n')
    record = house.log.find("x")
    assert (record["rule"], record["module"]) == ("hall.hall", "hall")
    assert (record["module_"], record["version_"], record["level_"]) == ("m", 3, "low")


@pytest.mark.parametrize(
    "body",
    [
        "seen = yarp.Value([]); seen.value.append(1); seen.value = seen.value",
        "seen = yarp.Value([]); items = list(seen.value); items.append(1)",
        "seen = yarp.Value({1: 2}); print(seen.value[1], seen.value.get(1))",
        "seen = yarp.Value([]); seen.value += [1]",
        "seen = yarp.Value([]); seen.value.append(1)  # check: ignore",
    ],
)
async def test_what_is_no_change_in_place_is_not_warned_of(house, body):
    assert await say(house, IMPORTS + RULE + f"    {body}\n") == []


async def test_a_thread_that_uses_a_value_is_an_error_of_its_rule(house):
    body = """
        level = yarp.Value(1)

        def work():
            level.value = 2

        threading.Thread(target=work, name="pump").start()
        """
    text = IMPORTS + RULE + textwrap.indent(textwrap.dedent(body).strip("\n"), "    ") + "\n"
    [record] = await say(house, text)
    assert (record["event"], record["rule"]) == ("rule.failed", "hall.hall")
    assert record["doing"] == "thread pump"
    [report] = house.reloader.reports()
    assert "call `loop.call_soon_threadsafe(...)`" in report.status.last_error


@pytest.mark.parametrize(
    ("body", "error"),
    [
        ("raise asyncio.CancelledError", "CancelledError"),
        ("await asyncio.sleep(0)\n    raise ValueError('dead')", "ValueError: dead"),
        ("await asyncio.create_task(fails())", "OSError: no bus"),
        ("await asyncio.wait_for(asyncio.Event().wait(), 1)", "TimeoutError"),
    ],
)
async def test_the_list_shows_how_a_rule_died(house, body, error):
    fails = "async def fails():\n    raise OSError('no bus')\n\n\n"
    await say(house, IMPORTS + fails + RULE + f"    {body}\n")
    [report] = house.reloader.reports()
    assert error in report.status.last_error
    assert str(report.status.state) in ("failed", "restarting")
