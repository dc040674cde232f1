import ast
from pathlib import Path

import msgspec
import pytest

import eshet_rules
from eshet_rules.audit.records.inputs_outputs import Input
from eshet_rules.audit.records.rules import TasksNotEnding
from eshet_rules.audit.records.schema import EVENTS, Record, check, emit

PACKAGE = Path(eshet_rules.__file__).parent
COMMON = {"time": "2026-11-25T03:22:41.123456Z", "level": "info"}
_LEVELS = {"debug", "info", "warning", "error", "critical"}


def is_text(node):
    return isinstance(node, ast.Constant) and isinstance(node.value, str)


def logged_names():
    """Find the names of all events in the sources, as texts given to a log or `_log_blocked`."""
    for file in PACKAGE.rglob("*.py"):
        for call in ast.walk(ast.parse(file.read_text())):
            if (
                isinstance(call, ast.Call)
                and isinstance(call.func, ast.Attribute)
                and call.func.attr in {*_LEVELS, "_log_blocked", "_tell"}
                and call.args
            ):
                for node in ast.walk(call.args[0]):
                    if is_text(node) and "=" not in node.value:  # those are for systemd
                        yield node.value, f"{file.name}:{node.lineno}"


@pytest.mark.parametrize(("name", "place"), sorted(set(logged_names())))
def test_whatever_the_runner_logs_has_a_schema(name, place):
    assert name in EVENTS, f"{place} logs it: add a class to eshet_rules/audit/records"


@pytest.mark.parametrize("name", EVENTS)
def test_each_event_and_field_is_explained(name):
    schema = EVENTS[name]
    assert schema.__doc__ != Record.__doc__
    assert schema.__doc__
    info = msgspec.inspect.type_info(schema)
    for field in info.fields:
        assert isinstance(field.type, msgspec.inspect.Metadata), field.name
        assert field.type.extra_json_schema["description"], field.name


@pytest.mark.parametrize("name", EVENTS)
def test_time_level_and_event_come_first(name):
    assert EVENTS[name].__struct_fields__[:3] == ("time", "level", "event")


@pytest.mark.parametrize(
    ("record", "problem"),
    [
        ({**COMMON, "event": "stoped"}, "no event 'stoped'"),
        ({**COMMON, "event": "runner.stopped", "mood": "good"}, "unknown field `mood`"),
        ({**COMMON, "event": "module.loaded"}, "missing required field `rules`"),
        ({**COMMON, "event": "module.loaded", "rules": "light"}, "Expected `array`"),
        ({**COMMON, "event": "runner.stopped", "time": "now"}, r"matching regex"),
        ({**COMMON, "event": "runner.stopped", "level": "loud"}, "Invalid enum value"),
    ],
)
def test_what_is_not_of_the_schema_is_refused(record, problem):
    with pytest.raises(ValueError, match=problem):
        check(record)


def test_messages_of_rules_and_libraries_are_free():
    check({**COMMON, "event": "whatever", "logger": "hall.light", "mood": "good"})


def test_a_value_is_told_also_if_it_is_null():
    record = Input(**COMMON, event="input.received", kind="event", path="/bell", value=None)
    assert b'"value":null' in msgspec.json.encode(record)


def test_a_long_list_of_names_is_logged_in_short(log):
    emit(log.logger, TasksNotEnding(tasks=[f"task {number}" for number in range(10_000)]))
    tasks = log.find("rule.tasks_not_ending")["tasks"]
    assert tasks[:10] == [f"task {number}" for number in range(10)]
    assert tasks[10:] == ["and 9,990 more"]
