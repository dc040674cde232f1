"""Rendering of any record: messages of rules have fields of any name and any value."""

import io
import json
import math
from pathlib import Path

import pytest
from click.testing import CliRunner
from hypothesis import given
from hypothesis import strategies as st

from eshet_rules.audit.recorder import Recorder
from eshet_rules.audit.records.inputs_outputs import Input
from eshet_rules.audit.records.schema import EVENTS
from eshet_rules.audit.redaction import Redaction
from eshet_rules.audit.trail import Trail
from eshet_rules.cli.audit import audit
from eshet_rules.logs import make_logger, renderer


class Broken:
    """An object of a rule that raises whatever it is asked."""

    def __repr__(self):
        raise RuntimeError("no repr")

    def __eq__(self, other):
        raise RuntimeError("no comparison")

    def __hash__(self):
        return 1

    def __bool__(self):
        raise RuntimeError("no bool")


class BrokenText(str):
    __slots__ = ()

    def __repr__(self):
        raise RuntimeError("no repr")

    def __str__(self):
        raise RuntimeError("no str")


def circular():
    value = []
    value += [value, value]
    return value


def deep():
    value = []
    for _ in range(3000):
        value = [value]
    return value


ODD = [
    None, True, 0, 3, -0.5, math.nan, math.inf, [math.inf], 2**70, 10**5000, [10**5000], "", "text",
    "two\nlines", "\x1b[2J", "\ud800", {"\udfff": 1}, b"\xff", 1j, {1, 2}, ["a", "b"], [1, None],
    ("a",), {}, {"a": {"b": []}}, {(1, 2): 3}, {Broken(): 1}, {10**5000: 1}, Broken(), [Broken()],
    BrokenText("x"), [BrokenText("x")], Broken, circular(), deep(), object(), {"a": deep()},
]  # fmt: skip
NAMES = sorted(
    {name for event in EVENTS.values() for name in event.__struct_fields__}
    | {
        "unknown",
        "took",
        "crc",
        "logger",
        "advice",
        "self",
        "fields",
        "method_name",
        "level",
        "args",
        "a b",
        "",
    }
)
records = st.dictionaries(st.sampled_from(NAMES), st.sampled_from(ODD))


@given(records, st.sampled_from(["", *EVENTS]), st.booleans())
def test_the_console_renders_any_record(fields, event, is_message):
    record = {"time": "2026-11-25T18:30:00.000000Z", "level": "info", "event": event} | fields
    if is_message:
        record["logger"] = "hall.light"
    line = renderer("console", colours=True, with_causes=True)(None, "", record)
    assert "\ud800" not in line


@pytest.fixture
def kept(tmp_path):
    """A logger of a rule that writes to the console and to a trail, the stream, and the trail."""
    recorder, stream, file = Recorder(), io.StringIO(), tmp_path / "trail.jsonl"
    with recorder.keeping(Trail(file)):
        yield make_logger(stream, recorder=recorder).bind(logger="hall.light"), stream, file


def audited(file: Path, *options: str):
    result = CliRunner().invoke(audit, ["--audit", str(file), *options])
    assert result.exit_code == 0, result.output
    return result.stdout


@pytest.mark.parametrize(
    ("name", "value", "shown"),
    [
        ("cycle", 2, "cycle=2"),
        ("source", 3, "source=3"),
        ("conflicts", "kitchen", "conflicts=kitchen"),
        ("stack", 7, "stack=7"),
        ("file", "list.txt", "file=list.txt"),
        ("path", "/hall", "path=/hall"),
        ("duration", 0.5, "duration=0.5"),
        ("traceback", ["a"], "traceback=a"),
    ],
)
def test_a_field_of_a_message_of_a_rule_is_shown_as_the_rule_wrote_it(kept, name, value, shown):
    log, stream, file = kept
    log.info("washing", **{name: value}, kind="cotton")
    log.info("afterwards")
    assert f"washing  {shown} kind=cotton" in stream.getvalue()
    text = audited(file)
    assert f"washing  {shown} kind=cotton" in text
    assert "afterwards" in text


def test_an_error_in_a_message_of_a_rule_is_shown_below(kept):
    log, stream, file = kept
    log.error("no water", exc_info=ValueError("the tap is closed"))
    for text in (stream.getvalue(), audited(file)):
        assert "no water\n    ValueError: the tap is closed\n" in text


def test_a_record_of_the_runner_with_fields_of_other_types_is_shown(kept):
    log, _, file = kept
    log.unbind("logger").error("rule.loop_cut", cycle=2, source=3, file=4, time_="x")
    assert "cycle=2 source=3 file=4" in audited(file)
    assert json.loads(audited(file, "--json").splitlines()[-1])["cycle"] == 2


def strict(text: str):
    """Parse JSON as other programs do, without NaN."""

    def refuse(constant):
        raise AssertionError(constant)

    return json.loads(text, parse_constant=refuse)


@pytest.fixture(params=["console", "json"])
def any_log(request, tmp_path):
    """A logger of a rule in each format, its stream, and its trail."""
    recorder, stream, file = Recorder(), io.StringIO(), tmp_path / "trail.jsonl"
    with recorder.keeping(Trail(file)):
        log = make_logger(stream, request.param, level="debug", recorder=recorder)
        yield log.bind(logger="hall.light"), stream, file


@pytest.mark.parametrize("value", ODD, ids=range(len(ODD)))
def test_no_value_makes_a_log_call_fail(any_log, value):
    log, stream, file = any_log
    for name in NAMES:
        log.info("field", **{name: value})
    log.info("nested", value={"a": [value]})
    log.bind(value=value).warning("bound")
    log.log(25, "between info and warning", event=value)
    log.info(value)
    log.info("%s %d", value, "no number")
    log.info("%s", value)
    log.info(value, value)
    shown = stream.getvalue().splitlines()
    kept = [strict(line) for line in audited(file, "--json").splitlines()]
    assert len(kept) == 1 + len(NAMES) + 7  # with the beginning of the trail
    if shown[0].startswith("{"):
        assert list(map(strict, shown)) == kept[1:]


def test_a_secret_within_an_odd_value_is_redacted():
    class Lock:
        def __repr__(self):
            return "Lock(4711)"

    stream = io.StringIO()
    recorder = Recorder(Redaction(["pin"]))
    log = make_logger(stream, "json", recorder=recorder).bind(logger="hall.light")
    for value in ODD:
        log.info("odd", pin=value, other=value)
    log.info("opened", pin=4711, lock=Lock())
    assert "4711" not in stream.getvalue()


@pytest.mark.parametrize("value", [math.nan, [math.inf, {"a": -math.inf}], {(1, 2): 3}, Broken()])
def test_an_input_with_any_value_is_a_line_of_json(value):
    stream, recorder = io.StringIO(), Recorder()
    make_logger(stream, "json", level="debug", recorder=recorder)
    record = Input(path="/lux", kind="state", value=value)
    record.time, record.level, record.event = "2026-11-25T18:30:00.000000Z", "debug", Input.EVENT
    recorder.record(record)
    assert strict(stream.getvalue())["path"] == "/lux"
