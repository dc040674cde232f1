"""Kinds: reports become typed values, and values to send are checked."""

import pytest

from eshet.bridges.exceptions import NotAllowed, WrongKind
from eshet.bridges.kinds import DATA, Flag, Number, Record, Text

COLOUR = Record({"x": Number(0, 1), "y": Number(0, 1)})
BOUNDED = Number(-5, 30, 0.5, unit="°C")


@pytest.mark.parametrize(
    ("kind", "reported", "value"),
    [
        (Flag(), True, True),
        (Number(), 19, 19.0),
        (Number(), "19.5", 19.5),
        (Number(whole=True), 19.0, 19),
        (Number(0, 1), 7, 7.0),  # a device may report more than it accepts
        (Text(), "on", "on"),
        (Text(("1", "2")), 1, "1"),
        (Text(("on",)), "standby", "standby"),
        (COLOUR, {"x": 1, "y": 0.5, "hue": 3}, {"x": 1.0, "y": 0.5, "hue": 3}),
        (DATA, [1, "a"], [1, "a"]),
    ],
)
def test_a_report_is_converted_to_the_declared_type(kind, reported, value):
    read = kind.read(reported)
    assert read == value
    assert type(read) is type(value)


@pytest.mark.parametrize(
    ("kind", "reported", "expected"),
    [
        (Flag(), "ON", "'ON' instead of true or false"),
        (Flag(), 1, "1 instead of true or false"),
        (Number(), True, "True instead of a number"),
        (Number(), "warm", "'warm' instead of a number"),
        (Number(), "nan", "'nan' instead of a number"),
        (Number(), None, "None instead of a number"),
        (Text(), True, "True instead of a text"),
        (COLOUR, 3, "3 instead of a map"),
        (COLOUR, {"x": "red"}, "'red' instead of a number"),
    ],
)
def test_a_report_of_another_kind_is_an_error(kind, reported, expected):
    with pytest.raises(WrongKind, match=f"^{expected}$"):
        kind.read(reported)


@pytest.mark.parametrize(
    ("kind", "value"),
    [
        (Flag(), False),
        (BOUNDED, 21.5),
        (BOUNDED, -5),
        (BOUNDED, 30),
        (Number(0, 1, 0.1), 0.7),  # not a multiple of 0.1 as floats
        (Number(whole=True), 3),
        (Text(("eco", "heat")), "eco"),
        (Text(max_length=3), "abc"),
        (COLOUR, {"x": 0.5}),
        (DATA, [1]),
    ],
)
def test_an_allowed_value_is_sent_unchanged(kind, value):
    assert kind.check(value) == value


def test_a_whole_number_is_sent_as_an_integer():
    assert type(Number(whole=True).check(3.0)) is int


@pytest.mark.parametrize(
    ("kind", "value", "allowed"),
    [
        (Flag(), "ON", "true or false"),
        (BOUNDED, 30.5, "a number from -5 to 30 in steps of 0.5 °C"),
        (BOUNDED, -5.5, "a number from -5 to 30 in steps of 0.5 °C"),
        (BOUNDED, 21.3, "a number from -5 to 30 in steps of 0.5 °C"),
        (Number(minimum=1), 0, "a number of at least 1"),
        (Number(maximum=1), 2, "a number of at most 1"),
        (Number(), "3", "a number"),
        (Number(), True, "a number"),
        (Number(), float("nan"), "a number"),
        (Number(whole=True), 1.5, "a whole number"),
        (Text(("eco", "heat")), "warm", "one of 'eco', 'heat'"),
        (Text(), 3, "a text"),
        (Text(max_length=2), "abc", "a text of at most 2 characters"),
        (COLOUR, {}, "a map with some of x, y"),
        (COLOUR, {"x": 1, "z": 1}, "a map with some of x, y, without 'z'"),
        (COLOUR, 3, "a map with some of x, y"),
    ],
)
def test_the_error_of_a_refused_value_describes_valid_ones(kind, value, allowed):
    with pytest.raises(NotAllowed) as caught:
        kind.check(value)
    assert str(caught.value) == f"{value!r} is not allowed: write {allowed}"


def test_an_error_in_a_field_names_the_field():
    nested = Record({"colour": COLOUR})
    with pytest.raises(NotAllowed, match=r"^colour\.x: 2 is not allowed: write a number from 0 to"):
        nested.check({"colour": {"x": 2}})


def test_many_choices_are_not_all_listed():
    kind = Text(tuple(f"scene {number}" for number in range(100)))
    with pytest.raises(NotAllowed, match=r"'scene 19', and 80 more$"):
        kind.check("")


@pytest.mark.parametrize(
    ("kind", "described"),
    [
        (Flag(), {"type": "bool"}),
        (BOUNDED, {"type": "float", "min": -5, "max": 30, "step": 0.5, "unit": "°C"}),
        (Number(0, whole=True), {"type": "int", "min": 0}),
        (Text(("a",)), {"type": "str", "choices": ["a"]}),
        (Text(max_length=5), {"type": "str", "max_length": 5}),
        (Record({"on": Flag()}), {"type": "map", "fields": {"on": {"type": "bool"}}}),
        (DATA, {"type": "any"}),
    ],
)
def test_a_kind_describes_its_type_and_limits(kind, described):
    assert kind.describe() == described


@pytest.mark.parametrize("value", [10**400, -(10**400), float("nan"), float("inf"), "1e999", "nan"])
def test_infinite_and_too_large_values_are_not_numbers(value):
    with pytest.raises(WrongKind):
        Number().read(value)
    with pytest.raises(NotAllowed):
        Number(step=1e-300).check(value)


def test_a_step_may_be_too_small_for_the_number():
    with pytest.raises(NotAllowed):
        Number(step=1e-300).check(1e200)
