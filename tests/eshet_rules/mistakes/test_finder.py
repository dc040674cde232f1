"""What is, and what is not, a mistake in the source of a rule."""

import ast
import textwrap
from pathlib import Path

import pytest

from eshet_rules.mistakes.finder import find_mistakes, ignored_codes, parse

ROOT = Path(__file__).parents[3]

RULE = """\
import asyncio
import threading

from eshet import yarp
from eshet.yarp import set_value
from eshet_rules import keep, rule


@rule
async def hall(client, log):
    lux = await yarp.state_observe("/hall/lux")
    press = await yarp.event_listen("/hall/press")
    dark = lux < 40
    level = yarp.Value(1)
    await yarp.set_value("/hall/dark", dark)
    await yarp.set_value("/hall/level", level)
"""


def found_in(text):
    tree = parse(text.encode())
    assert tree is not None, "the test has a syntax error"
    return find_mistakes(tree)


def found_in_rule(body):
    text = RULE + textwrap.indent(textwrap.dedent(body).strip("\n"), "    ") + "\n"
    first = RULE.count("\n")
    return [(mistake.line - first, mistake.code.value) for mistake in found_in(text)]


FN = "@yarp.fn\ndef late(t):\n    return "
USED = "await yarp.set_value('/l', late(lux))"


@pytest.mark.parametrize(
    ("body", "line", "code"),
    [
        ("dark.value = True", 1, "value-not-settable"),
        (f"{FN}t > 1 and dark.value\n{USED}", 3, "hidden-input"),
        ("yarp.on_value(yarp.fn(lambda t: lux.value)(level), print)", 1, "hidden-input"),
        ("lit = press & dark\nawait yarp.set_value('/l', lit)", 1, "event-and-value"),
        ("lit = (lux < 3) & press\nawait yarp.set_value('/l', lit)", 1, "event-and-value"),
        ("import time\ntime.sleep(3)", 2, "blocking-sleep"),
        ("from time import sleep\n@press.on_event\ndef _(x):\n    sleep(3)", 4, "blocking-sleep"),
        ("lux.value += 1", 1, "value-not-settable"),
        ("for dark.value in (1, 2):\n    pass", 1, "value-not-settable"),
        ("@press.on_event\ndef reset(_):\n    lux.value = 0", 3, "value-not-settable"),
        ('await client.set("/t", f"{lux} lux")', 1, "text-of-value"),
        ('await client.set("/t", f"{lux:.1f} lux")', 1, "text-of-value"),
        ('await client.set("/t", "{} lux".format(lux))', 1, "text-of-value"),
        ('await client.set("/t", "%s lux" % lux)', 1, "text-of-value"),
        ('await client.set("/t", "%s %s" % (1, dark))', 1, "text-of-value"),
        ('await client.set("/t", str(dark))', 1, "text-of-value"),
        ('await client.set("/t", f"{lux + 1} lux")', 1, "text-of-value"),
        ('if lux.value < 40:\n    await client.set("/t", 1)', 1, "decided-once"),
        ('if not dark.value:\n    await client.set("/t", 1)', 1, "decided-once"),
        ('await client.set("/t", 1 if dark.value else 0)', 1, "decided-once"),
        ("match level.value:\n    case 1:\n        await client.set('/t', 1)", 1, "decided-once"),
        ("for lamp in '/a', '/b':\n    if dark.value:\n        await client.set(lamp, 1)", 2,
         "decided-once"),
        ("press.on_event(lambda who: level.value.append(who))", 1, "changed-in-place"),
        ("level.value['x'] = 1", 1, "changed-in-place"),
        ("keep('a', 1)\nkeep('a', 2)", 2, "kept-twice"),
        ("for room in 'ab':\n    keep('level', 0)", 2, "kept-twice"),
        ("levels = [keep('level', 0) for room in 'ab']", 1, "kept-twice"),
        ("yarp.set_value('/lamp', dark)", 1, "never-awaited"),
        ("set_value('/lamp', dark)", 1, "never-awaited"),
        ("client.set('/lamp', 1)", 1, "never-awaited"),
        ("asyncio.sleep(1)", 1, "never-awaited"),
        ("other = yarp.state_observe('/x')\nprint_it = other", 0, ""),
        ("other = yarp.state_observe('/x')\nawait yarp.set_value('/y', other)", 1,
         "never-awaited"),
        ("@press.on_event\ndef ring(_):\n    client.set('/bell', 1)", 3, "never-awaited"),
        ("async def ring():\n    pass\nring()", 3, "never-awaited"),
        ("async def ring():\n    pass\nasyncio.get_running_loop().call_later(5, ring)", 3,
         "async-callback"),
        ("async def half(x):\n    return x / 2\nawait yarp.set_value('/h', yarp.fn(half)(lux))", 3,
         "async-callback"),
        ("@yarp.fn\nasync def half(x):\n    return x / 2\nawait yarp.set_value('/h', half(lux))", 2,
         "async-callback"),
        ("async def work():\n    pass\nthreading.Thread(target=work).start()", 3,
         "async-callback"),
        ("async def old(value, version):\n    return 1\nkeep('x', 1, old)", 3, "async-callback"),
        ("bright = lux > 400", 1, "dead-node"),
        ("yarp.fn(print)(press)", 1, "dead-node"),
        ("yarp.debounce(press, 5)", 1, "dead-node"),
        ("window = yarp.time_window(press, 5)", 1, "dead-node"),
    ],
)  # fmt: skip
def test_a_mistake_is_found_with_its_line(body, line, code):
    assert found_in_rule(body) == ([(line, code)] if code else [])


@pytest.mark.parametrize(
    "body",
    [
        "level.value = 2",
        f"{FN}t > level.value\n{USED}",
        f"{FN}t.value > 1\n{USED}",
        f"{FN}dark.value\nawait yarp.set_value('/l', late(press))",
        f"{FN}dark.value\nawait yarp.set_value('/l', late(yarp.rising(dark)))",
        "@yarp.fn\ndef late(dark):\n    return dark.value\n" + USED,
        "for level.value in (1, 2):\n    pass",
        'press.on_event(lambda who: log.info(f"{lux} lux"))',
        '@press.on_event\nasync def show(_):\n    await client.set("/t", f"{lux.value} lux")',
        'await client.set("/t", f"{lux!r}")',
        'await yarp.set_value("/t", yarp.str_format("{} lux", lux))',
        "@press.on_event\ndef act(_):\n    if lux.value < 40:\n        level.value = 3",
        "while True:\n    await asyncio.sleep(5)\n    if lux.value < 40:\n        level.value = 3",
        "await asyncio.sleep(5)\nif lux.value < 40:\n    level.value = 3",
        "async for _ in client.event_listen('/x'):\n    level.value = 0 if dark.value else 1",
        "if lux.value is None:\n    log.warning('no sensor')",
        "log.info('it is dark' if dark.value else 'it is light')",
        "level.value = [*level.value, 1]",
        "count = keep('count', 0)\nif count.value is None:\n    count.value = 0",
        "async def fetch(room):\n    pass\nawait asyncio.gather(*map(fetch, 'ab'))",
        "def store(client):\n    client.set('key', 1)",
        "level.value.append(1)\nlevel.value = level.value",
        "a = keep('a', 1)\nb = keep('b', 2)\na.value = b.value",
        "if dark is lux:\n    a = keep('a', 1)\nelse:\n    a = keep('a', 2)",
        "levels = {room: keep(f'level {room}', 0) for room in 'ab'}",
        "press.on_event(lambda _: client.set('/lamp', 1))",
        "@press.on_event\nasync def ring(_):\n    await asyncio.sleep(1)",
        "async def ring(_):\n    await asyncio.sleep(1)\npress.on_event(ring)",
        "async def work():\n    pass\ntask = asyncio.create_task(work())",
        "one, two = yarp.state_observe('/1'), yarp.state_observe('/2')\n"
        "both = await asyncio.gather(one, two)",
        "one = yarp.state_observe('/1')\ntask = asyncio.create_task(one)\nawait task",
        "yarp.on_value(dark, print)",
        "lit = dark & (lux < 3)\nawait yarp.set_value('/l', lit)",
        "lit = yarp.when(press, dark & (lux < 3))\nyarp.on_value(lit, print)",
        "import time\ndef slow():\n    time.sleep(3)\nawait asyncio.to_thread(slow)",
        "import time\nthreading.Thread(target=lambda: time.sleep(3)).start()",
        "_unused = lux > 400",
        "bright = lux > 400\npress.on_event(lambda _: print(bright.value))",
        "x = 3\nx > 2",
        "lux = 3\nlux < 40\nf'{lux}'",
    ],
)
def test_what_is_right_is_not_found(body):
    assert found_in_rule(body) == []


@pytest.mark.parametrize(
    "imports",
    [
        "import eshet.yarp as yarp",
        "from eshet import yarp as y\nyarp = None",
        "import eshet.yarp as y",
    ],
)
def test_the_names_of_yarp_are_those_that_the_file_imports(imports):
    name = "y" if "as y\n" in f"{imports}\n" else "yarp"
    text = f"""\
{imports}
from eshet_rules import rule
@rule
async def hall():
    {name}.set_value("/lamp", 1)
"""
    [mistake] = found_in(text)
    assert mistake.code == "never-awaited"
    other = found_in(text.replace(f"{name}.set_value", "other.set_value"))
    assert other == []


@pytest.mark.parametrize(
    ("text", "line"),
    [
        ("async def hall():\n    await yarp.state_observe('/x')\n", 1),
        ("async def hall(client, log=None):\n    await client.get('/x')\n", 1),
        ("@rule\nasync def bath():\n    yarp\nasync def hall():\n    yarp\n", 4),
        ("async def hall(*, config):\n    yarp\n", 1),
        ("async def hall(room):\n    yarp\n", None),
        ("async def _hall():\n    yarp\n", None),
        ("async def hall():\n    pass\n", None),
        ("async def hall():\n    yarp\n    yield\n", None),
        ("async def main():\n    yarp\n", None),
        ("@rule\nasync def main():\n    yarp\nasync def hall():\n    yarp\nprint(hall)\n", None),
        ("__all__ = ['hall']\nasync def hall():\n    yarp\n", None),
        ("@other\nasync def hall():\n    yarp\n", None),
    ],
)
def test_a_function_that_looks_like_a_rule_is_found(text, line):
    imports = "from eshet_rules import rule; from eshet import yarp\n"
    lines = [mistake.line - 1 for mistake in found_in(imports + text)]
    assert lines == ([] if line is None else [line])


def test_a_function_that_another_file_uses_is_no_rule():
    tree = parse(b"async def hall():\n    yarp\n")
    assert tree is not None
    assert find_mistakes(tree, {"hall"}) == []
    assert find_mistakes(tree, None) == []
    assert [mistake.code.value for mistake in find_mistakes(tree)] == ["no-rule"]


@pytest.mark.parametrize(
    ("line", "ignored"),
    [
        ("x = 1", []),
        ("x = 1  # check: ignore", ["dead-node", "kept-twice"]),
        ("x = 1  # check: ignore[dead-node]", ["dead-node"]),
        ("x = 1  # why; check: ignore[dead-node]", []),
        ("x = 1  #check:ignore[kept-twice, dead-node]", ["dead-node", "kept-twice"]),
    ],
)
def test_a_comment_ignores_all_codes_or_some(line, ignored):
    assert [code for code in ("dead-node", "kept-twice") if ignored_codes(line)(code)] == ignored


def test_a_file_without_valid_syntax_has_no_tree():
    assert parse(b"def x(:") is None
    assert parse(b"\0") is None


@pytest.mark.parametrize("folder", ["rules", "rules_mqtt"])
def test_nothing_is_found_in_the_rules_of_this_project(folder):
    for file in sorted((ROOT / folder).rglob("*.py")):
        assert found_in(file.read_text()) == [], file


def test_a_file_is_parsed_even_if_python_parses_another_meanwhile(
    monkeypatch: pytest.MonkeyPatch,
) -> None:
    real, failures = ast.parse, iter([SystemError("AST constructor recursion depth mismatch")])

    def interrupted(source: bytes) -> ast.Module:
        for error in failures:
            raise error
        return real(source)

    monkeypatch.setattr(ast, "parse", interrupted)
    assert parse(b"x = 1") is not None
