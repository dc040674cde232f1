"""Python's functions and symbols on Values and Events."""

import operator
import types

import pytest

from eshet import reactive as yarp
from eshet.reactive import instantaneous, operators
from eshet.unknown import Unknown
from eshet.user_errors import error_text
from tests.support.hearing import Errors, heard

FUNCTIONS = [
    ("abs", (-2,), 2),
    ("add", (1, 2), 3),
    ("all", ([1, 0],), False),
    ("and_", (6, 3), 2),
    ("any", ([1, 0],), True),
    ("bool", (0,), False),
    ("concat", ([1], [2]), [1, 2]),
    ("contains", ([1, 2], 2), True),
    ("countOf", ([1, 2, 1], 1), 2),
    ("eq", (1, 1.0), True),
    ("floordiv", (7, 2), 3),
    ("ge", (1, 2), False),
    ("getattr", (3 + 4j, "imag"), 4.0),
    ("getitem", ({"a": 1}, "a"), 1),
    ("gt", (1, 2), False),
    ("hex", (255,), "0xff"),
    ("index", (7,), 7),
    ("indexOf", ([1, 2], 2), 1),
    ("inv", (1,), -2),
    ("invert", (1,), -2),
    ("is_", (None, None), True),
    ("is_not", (None, None), False),
    ("le", (1, 2), True),
    ("len", ([1, 2],), 2),
    ("length_hint", ([1, 2],), 2),
    ("lshift", (1, 3), 8),
    ("lt", (1, 2), True),
    ("max", ([1, 3, 2],), 3),
    ("min", (4, 2), 2),
    ("mod", (7, 4), 3),
    ("mul", (2, 3), 6),
    ("ne", (1, 2), True),
    ("neg", (1,), -1),
    ("not_", (1,), False),
    ("oct", (8,), "0o10"),
    ("or_", (1, 2), 3),
    ("pos", (1,), 1),
    ("pow", (2, 5), 32),
    ("repr", ("a",), "'a'"),
    ("rshift", (8, 1), 4),
    ("sorted", ([2, 1],), [1, 2]),
    ("str", (1,), "1"),
    ("str_format", ("{} and {}", 1, 2), "1 and 2"),
    ("sub", (3, 2), 1),
    ("sum", ([1, 2],), 3),
    ("truediv", (1, 2), 0.5),
    ("truth", (2,), True),
    ("xor", (3, 1), 2),
]


def test_every_operator_is_tested_here():
    tested = {name for name, _, _ in FUNCTIONS}
    assert set(operators.__all__) == tested | {"map", "zip", "matmul"}


@pytest.mark.parametrize(("name", "args", "expected"), FUNCTIONS)
def test_a_function_follows_values(name, args, expected):
    values = [yarp.Value(argument) for argument in args]
    result = getattr(yarp, name)(*values)
    told = heard(result)
    assert result.value == expected
    values[0].value = args[0]
    assert told == [expected]


@pytest.mark.parametrize(("name", "args", "expected"), FUNCTIONS)
def test_a_function_follows_an_event(name, args, expected):
    event = yarp.Event()
    told = heard(getattr(yarp, name)(event, *args[1:]))
    event.emit(args[0])
    assert told == [expected]


@pytest.mark.parametrize(("name", "args", "expected"), FUNCTIONS)
def test_the_instantaneous_function_is_an_event(name, args, expected):
    first = yarp.Value(args[0])
    result = getattr(instantaneous, f"instantaneous_{name}")(first, *args[1:])
    told = heard(result)
    first.value = args[0]
    assert type(result) is yarp.Event
    assert told == [expected]


@pytest.mark.parametrize(
    ("use", "expected"),
    [
        (lambda v: v + 1, 8),
        (lambda v: v - 1, 6),
        (lambda v: v * 2, 14),
        (lambda v: v / 2, 3.5),
        (lambda v: v // 2, 3),
        (lambda v: v % 4, 3),
        (lambda v: divmod(v, 4), (1, 3)),
        (lambda v: v**2, 49),
        (lambda v: pow(v, 2, 5), 4),
        (lambda v: v << 1, 14),
        (lambda v: v >> 1, 3),
        (lambda v: v & 3, 3),
        (lambda v: v ^ 1, 6),
        (lambda v: v | 8, 15),
        (lambda v: 1 + v, 8),
        (lambda v: 10 - v, 3),
        (lambda v: 2 * v, 14),
        (lambda v: 14 / v, 2.0),
        (lambda v: 15 // v, 2),
        (lambda v: 10 % v, 3),
        (lambda v: divmod(15, v), (2, 1)),
        (lambda v: 2**v, 128),
        (lambda v: 1 << v, 128),
        (lambda v: 256 >> v, 2),
        (lambda v: 3 & v, 3),
        (lambda v: 1 ^ v, 6),
        (lambda v: 8 | v, 15),
        (lambda v: -v, -7),
        (lambda v: +v, 7),
        (lambda v: abs(-v), 7),
        (lambda v: ~v, -8),
        (lambda v: v < 8, True),
        (lambda v: v <= 6, False),
        (lambda v: v == 7, True),
        (lambda v: v != 7, False),
        (lambda v: v >= 7, True),
        (lambda v: v > 7, False),
        (lambda v: round(v / 4, 1), 1.8),
        (lambda v: round(v / 4), 2),
    ],
)
def test_a_symbol_follows_a_value_and_an_event(use, expected):
    value, event = yarp.Value(7), yarp.Event()
    assert use(value).value == expected
    told = heard(use(event))
    event.emit(7)
    assert told == [expected]


def test_matmul_is_there():
    class Matrix:
        def __matmul__(self, other):
            return f"matrix @ {other}"

        def __rmatmul__(self, other):
            return f"{other} @ matrix"

    value = yarp.Value(Matrix())
    assert (value @ 2).value == yarp.matmul(value, 2).value == "matrix @ 2"
    assert (2 @ value).value == "2 @ matrix"


def test_map_and_zip_are_there():
    value = yarp.Value([1, 2])
    assert list(yarp.map(str, value).value) == ["1", "2"]
    assert list(yarp.zip(value, value).value) == [(1, 1), (2, 2)]


def test_items_calls_and_attributes_are_those_of_the_held_value():
    value = yarp.Value("text")
    assert value[0].value == "t"
    assert value.upper().value == "TEXT"
    assert value.startswith(yarp.Value("te")).value is True
    value.value = "other"
    with pytest.raises(AttributeError, match="'str' object has no attribute 'nonsense'"):
        _ = value.nonsense
    with pytest.raises(AttributeError, match="a Value has no attribute '_private'"):
        _ = value._private


@pytest.mark.parametrize(
    ("name", "meant"),
    [
        ("on_event", "on_value_changed"),
        ("on_change", "on_value_changed"),
        ("on_value", "on_value_changed"),
        ("on_value_change", "on_value_changed"),
        ("on_vlaue_changed", "on_value_changed"),
        ("suscribe", "subscribe"),
        ("subscibe", "subscribe"),
    ],
)
@pytest.mark.parametrize("held", [3, Unknown])
def test_a_misspelt_method_that_calls_back_is_not_an_attribute_of_the_held_value(name, meant, held):
    with pytest.raises(
        AttributeError, match=f"no attribute '{name}': did you mean '{meant}'"
    ) as raised:
        getattr(yarp.Value(held), name)
    assert error_text(raised.value).lower().count("did you mean") == 1
    assert raised.value.name is None  # from it, Python 3.12 and later make a second suggestion


@pytest.mark.parametrize(
    "name", ["values", "on_values", "subscript", "unsubscribe", "subscribers", "on_time"]
)
def test_a_name_that_is_only_similar_is_an_attribute_of_the_held_value(name):
    held = types.SimpleNamespace(**{name: 1})
    assert getattr(yarp.Value(held), name).value == 1


def test_an_event_can_be_called_and_indexed():
    event = yarp.Event()
    called, indexed = heard(event(1)), heard(event[0])
    event.emit(lambda x: x + 1)
    assert called == [2]
    event = yarp.Event()
    indexed = heard(event[0])
    event.emit("text")
    assert indexed == ["t"]


@pytest.mark.parametrize("absent", [yarp.NoValue, Unknown])
@pytest.mark.parametrize(
    "use",
    [
        lambda v: v + 1,
        lambda v: 1 - v,
        lambda v: v > 25,
        lambda v: v == 3,
        lambda v: v & True,
        lambda v: yarp.not_(v),
        lambda v: yarp.len(v),
        lambda v: yarp.str_format("{}", v),
        lambda v: yarp.str_format("{x}", x=v),
        lambda v: yarp.sum([1, v]),
        lambda v: yarp.any((v, [v])),
        lambda v: yarp.str({"a": v}),
        lambda v: v.anything,
        lambda v: v["anything"],
        lambda v: v(1, 2),
        lambda v: round(v, 1),
    ],
)
def test_what_is_absent_passes_through_operators(use, absent):
    source = yarp.Value(absent)
    assert use(source).value is absent


def test_a_source_that_becomes_unknown_raises_at_nobody():
    errors = Errors()
    temperature = yarp.Value(20)
    with errors.scope.active():
        warm = temperature > 25
        told = heard(warm)
    for value in (30, Unknown, Unknown, 10):
        temperature.value = value
    assert told == [True, Unknown, False]
    assert errors.reported == []


def test_of_two_that_are_absent_the_first_is_the_result():
    assert (yarp.Value(Unknown) + yarp.Value()).value is Unknown
    assert (yarp.Value() + yarp.Value(Unknown)).value is yarp.NoValue


def test_asking_whether_something_is_unknown_gets_an_answer():
    lux = yarp.Value(Unknown)
    asked = (lux == Unknown, lux != Unknown, yarp.is_(lux, Unknown), yarp.is_not(lux, Unknown))
    assert [each.value for each in asked] == [True, False, True, False]
    lux.value = 3
    assert [each.value for each in asked] == [False, True, False, True]
    assert (yarp.Value() == yarp.NoValue).value is True


def test_a_join_of_two_events_by_an_operator_emits_nothing():
    first, second = yarp.Event(), yarp.Event()
    told = heard(first + second)
    first.emit(1)
    second.emit(2)
    assert told == []


def test_an_event_with_a_value_that_is_not_set_emits_nothing():
    event, value = yarp.Event(), yarp.Value()
    told = heard(event + value)
    event.emit(1)
    value.value = 2
    event.emit(1)
    assert told == [3]


def test_an_unknown_emission_passes_through():
    event = yarp.Event()
    told = heard(event + 1)
    event.emit(Unknown)
    assert told == [Unknown]


def test_an_operator_keeps_the_name_of_its_function():
    assert yarp.add.__name__ == operator.add.__name__
    assert yarp.len.__doc__ == len.__doc__
