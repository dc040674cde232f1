"""Silent mistakes in whole rule files: each is reported with its line; what is right is not.

The line that is to be reported ends with `# here`.
"""

import ast
import os
import re
import shutil
import textwrap
from pathlib import Path

import pytest

from eshet_rules.check.checker import check_folder_of_rules
from eshet_rules.check.finding import CODES, Finding, Severity, sorted_findings
from eshet_rules.config import FILE_NAME, ConfigurationFile
from eshet_rules.mistakes.finder import find_mistakes, parse
from eshet_rules.mistakes.names import nested

ROOT = Path(__file__).parents[3]

IMPORTS = """\
import asyncio
import threading

from eshet import yarp
from eshet_rules import keep, rule

"""


def check(folder, *, house=None, real_time=5.0):
    configuration = ConfigurationFile(folder / FILE_NAME).read()
    return check_folder_of_rules(folder, configuration, house=house, real_time=real_time)


def check_text(folder, text, **options):
    (folder / "hall.py").write_text(IMPORTS + textwrap.dedent(text).strip("\n") + "\n")
    return check(folder, **options)


def told(result):
    """Return the findings as pairs of line and code."""
    return [(each.line, str(each.code)) for each in result.findings]


# Code, severity, and a file without its imports.
MISTAKES = [
    (
        "no-rule",
        "warning",
        """
        async def hall_light():  # here
            lux = await yarp.state_observe("/hall/lux")
            await yarp.set_value("/hall/light", lux < 40)
        """,
    ),
    (
        "no-rule",
        "warning",
        """
        @rule
        async def bath(client):
            await client.state_register("/bath/here")


        async def hall(client, log):  # here
            await client.state_register("/hall/here")
        """,
    ),
    (
        "text-of-value",
        "warning",
        """
        @rule
        async def display():
            lux = await yarp.state_observe("/hall/lux")
            await yarp.set_value("/hall/display", f"{lux} lux")  # here
        """,
    ),
    (
        "text-of-value",
        "warning",
        """
        @rule
        async def display():
            lux = await yarp.state_observe("/hall/lux")
            text = yarp.Value("%s lux" % (lux,))  # here
            await yarp.state_register("/hall/display", text)
        """,
    ),
    (
        "text-of-value",
        "warning",
        """
        def shown(reading):
            return f"{reading} lux"  # here


        @rule
        async def display():
            text = shown(await yarp.state_observe("/hall/lux"))
            await yarp.set_value("/hall/display", text)
        """,
    ),
    (
        "value-not-settable",
        "error",
        """
        @rule
        async def light():
            lamp = await yarp.state_observe("/hall/lamp")
            lamp.value = True  # here
        """,
    ),
    (
        "value-not-settable",
        "error",
        """
        @rule
        async def light():
            lamp = await yarp.state_observe("/hall/lamp")
            press = await yarp.event_listen("/hall/press")

            @press.on_event
            def toggle(_):
                lamp.value = not lamp.value  # here
        """,
    ),
    (
        "value-not-settable",
        "error",
        """
        @rule
        async def light():
            is_on = yarp.no_repeat(await yarp.state_observe("/hall/motion"))
            await yarp.set_value("/hall/lamp", is_on)
            press = await yarp.event_listen("/hall/press")

            @press.on_event
            def off(_):
                is_on.value = False  # here
        """,
    ),
    (
        "async-callback",
        "warning",
        """
        async def half(level):
            return level / 2


        @rule
        async def light():
            level = yarp.Value(100)
            await yarp.set_value("/hall/lamp", yarp.fn(half)(level))  # here
        """,
    ),
    (
        "async-callback",
        "warning",
        """
        @rule
        async def light(client):
            async def off():
                await client.set("/hall/lamp", False)

            press = await yarp.event_listen("/hall/press")
            loop = asyncio.get_running_loop()
            press.on_event(lambda _: loop.call_later(60, off))  # here
        """,
    ),
    (
        "async-callback",
        "warning",
        """
        async def poll():
            await asyncio.sleep(1)


        @rule
        async def sensor():
            press = await yarp.event_listen("/hall/press")
            press.on_event(lambda _: threading.Thread(target=poll).start())  # here
        """,
    ),
    (
        "changed-in-place",
        "warning",
        """
        @rule
        async def visitors():
            seen = yarp.Value([])
            await yarp.state_register("/hall/seen", seen)
            press = await yarp.event_listen("/hall/press")
            press.on_event(lambda who: seen.value.append(who))  # here
        """,
    ),
    (
        "changed-in-place",
        "warning",
        """
        @rule
        async def visitors():
            counts = keep("counts", {})
            await yarp.state_register("/hall/counts", counts)
            press = await yarp.event_listen("/hall/press")

            @press.on_event
            def count(who):
                counts.value[who] = True  # here
        """,
    ),
    (
        "decided-once",
        "warning",
        """
        @rule
        async def light(client):
            lux = await yarp.state_observe("/hall/lux")
            if lux.value == 0:  # here
                await yarp.set_value("/hall/lamp", yarp.Value(True))
        """,
    ),
    (
        "decided-once",
        "warning",
        """
        @rule
        async def light():
            dark = yarp.default(await yarp.state_observe("/hall/lux"), 100) < 40
            level = 100 if dark.value else 0  # here
            await yarp.set_value("/hall/lamp", yarp.Value(level))
        """,
    ),
    (
        "kept-twice",
        "warning",
        """
        @rule
        async def heating():
            day = keep("target", 21)
            night = keep("target", 17)  # here
            await yarp.state_register("/heating/day", day)
            await yarp.state_register("/heating/night", night)
        """,
    ),
    (
        "kept-twice",
        "warning",
        """
        @rule
        async def heating():
            for room in ("bath", "hall"):
                target = keep("target", 21)  # here
                await yarp.state_register(f"/{room}/target", target, settable=True)
        """,
    ),
    (
        "never-awaited",
        "error",
        """
        @rule
        async def light():
            lux = await yarp.state_observe("/hall/lux")
            yarp.set_value("/hall/lamp", lux < 40)  # here
        """,
    ),
    (
        "never-awaited",
        "error",
        """
        @rule
        async def bell(client):
            press = await yarp.event_listen("/hall/press")

            @press.on_event
            def ring(_):
                client.action_call("/hall/bell")  # here
        """,
    ),
    (
        "never-awaited",
        "error",
        """
        @rule
        async def light(client):
            [client.set(f"/{room}/lamp", False) for room in ("bath", "hall")]  # here
        """,
    ),
    (
        "dead-node",
        "warning",
        """
        @rule
        async def light():
            lux = await yarp.state_observe("/hall/lux")
            dark = lux < 40
            is_on = yarp.debounce(dark, 10)  # here
        """,
    ),
    (
        "dead-node",
        "warning",
        """
        @rule
        async def log_presses():
            press = await yarp.event_listen("/hall/press")
            yarp.fn(print)(press)  # here
        """,
    ),
    (
        "events-joined",
        "warning",
        """
        @rule
        async def light():
            press = await yarp.event_listen("/hall/press")
            motion = await yarp.event_listen("/hall/motion")
            await yarp.set_value("/hall/lamp", press & motion)  # here
        """,
    ),
    (
        "two-writers",
        "warning",
        """
        @rule
        async def by_lux():
            lux = await yarp.state_observe("/hall/lux")
            await yarp.set_value("/hall/lamp", lux == 0)


        @rule
        async def by_door():
            door = await yarp.state_observe("/hall/door")
            await yarp.set_value("/hall/lamp", door)  # here
        """,
    ),
    (
        "two-writers",
        "warning",
        """
        @rule
        async def light():
            await yarp.set_value("/hall/lamp", await yarp.state_observe("/hall/lux") == 0)
            await yarp.set_value("/hall/lamp", await yarp.state_observe("/hall/door"))  # here
        """,
    ),
    (
        "path-taken",
        "error",
        """
        @rule
        async def one():
            await yarp.state_register("/hall/level", yarp.Value(1))


        @rule
        async def two():
            await yarp.state_register("/hall/level", yarp.Value(2))  # here
        """,
    ),
    (
        "no-provider",
        "warning",
        """
        @rule
        async def provides():
            await yarp.state_register("/hall/darkness", yarp.Value(1))


        @rule
        async def reads():
            darkness = await yarp.state_observe("/hall/darknss")  # here
            await yarp.set_value("/hall/lamp", darkness)
        """,
    ),
    (
        "writes-what-it-reads",
        "warning",
        """
        @rule
        async def limit():
            level = await yarp.state_observe("/hall/level")
            await yarp.set_value("/hall/level", yarp.default(level, 0) + 1)  # here
        """,
    ),
    (
        "writes-what-it-reads",
        "warning",
        """
        @rule
        async def limit():
            level = await yarp.state_observe("/hall/level")
            await yarp.drive("/hall/level", yarp.default(level, 0) + 1)  # here
        """,
    ),
    (
        "set-up",
        "error",
        """
        @rule
        async def light(config):
            await yarp.state_observe(config.sensor)  # here
        """,
    ),
    (
        "set-up",
        "warning",
        """
        @yarp.fn
        def half(level):
            return level / 2  # here


        @rule
        async def light():
            await yarp.set_value("/hall/lamp", half(await yarp.state_observe("/hall/level")))
        """,
    ),
    (
        "set-up",
        "error",
        """
        @rule
        async def light():
            lux = await yarp.state_observe("/hall/lux")
            if lux < 40:  # here
                await yarp.set_value("/hall/lamp", yarp.Value(True))
        """,
    ),
    (
        "import",
        "error",
        """
        @rule.each(["bath", "hall"])  # here
        async def light(room):
            pass
        """,
    ),
    (
        "fails",
        "warning",
        """
        @rule
        async def light():
            count = yarp.Value(0)

            @count.on_value_changed
            def show(count):
                print(10 / (count - 1))  # here

            count.value = 1
        """,
    ),
    (
        "fails",
        "error",
        """
        def work():
            raise OSError("no bus")  # here


        @rule
        async def bus():
            thread = threading.Thread(target=work)
            thread.start()
            await asyncio.to_thread(thread.join)
        """,
    ),
]


@pytest.mark.parametrize(("code", "severity", "text"), MISTAKES)
def test_a_mistake_is_reported_with_its_line_and_a_remedy(tmp_path, code, severity, text):
    result = check_text(tmp_path, text)
    lines = (tmp_path / "hall.py").read_text().splitlines()
    [expected] = [n for n, line in enumerate(lines, start=1) if line.endswith("# here")]
    [finding] = result.findings
    assert (finding.line, str(finding.code)) == (expected, code), finding.text
    assert finding.file == tmp_path / "hall.py"
    assert str(finding.severity) == severity
    assert finding.remedy or "write" in finding.problem or severity == "error" or code == "fails"


def test_every_code_is_documented():
    page = (ROOT / "docs/howto/check-rules.md").read_text()
    documented = set(re.findall(r"^\| `([\w-]+)` \|", page, re.MULTILINE))
    assert documented == {str(code) for code in CODES}
    assert {code for code, _, _ in MISTAKES} <= documented


# --- what is right ----------------------------------------------------------------------------


DRIVERS = """
    @rule
    async def by_lux():
        lux = await yarp.state_observe("/hall/lux")
        await yarp.{function}("/hall/lamp", lux == 0)


    @rule
    async def by_door():
        door = await yarp.state_observe("/hall/door")
        await yarp.drive("/hall/lamp", door, priority=1)
    """


def test_rules_that_drive_one_path_are_no_rivals_unless_another_sets_it(tmp_path):
    alone = check_text(tmp_path, textwrap.dedent(DRIVERS.format(function="drive")))
    assert "two-writers" not in {str(each.code) for each in alone.findings}
    mixed = check_text(tmp_path, textwrap.dedent(DRIVERS.format(function="set_value")))
    [found] = [each for each in mixed.findings if str(each.code) == "two-writers"]
    assert "yarp.drive" in found.remedy


@pytest.mark.parametrize("folder", ["docs/cookbook", "rules", "rules_mqtt"])
def test_nothing_is_found_in_the_rules_of_this_project(folder):
    # The broker in Python is optional.
    found = [each for each in check(ROOT / folder).findings if "'amqtt" not in each.problem]
    assert found == []


CASES = sorted(
    version for case in (ROOT / "tests/reloads").iterdir() for version in case.glob("v*")
)

FOUND_IN_CASES = {
    "broken_save_during_set_up/v3.py": "import",
    "circular_import_that_fails/v2": "import",
    "error_at_import/v2.py": "import",
    "error_in_set_up_after_the_third_output/v2.py": "set-up",
    "error_in_set_up_repaired/v2.py": "set-up",
    "helper_changed_and_one_of_two_that_import_it_fails/v2": "set-up",
    "helper_changed_and_one_of_two_that_import_it_is_broken/v2": "import",
    "helper_deleted/v2": "import",
    "import_error/v2.py": "import",
    "line_inserted_above/v2.py": "dead-node",
    "one_of_two_unrelated_modules_fails/v2": "set-up",
    "syntax_error/v2.py": "import",
    "two_files_of_one_module/v2": "import",
}
"""The versions that have such mistakes on purpose; nothing is found in the others."""


@pytest.mark.parametrize("version", CASES, ids=lambda path: f"{path.parent.name}/{path.name}")
def test_only_real_mistakes_are_found_in_the_cases_of_reloads(version, tmp_path):
    if version.is_dir():
        shutil.copytree(version, tmp_path, dirs_exist_ok=True)
    else:
        shutil.copy(version, tmp_path / "hall.py")
    found = [each for each in check(tmp_path).findings if each.severity is not Severity.NOTE]
    expected = FOUND_IN_CASES.get(f"{version.parent.name}/{version.name}")
    assert {str(each.code) for each in found} == ({expected} if expected else set())


PAGES = [ROOT / "README.md", *sorted((ROOT / "docs").rglob("*.md"))]
EXAMPLE = re.compile(r"^```python\n(.*?)^```$", re.MULTILINE | re.DOTALL)


@pytest.mark.parametrize("page", PAGES, ids=lambda page: str(page.relative_to(ROOT)))
def test_nothing_is_found_in_the_examples_of_a_page(page, tmp_path):
    names = ("dark = 40", "limit = 70", "minutes = 2")
    (tmp_path / FILE_NAME).write_text('[rules."*".parameters]\n' + "\n".join(names) + "\n")
    for block in EXAMPLE.finditer(page.read_text()):
        tree = parse(block[1].encode())
        assert tree is not None
        assert find_mistakes(tree) == []
        if "@rule" in block[1] and not _has_await_outside(tree):
            (tmp_path / "example.py").write_text(IMPORTS + block[1])
            assert told(check(tmp_path)) == []


def _has_await_outside(tree):
    return any(isinstance(node, ast.Await) for each in tree.body for node in nested(each))


# --- ends in any case -------------------------------------------------------------------------


@pytest.mark.parametrize(
    ("text", "found"),
    [
        (
            """
            while True:  # line 7
                pass
            """,
            "blocks",
        ),
        (
            """
            @rule
            async def hall():
                while True:
                    pass
            """,
            "blocks",
        ),
        (
            """
            @rule
            async def hall():
                while True:
                    await asyncio.sleep(0)
            """,
            "not-set-up",
        ),
    ],
)
def test_rules_that_block_do_not_hang_the_check(tmp_path, text, found):
    result = check_text(tmp_path, text, real_time=0.3)
    [finding] = result.findings
    assert str(finding.code) == found
    assert finding.line >= 7


def test_a_rule_that_waits_for_a_thread_does_not_hang_the_check(tmp_path):
    read, write = os.pipe()
    (tmp_path / FILE_NAME).write_text(f'[rules."hall.hall".parameters]\npipe = {read}\n')
    text = """
        import os

        @rule
        async def forever():
            while True:
                await asyncio.sleep(1)

        @rule
        async def hall(config):
            await asyncio.to_thread(os.read, config.pipe, 1)  # here
        """
    try:
        [finding] = check_text(tmp_path, text, real_time=0.3).findings
    finally:
        os.close(write)  # so that the thread ends
    assert (str(finding.code), finding.rule) == ("not-set-up", "hall.hall")
    assert (tmp_path / "hall.py").read_text().splitlines()[finding.line - 1].endswith("# here")


# --- paths ------------------------------------------------------------------------------------

READER = """
@rule
async def light():
    motion = await yarp.event_listen("/hall/motion")
    await yarp.set_value("/hall/lamp", yarp.hold(motion, 60))
"""


def test_without_a_house_nothing_is_said_of_its_paths(tmp_path):
    assert told(check_text(tmp_path, READER)) == []


def test_a_path_that_the_house_does_not_provide_is_reported_with_near_ones(tmp_path):
    result = check_text(
        tmp_path,
        READER,
        house={"/hall/motion": "event", "/hall/lamp2": "state", "/meta/tree": "action"},
    )
    [finding] = result.findings
    assert (finding.line, str(finding.code)) == (10, "no-provider")
    assert finding.text == "nothing provides /hall/lamp: did you mean /hall/lamp2?"


def test_a_path_that_is_like_none_is_reported_as_well(tmp_path):
    [finding] = check_text(
        tmp_path, READER, house={"/hall/motion": "event", "/x": "state"}
    ).findings
    assert finding.remedy == "check its name, and that its device is connected"


@pytest.mark.parametrize(
    ("read", "is_near"),
    [
        ("/bath/humidity", False),
        ("/bath/humidty", True),
        ("/bath/humidiyt", True),
        ("/bath/humidityy", True),
        ("/bath/humidify", True),
        ("/bath/humiditys", False),  # a plural
        ("/bath/temperature", False),
        ("/bath2/humidity", False),
        ("/bat/humidity", False),  # short names differ by one letter by chance
        ("/hall/humidity", False),
    ],
)
def test_without_a_house_a_path_is_reported_if_one_letter_is_wrong(tmp_path, read, is_near):
    text = f"""
        @rule
        async def provides():
            await yarp.state_register("/bath/humidity", yarp.Value(1))

        @rule
        async def reads():
            await yarp.set_value("/fan", await yarp.state_observe("{read}"))
        """
    codes = [code for _, code in told(check_text(tmp_path, text))]
    assert codes == (["no-provider"] if is_near else [])


def test_what_a_rule_sends_at_an_event_is_no_second_writer_and_no_feedback(tmp_path):
    text = """
        @rule
        async def hold():
            await yarp.set_value("/lamp", await yarp.state_observe("/dark"))

        @rule
        async def toggle():
            lamp = await yarp.state_observe("/lamp")
            press = await yarp.event_listen("/press")
            await yarp.set_value("/lamp", yarp.fn(lambda _, on: not on)(press, lamp))
        """
    assert told(check_text(tmp_path, text)) == []


def test_the_paths_of_each_rule_are_reported(tmp_path):
    [report] = check_text(tmp_path, READER).rules
    assert (report.rule, report.reads) == ("hall.light", ("/hall/motion",))
    assert report.writes == ("/hall/lamp",)


# --- beside the house -------------------------------------------------------------------------


def test_a_set_up_that_calls_the_house_is_checked_to_its_end(tmp_path):
    text = """
        @rule
        async def light(client):
            await client.action_call("/house/ready")
            await client.set("/house/mode", "day")
            undefined_name
        """
    assert told(check_text(tmp_path, text)) == [(11, "set-up")]


@pytest.mark.parametrize("call", ['action_call("/house/lamps")', 'get("/house/lamps")'])
def test_a_set_up_that_depends_on_an_answer_of_the_house_is_only_noted(tmp_path, call):
    text = f"""
        @rule
        async def light(client):
            for lamp in await client.{call}:  # here
                await client.set(lamp, True)
        """
    [finding] = check_text(tmp_path, text).findings
    assert (str(finding.severity), str(finding.code), finding.line) == ("note", "not-checked", 9)
    assert "/house/lamps" in finding.problem


def test_what_one_rule_waits_for_may_be_provided_by_another_one_that_waits(tmp_path):
    text = """
        @rule
        async def reads(client):
            await client.action_call("/second")

        @rule
        async def provides(client):
            await client.action_call("/first")
            await client.action_register("/second", lambda: 1)
        """
    result = check_text(tmp_path, text, house={"/first": "action"})
    assert told(result) == []


def test_a_path_that_a_failed_rule_would_provide_is_not_reported(tmp_path):
    text = """
        @rule
        async def fails(client):
            await yarp.state_observe("/hall/lux")
            undefined_name
        """
    assert told(check_text(tmp_path, text, house={"/other": "state"})) == [(10, "set-up")]


def test_what_stands_in_for_the_house_does_not_count_as_provided(tmp_path):
    text = """
        @rule
        async def reads(client):
            await client.action_call("/first")
        """
    assert told(check_text(tmp_path, text, house={"/other": "state"})) == [(9, "no-provider")]


def test_rules_that_end_the_process_or_stop_the_loop_do_not_end_the_check(tmp_path):
    text = """
        import sys

        @rule
        async def ends():
            asyncio.get_running_loop().call_soon(lambda: sys.exit(3))  # line 11

        @rule
        async def stops():
            asyncio.get_running_loop().call_soon(asyncio.get_running_loop().stop)

        @rule
        async def fails():
            undefined_name
        """
    assert told(check_text(tmp_path, text)) == [(11, "fails"), (19, "set-up")]


def test_rules_get_their_parameters_and_disabled_rules_are_not_set_up(tmp_path):
    (tmp_path / FILE_NAME).write_text(
        '[rules."hall.light".parameters]\nsensor = "/hall/lux"\n'
        '[rules."hall.off"]\nenabled = false\n'
    )
    text = """
        @rule
        async def light(config):
            await yarp.set_value("/lamp", await yarp.state_observe(config.sensor))

        @rule
        async def off():
            raise ValueError
        """
    assert told(check_text(tmp_path, text)) == []


def test_each_file_is_executed_once(tmp_path):
    (tmp_path / "bath.py").write_text("from _lights import WARM\n")
    (tmp_path / "_lights.py").write_text(
        f"from pathlib import Path\nwith Path({str(tmp_path / 'times')!r}).open('a') as times:\n"
        "    times.write('once ')\nWARM = 2700\n"
    )
    assert told(check_text(tmp_path, "from _lights import WARM")) == []
    assert (tmp_path / "times").read_text() == "once "


def test_what_rules_print_is_not_shown(tmp_path, capfd):
    check_text(tmp_path, "print('import')\n\n\n@rule\nasync def hall(log):\n    log.info('x')\n")
    assert capfd.readouterr() == ("", "")


def test_nothing_is_listened_to_and_no_connection_is_made(tmp_path, monkeypatch):
    def refuse(*args, **kwargs):
        raise AssertionError("a connection outside")

    monkeypatch.setattr("asyncio.base_events.BaseEventLoop.create_connection", refuse)
    monkeypatch.setattr("asyncio.base_events.BaseEventLoop.create_server", refuse)
    assert told(check_text(tmp_path, READER)) == []


def test_helpers_and_functions_that_other_files_use_are_no_unmarked_rules(tmp_path):
    function = "from eshet import yarp\n\n\nasync def light(client):\n    await client.get('/x')\n"
    (tmp_path / "_helper.py").write_text(function)
    (tmp_path / "lights.py").write_text(function)
    text = """
        from lights import light

        @rule
        async def hall(client):
            await asyncio.gather(light(client), return_exceptions=True)
        """
    assert told(check_text(tmp_path, text)) == []


def test_a_comment_at_the_line_ignores_a_finding(tmp_path):
    text = """
        @rule
        async def hall():
            lux = await yarp.state_observe("/hall/lux")
            bright = lux > 400  # check: ignore[dead-node]
            dark = lux < 40  # check: ignore[kept-twice]
        """
    assert told(check_text(tmp_path, text)) == [(11, "dead-node")]


def test_a_finding_is_told_once_and_an_error_that_explains_a_failed_set_up_instead_of_it():
    def finding(code, line=1, severity=Severity.ERROR, rule=None):
        return Finding(severity, code, Path("hall.py"), line, "problem", "remedy", rule)

    never, set_up = finding("never-awaited"), finding("set-up", rule="hall.hall")
    assert sorted_findings([set_up, never, never]) == [never]
    hint = finding("dead-node", severity=Severity.WARNING)
    assert sorted_findings([set_up, hint]) == [hint, set_up]
    assert [each.line for each in sorted_findings([finding("a", 9), finding("a", 3)])] == [3, 9]


KINDS = """
    @rule
    async def a_wrong():
        lux = await yarp.event_listen("/lux")
        lux.on_event(print)

    @rule
    async def b_right():
        lux = await yarp.state_observe("/lux")
        yarp.on_value(lux, print)
    """


def test_rules_that_use_a_path_as_different_kinds_are_named(tmp_path):
    findings = check_text(tmp_path, KINDS).findings
    assert [(each.line, each.code) for each in findings] == [(9, "wrong-kind"), (14, "wrong-kind")]
    assert findings[0].problem.endswith("at hall.py:14 (as a state)")
    assert findings[1].problem.endswith("at hall.py:9 (as an event)")


def test_the_house_decides_which_rule_is_right(tmp_path):
    [finding] = check_text(tmp_path, KINDS, house={"/lux": "state"}).findings
    assert (finding.line, finding.code) == (9, "wrong-kind")
    assert finding.problem == "/lux is a state in the house, and used as an event"
    assert finding.remedy == "write `yarp.state_observe`"
    [finding] = check_text(tmp_path, KINDS, house={"/lux": "event"}).findings
    assert (finding.line, finding.remedy) == (14, "write `yarp.event_listen`")


def test_a_rule_alone_is_compared_with_the_house(tmp_path):
    alone = KINDS.partition("    @rule\n    async def b_right")[0]
    assert check_text(tmp_path, alone).findings == []
    [finding] = check_text(tmp_path, alone, house={"/lux": "state"}).findings
    assert (finding.line, finding.code) == (9, "wrong-kind")
