"""What is said of each operator: one line for each thing that has to be so."""

from datetime import UTC, datetime

import pytest

from eshet import yarp
from eshet.unknown import Unknown
from eshet_rules.rule import Rule

STATES = {
    "/lux": 81,
    "/limit": 40,
    "/door": False,
    "/on": True,
    "/mode": "day",
    "/doc": {"contact": False},
}


@yarp.fn
def cosy(lux, gone):
    return lux


def machine(state, timeout, door):
    return ("on", 600) if door else ("off", 600) if timeout is None else (state, timeout)


NAMES = {
    "machine": machine,
    "yarp": yarp,
    "Unknown": Unknown,
    "cosy": cosy,
    "datetime": datetime,
    "UTC": UTC,
}

NEVER = "it has not happened since the rule was set up"
SINCE = "since 00:00:00"
ANYTHING = ()

VALUES = [
    # Comparisons and arithmetic.
    ("lux < 40", True, f"/lux 81, needs < 40, {SINCE}"),
    (
        "lux < limit",
        True,
        f"""
        lt False, needs True: one of these is enough
          all of these:
            /limit 40, as needed, {SINCE}
            /lux 81, needs < 40, {SINCE}
          all of these:
            /lux 81, as needed, {SINCE}
            /limit 40, needs > 81, {SINCE}
        """,
    ),
    ("40 - lux > 0", True, f"/lux 81, needs < 40, {SINCE}"),
    ("lux * 2 + 1 == 41", True, f"/lux 81, needs 20, {SINCE}"),
    ("lux / -2 > 3", True, f"/lux 81, needs < -6, {SINCE}"),
    ("-lux > 3", True, f"/lux 81, needs < -3, {SINCE}"),
    ("abs(lux) < 5", True, f"/lux 81, needs > -5 and < 5, {SINCE}"),
    ("mode == 'night'", True, f"/mode 'day', needs 'night', {SINCE}"),
    (
        "yarp.contains(['night', 'away'], mode)",
        True,
        f"/mode 'day', needs 'night' or 'away', {SINCE}",
    ),
    ("yarp.is_(lux, Unknown)", True, f"/lux 81, needs unknown, {SINCE}"),
    ("doc['contact']", True, f"/doc {{'contact': False}}, needs contact True, {SINCE}"),
    ("gone > 3", True, "/gone unknown, needs > 3, since 00:00:00"),
    (
        "yarp.max(lux, limit) < 10",
        True,
        "max 81, needs < 10: all of these\n"
        f"  /lux 81, needs < 10, {SINCE}\n"
        f"  /limit 40, needs < 10, {SINCE}",
    ),
    # Logic.
    (
        "door & (lux < 40)",
        True,
        f"""
        and_ False, needs True: all of these
          /door False, needs True, {SINCE}
          /lux 81, needs < 40, {SINCE}
        """,
    ),
    (
        "door | (lux < 40)",
        True,
        f"""
        or_ False, needs True: one of these is enough
          /door False, needs True, {SINCE}
          /lux 81, needs < 40, {SINCE}
        """,
    ),
    ("yarp.not_(on)", True, f"/on True, needs false, {SINCE}"),
    (
        "yarp.all([door, on])",
        True,
        "all False, needs True: all of these\n"
        f"  /door False, needs true, {SINCE}\n"
        f"  /on True, as needed, {SINCE}",
    ),
    # Choices.
    (
        "yarp.when(lux, door, otherwise=0)",
        5,
        f"""
        when 0, needs 5: all of these
          /door False, needs true, {SINCE}
          /lux 81, needs 5, {SINCE}
        """,
    ),
    ("yarp.default(gone, False)", True, f"/gone unknown, needs True, {SINCE}"),
    ("yarp.no_repeat(lux)", 5, f"/lux 81, needs 5, {SINCE}"),
    (
        "yarp.hysteresis(lux, 20, 100)",
        True,
        f"hysteresis False, needs True: hysteresis from 20 to 100\n  /lux 81, needs > 100, {SINCE}",
    ),
    (
        "yarp.latest(yarp.map_to(button, True), yarp.map_to(motion, False))",
        True,
        f"latest of merge False, needs True:\n  map_to:\n    /button has to happen: {NEVER}",
    ),
    (
        "yarp.count(button)",
        5,
        f"latest of count 0, needs 5:\n  /button has to happen 5 times: {NEVER}",
    ),
    (
        "yarp.scan(button, lambda total, _: total + 1, 0)",
        5,
        "latest of scan 0, needs 5:\n"
        "  scan, needs 5: the total is 0\n"
        f"    /button has to happen: {NEVER}",
    ),
    # Time.
    (
        "yarp.hold(motion, 120)",
        True,
        "hold False, needs True: hold: 2 min from then on\n"
        "  /motion has to happen: last 'cat' 4 min ago, at 00:00:00",
    ),
    (
        "yarp.hold(motion, 600)",
        False,
        "time alone will do: at 00:10:00 (in 6 min)\n"
        "hold: 4 of 10 min, False at 00:10:00 (in 6 min)",
    ),
    (
        "yarp.hold(on, at_most=600)",
        False,
        f"""
        time alone will do: at 00:10:00 (in 6 min)
        hold True, needs False: one of these is enough
          hold: 4 of 10 min at most, False at 00:10:00 (in 6 min)
          /on True, needs not true, {SINCE}
        """,
    ),
    (
        "yarp.for_duration(on, 600)",
        True,
        "time alone will do: at 00:10:00 (in 6 min)\n"
        "for_duration: 4 of 10 min, True at 00:10:00 (in 6 min)",
    ),
    (
        "yarp.for_duration(door, 600)",
        True,
        "for_duration False, needs True: for_duration: for 10 min\n"
        f"  /door False, needs true, {SINCE}",
    ),
    (
        "yarp.stale(lux, 600)",
        True,
        f"""
        time alone will do: at 00:10:00 (in 6 min)
        stale False, needs True: one of these is enough
          stale: last input 4 min ago, limit 10 min, True at 00:10:00 (in 6 min)
          /lux 81, needs unknown, {SINCE}
        """,
    ),
    (
        "yarp.debounce(lux, 30)",
        5,
        f"debounce 81, needs 5: debounce: quiet for 30 s\n  /lux 81, needs 5, {SINCE}",
    ),
    (
        "yarp.rate_limit(lux, 600)",
        5,
        f"rate_limit 81, needs 5: rate_limit: one change in 10 min\n  /lux 81, needs 5, {SINCE}",
    ),
    ("yarp.delay(lux, 600)", 5, f"delay 81, needs 5: delay: 10 min\n  /lux 81, needs 5, {SINCE}"),
    (
        "yarp.len(yarp.time_window(motion, 600)) == 0",
        True,
        "time alone will do: at 00:10:00 (in 6 min)\n"
        "window 10 min, has 1, length 0 at 00:10:00 (in 6 min)",
    ),
    (
        "yarp.bool(yarp.time_window(motion, 120))",
        True,
        "time_window [], needs true: window 2 min, has 0\n"
        "  /motion has to happen: last 'cat' 4 min ago, at 00:00:00",
    ),
    (
        "yarp.len(yarp.window(button, 3)) == 3",
        True,
        f"window [], needs length 3: window of 3, has 0\n  /button has to happen 3 times: {NEVER}",
    ),
    (
        "yarp.fold_state(motion, lambda state, _: 1, 0, timeouts={1: (600, 0)})",
        0,
        """
        time alone will do: at 00:10:00 (in 6 min)
        fold_state 1, needs 0: one of these is enough
          fold_state: timeout, 0 at 00:10:00 (in 6 min)
          fold_state 1, needs 0: the state is 1
            /motion has to happen: last 'cat' 4 min ago, at 00:00:00
        """,
    ),
    (
        "yarp.plan({'06:00': 21, '22:00': 17}, tz='UTC') == 21",
        True,
        "time alone will do: at 06:00:00 (in 5 h 56 min)\nplan, 21 at 06:00:00 (in 5 h 56 min)",
    ),
    (
        "yarp.sun_elevation(latitude=52.5, longitude=13.4, tz='Europe/Berlin') > 10",
        True,
        "time alone will do: at 09:08:00 (in 9 h 4 min)\n"
        "sun_elevation, > 10 at 09:08:00 (in 9 h 4 min)",
    ),
    (
        "yarp.now(60, tz='UTC') >= datetime(2026, 1, 1, 3, tzinfo=UTC)",
        True,
        "time alone will do: at 03:00:00 (in 2 h 56 min)\n"
        "now, >= 2026-01-01 03:00:00+00:00 at 03:00:00 (in 2 h 56 min)",
    ),
    (
        "yarp.getattr(yarp.now(60, tz='UTC'), 'hour') >= 22",
        True,
        "time alone will do: at 22:00:00 (in 21 h 56 min)\n"
        "now, hour >= 22 at 22:00:00 (in 21 h 56 min)",
    ),
    # Other Values, and functions of the user.
    (
        "yarp.FSM(machine, [door]).state",
        "on",
        f"""
        FSM of machine _Step(state='off', timeout_length=600, timeout_time=600.0), \
needs state 'on': the state is 'off', its timeout runs out in 6 min
          /door False, {SINCE}
        """,
    ),
    (
        "cosy(lux, gone)",
        5,
        "cosy 81, needs 5: computed from:\n"
        f"  /lux 81, {SINCE}\n"
        f"  /gone unknown, needs known, {SINCE}",
    ),
    (
        "yarp.switch(yarp.fn(lambda door: lux if door else limit)(door))",
        5,
        f"""
        switch 40, needs 5: one of these is enough
          all of these:
            <lambda> <Value(40): out: /limit>, as needed
            /limit 40, needs 5, {SINCE}
          <lambda> <Value(40): out: /limit>: has to select another Value
            /door False, {SINCE}
        """,
    ),
]

EVENTS = [
    ("yarp.rising(door)", f"/door False, needs true, {SINCE}"),
    (
        "yarp.falling(door)",
        f"""
        /door False, needs false: one after the other
          /door False, needs true, {SINCE}
          /door False, has to change to false, {SINCE}
        """,
    ),
    ("yarp.changes(lux)", f"/lux 81, needs != 81, {SINCE}"),
    (
        "yarp.merge(button, motion)",
        f"""
        merge: one of these is enough
          /button has to happen: {NEVER}
          /motion has to happen: last 'cat' 4 min ago, at 00:00:00
        """,
    ),
    (
        "yarp.when(button, door)",
        f"when: all of these\n  /door False, needs true, {SINCE}\n  /button has to happen: {NEVER}",
    ),
    (
        "yarp.sample(lux, button)",
        f"/button has to happen: {NEVER}",
    ),
    (
        "yarp.throttle(motion, 600)",
        """
        throttle: all of these
          throttle: 4 of 10 min, at 00:10:00 (in 6 min)
          /motion has to happen: last 'cat' 4 min ago, at 00:00:00
        """,
    ),
    (
        "yarp.delay(motion, 600)",
        "time alone will do: at 00:10:00 (in 6 min)\ndelay: 10 min, at 00:10:00 (in 6 min)",
    ),
    (
        "yarp.schedule('07:30', tz='UTC')",
        "time alone will do: at 07:30:00 (in 7 h 26 min)\nschedule, at 07:30:00 (in 7 h 26 min)",
    ),
]


async def said_of(house, text, *wanted):
    """Return what is said of an expression, without the places of operators."""

    async def out():
        names = dict(NAMES)
        for path in (*STATES, "/gone"):
            names[path[1:]] = await yarp.state_observe(path)
        for path in ("/button", "/motion"):
            names[path[1:]] = await yarp.event_listen(path)
        result = eval(text, names)  # noqa: S307
        if isinstance(result, yarp.Event):
            await yarp.event_register("/out", result)
        else:
            await yarp.state_register("/out", result)

    for path, value in STATES.items():
        house.device(path, value, settable=False)
    await house.rule(Rule("out", out))
    await house.emit("/motion", "cat")
    await house.advance(minutes=4)
    said = house.why_not("/out", *wanted).replace(" at <string>:1", "").splitlines()
    return "\n".join(line.removeprefix("    ") for line in said[2:])


def dedented(text):
    lines = text.strip("\n").splitlines()
    indents = [len(line) - len(line.lstrip()) for line in lines if line.strip()]
    return "\n".join(line[min(indents) :].rstrip() for line in lines).strip("\n")


@pytest.mark.parametrize(("text", "wanted", "expected"), VALUES, ids=[text for text, *_ in VALUES])
async def test_the_conditions_of_a_value_are_written(house, text, wanted, expected):
    assert await said_of(house, text, wanted) == dedented(expected)


@pytest.mark.parametrize(("text", "expected"), EVENTS, ids=[text for text, _ in EVENTS])
async def test_the_conditions_of_an_event_are_written(house, text, expected):
    assert await said_of(house, text) == dedented(expected)
