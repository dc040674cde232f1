"""What a name of yarp does here, whichever of its two versions a rule author comes from.

Names, arguments, edge cases and the decisions where the two differ. What needs more than a line or
two of each is tested in the module of its own that is named after the source file.
"""

import builtins
import copy
import inspect
import math
import operator
import pickle

import pytest
import yarp as plain

from eshet import yarp
from eshet.exceptions import DependencyLoop, ReactiveTypeError
from eshet.unknown import Unknown
from tests.support.hearing import Errors, heard

# --- names and arguments ----------------------------------------------------------------------


@pytest.mark.parametrize(
    ("name", "arguments"),
    [
        ("Value", ["initial_value", "inputs", "get_value"]),
        ("Event", ["inputs", "on_inputs_done"]),
        ("fn", ["f"]),
        ("instantaneous_fn", ["f"]),
        ("value_to_event", ["v"]),
        ("event_to_value", ["e", "initial_value"]),
        ("make_instantaneous", ["v"]),
        ("make_persistent", ["v", "initial_value"]),
        ("value_list", None),
        ("value_tuple", None),
        ("value_dict", None),
        ("reactive_list", None),
        ("reactive_tuple", None),
        ("reactive_dict", None),
        ("ensure_value", None),
        ("ensure_reactive", None),
        ("window", ["source_value", "num_values"]),
        ("no_repeat", ["source"]),
        ("filter", ["source", "rule"]),
        ("replace_novalue", ["source_value", "replacement_if_novalue"]),
        ("emit_at", ["time"]),
        ("delay", ["source", "delay_seconds"]),
        ("time_window", ["source", "duration_seconds", "initial_value"]),
        ("rate_limit", ["source", "min_interval"]),
        ("now", ["interval", "tz"]),
        ("file_backed_value", ["filename", "initial_value"]),
        ("on_value", ["source", "cb", "current"]),
        ("emit_fn", None),
        ("make_same_type", [None, "inputs", "initial_value"]),
    ],
)
def test_arguments_have_the_names_and_order_that_they_have_in_yarp(
    name: str, arguments: list[str] | None
) -> None:
    signature = inspect.signature(getattr(yarp, name))
    if arguments is None:  # one, by position
        assert signature.bind(object())
        return
    ours = list(signature.parameters)[: len(arguments)]
    assert [a for a, expected in zip(ours, arguments, strict=True) if expected] == [
        a for a in arguments if a
    ]


@pytest.mark.parametrize("name", ["rate_limit", "now", "emit_at", "delay", "time_window"])
def test_no_function_of_time_takes_a_loop(name: str) -> None:
    assert "loop" not in inspect.signature(getattr(yarp, name)).parameters


FUNCTIONS = {
    "bool": ((3,), True),
    "any": (([0, 3],), True),
    "all": (([0, 3],), False),
    "min": (([4, 3],), 3),
    "max": (([4, 3],), 4),
    "sum": (([4, 3],), 7),
    "map": ((abs, [-4, 3]), [4, 3]),
    "sorted": (([4, 3],), [3, 4]),
    "str": ((3,), "3"),
    "repr": (("x",), "'x'"),
    "str_format": (("{:>3}|{a}", 3), None),
    "oct": ((8,), "0o10"),
    "hex": ((16,), "0x10"),
    "zip": (([1, 2], [3, 4]), [(1, 3), (2, 4)]),
    "len": (([4, 3],), 2),
    "getattr": ((3, "real"), 3),
    "lt": ((1, 2), True),
    "le": ((2, 2), True),
    "eq": ((2, 2), True),
    "ne": ((2, 2), False),
    "ge": ((1, 2), False),
    "gt": ((1, 2), False),
    "not_": ((3,), False),
    "truth": ((3,), True),
    "is_": ((None, None), True),
    "is_not": ((None, None), False),
    "abs": ((-3,), 3),
    "add": ((1, 2), 3),
    "and_": ((6, 3), 2),
    "floordiv": ((7, 2), 3),
    "index": ((3,), 3),
    "inv": ((3,), -4),
    "invert": ((3,), -4),
    "lshift": ((1, 2), 4),
    "mod": ((7, 4), 3),
    "mul": ((2, 3), 6),
    "neg": ((3,), -3),
    "or_": ((6, 3), 7),
    "pos": ((-3,), -3),
    "pow": ((2, 3), 8),
    "rshift": ((8, 2), 2),
    "sub": ((3, 2), 1),
    "truediv": ((3, 2), 1.5),
    "xor": ((6, 3), 5),
    "concat": (([1], [2]), [1, 2]),
    "contains": (([1], 1), True),
    "countOf": (([1, 1], 1), 2),
    "getitem": (([1, 2], 1), 2),
    "indexOf": (([1, 2], 2), 1),
    "length_hint": (([1, 2],), 2),
}


def plainly(value: object) -> object:
    return list(value) if isinstance(value, (builtins.map, builtins.zip)) else value  # type: ignore[call-overload]


@pytest.mark.parametrize("name", FUNCTIONS)
def test_a_function_takes_values_and_gives_a_value(name: str) -> None:
    arguments, expected = FUNCTIONS[name]
    kwargs = {"a": yarp.Value(1)} if name == "str_format" else {}
    first, *others = arguments
    result = getattr(yarp, name)(yarp.Value(first), *others, **kwargs)
    assert plainly(result.value) == ("  3|1" if name == "str_format" else expected)


@pytest.mark.parametrize("name", [n for n in FUNCTIONS if n != "map"])
def test_a_function_takes_events_and_gives_an_event(name: str) -> None:
    arguments, expected = FUNCTIONS[name]
    kwargs = {"a": yarp.Value(1)} if name == "str_format" else {}
    event = yarp.Event()
    told = heard(getattr(yarp, name)(event, *arguments[1:], **kwargs))
    event.emit(arguments[0])
    assert [plainly(each) for each in told] == ["  3|1" if name == "str_format" else expected]


@pytest.mark.parametrize("name", FUNCTIONS)
def test_each_function_has_its_instantaneous_form(name: str) -> None:
    arguments, expected = FUNCTIONS[name]
    kwargs = {"a": yarp.Value(1)} if name == "str_format" else {}
    first, *others = arguments
    source = yarp.Value(first)
    result = getattr(yarp, f"instantaneous_{name}")(source, *others, **kwargs)
    assert isinstance(result, yarp.Event)
    told = heard(result)
    source.value = first
    assert [plainly(each) for each in told] == ["  3|1" if name == "str_format" else expected]


BINARY = ["add", "sub", "mul", "truediv", "floordiv", "mod", "pow", "lshift", "rshift", "and_"]
BINARY += ["xor", "or_", "lt", "le", "eq", "ne", "ge", "gt"]


@pytest.mark.parametrize("name", BINARY)
def test_an_operator_works_on_either_side_and_on_events(name: str) -> None:
    function = getattr(operator, name)
    value, event = yarp.Value(7), yarp.Event()
    assert function(value, 4).value == function(7, 4)
    assert function(4, value).value == function(4, 7)
    assert function(value, yarp.Value(4)).value == function(7, 4)
    right, left = heard(function(event, 4)), heard(function(4, event))
    event.emit(7)
    assert (right, left) == ([function(7, 4)], [function(4, 7)])


def test_the_other_operators_work_as_methods() -> None:
    value = yarp.Value(-7.5)
    assert (-value).value == 7.5
    assert (+value).value == -7.5
    assert abs(value).value == 7.5
    assert round(value).value == -8
    assert round(yarp.Value(1.234), 1).value == 1.2
    assert (~yarp.Value(3)).value == -4
    assert divmod(yarp.Value(7), 4).value == (1, 3)
    assert divmod(7, yarp.Value(4)).value == (1, 3)
    assert yarp.Value([4, 5])[1].value == 5
    assert yarp.Value({"a": 4})["a"].value == 4
    assert yarp.Value(3 + 4j).imag.value == 4
    assert yarp.Value("ab").upper().value == "AB"
    assert pow(yarp.Value(7), 2, 5).value == 4
    matrix = yarp.Value(_Matrix())
    assert ((matrix @ 2).value, (2 @ matrix).value) == ("m@2", "2@m")


class _Matrix:
    def __matmul__(self, other: object) -> str:
        return f"m@{other}"

    def __rmatmul__(self, other: object) -> str:
        return f"{other}@m"


# --- core types ---------------------------------------------------------------------------------


def test_novalue_is_one_object_that_is_true_and_says_its_name() -> None:
    for again in (
        copy.copy(yarp.NoValue),
        copy.deepcopy(yarp.NoValue),
        pickle.loads(pickle.dumps(yarp.NoValue)),  # noqa: S301
        plain.NoValue,
    ):
        assert again is yarp.NoValue
    assert yarp.NoValue
    assert repr(yarp.NoValue) == "NoValue"


def test_get_value_wins_over_the_initial_value_unless_it_says_no_change() -> None:
    assert yarp.Value(1, get_value=lambda: 2).value == 2
    assert yarp.Value(1, get_value=lambda: yarp.NoChange).value == 1
    assert yarp.Value(get_value=lambda: yarp.NoChange).value is yarp.NoValue
    assert yarp.fn(lambda x: yarp.NoChange)(yarp.Value(1)).value is yarp.NoValue


def test_get_value_is_called_once_after_all_inputs_have_settled() -> None:
    a = yarp.Value(1)
    b, c = a + 1, a * 10
    seen = []
    follower = yarp.Value(inputs=[b, c], get_value=lambda: seen.append((b.value, c.value)))
    a.value = 2
    assert seen == [(2, 10), (3, 20)]
    assert follower.value is None


def test_without_get_value_inputs_only_order_and_callbacks_set_it() -> None:
    a = yarp.Value(1)
    follower = yarp.Value(0, inputs=[a])
    a.on_value_changed(lambda value: setattr(follower, "value", value * 2))
    a.value = 3
    assert follower.value == 6


def test_on_value_changed_gives_the_callback_back_and_does_not_call_it() -> None:
    calls: list[int] = []
    assert yarp.Value(1).on_value_changed(calls.append) == calls.append
    assert calls == []


def test_on_inputs_done_emits_any_number_of_times_after_the_inputs_settled() -> None:
    a = yarp.Value(0)
    doubled = a * 2

    def each_up_to(emit):
        for number in range(doubled.value):
            emit(number)

    told = heard(yarp.Event(inputs=[doubled], on_inputs_done=each_up_to))
    a.value = 1
    a.value = 0
    assert told == [0, 1]


def test_a_value_that_gets_an_instantaneous_value_goes_back() -> None:
    value = yarp.Value(1)
    told = heard(value)
    value.set_instantaneous_value(5)
    assert (told, value.value) == ([5], 1)


# --- the decisions, in their order --------------------------------------------------------------


async def test_1_the_present_value_stays_in_its_time_window(advance) -> None:
    source = yarp.Value(1)
    window = yarp.time_window(source, 10)
    await advance(100)
    assert window.value == [1]
    source.value = 2
    await advance(9)
    assert window.value == [1, 2]
    await advance(1)
    assert window.value == [2]


def test_2_what_is_reactive_in_collections_is_unwrapped() -> None:
    a, event = yarp.Value(1), yarp.Event()
    assert yarp.fn(lambda x: x)([a, {"k": (a, 2)}]).value == [1, {"k": (1, 2)}]
    told = heard(yarp.fn(lambda x: x)({"e": event, "a": a}))
    event.emit(7)
    assert told == [{"e": 7, "a": 1}]


async def test_3_no_value_does_not_block_a_rate_limit_and_windows_may_hold_nothing(advance) -> None:
    source = yarp.Value()
    told = heard(yarp.rate_limit(source, 1))
    source.value = 1
    await advance(0)
    assert told == [1]
    length = yarp.Value(3)
    window = yarp.window(source, length)
    changes = heard(window)
    length.value = 5
    assert changes == []
    length.value = 0
    assert (changes, window.value) == ([[]], [])


def test_4_instantaneous_values_are_events() -> None:
    for event in (
        yarp.make_instantaneous(yarp.Value(1)),
        yarp.instantaneous_add(yarp.Value(1), 1),
        yarp.instantaneous_fn(abs)(yarp.Value(1)),
    ):
        assert isinstance(event, yarp.Event)
        assert event.value is yarp.NoValue
    assert yarp.make_persistent(yarp.Event(), 3).value == 3


def test_5_callbacks_come_in_order_of_height_and_see_no_half_of_a_change() -> None:
    a = yarp.Value(1)
    told: list[object] = []
    a.on_value_changed(lambda value: told.append(("a", value)))
    plus, times = a + 1, a * 10
    both = yarp.value_tuple((plus, times))
    both.on_value_changed(lambda value: told.append(("both", value)))
    plus.on_value_changed(lambda value: told.append(("plus", value, both.value)))
    a.on_value_changed(lambda value: told.append(("a again", value)))
    a.value = 2
    assert told == [("a", 2), ("a again", 2), ("plus", 3, (3, 20)), ("both", (3, 20))]


def test_6_percent_is_modulo() -> None:
    assert (yarp.Value(7) % 4).value == 3
    assert (7 % yarp.Value(4)).value == 3
    assert yarp.mod(yarp.Value(7), 4).value == 3


@pytest.mark.parametrize(
    "misuse",
    [
        bool,
        lambda v: 1 if v else 2,
        lambda v: v and 1,
        lambda v: v or 1,
        lambda v: not v,
        lambda v: 0 < v < 2,
        lambda v: v in [yarp.Value(5), 6],
        lambda v: 1 in v,
        iter,
        list,
        len,
        int,
        float,
        complex,
        math.floor,
        copy.copy,
        copy.deepcopy,
    ],
)
def test_7_what_python_forces_to_be_wrong_is_an_error_that_says_what_to_write(misuse) -> None:
    with pytest.raises(ReactiveTypeError, match=r"write|copy `value\.value`"):
        misuse(yarp.Value(1))


def test_7_format_strings_show_the_value() -> None:
    assert f"{yarp.Value(1.5):.2f}" == "1.50"


def test_8_an_unknown_attribute_of_an_event_is_an_error_that_names_what_is_near() -> None:
    event = yarp.Event()
    with pytest.raises(AttributeError, match="did you mean 'on_event'"):
        event.on_evnt  # noqa: B018
    told = heard(yarp.getattr(event, "real"))
    event.emit(3)
    assert told == [3]


@pytest.mark.parametrize("absent", [yarp.NoValue, Unknown])
def test_9_what_is_absent_passes_through_operators_and_is_seen_by_functions(absent) -> None:
    value = yarp.Value(absent)
    for result in (value + 1, 1 - value, value > 3, value == 3, -value, value["k"], value @ 1):
        assert result.value is absent
    assert yarp.fn(lambda x: x is absent)(value).value is True
    present = yarp.Value(1)
    follower = present > 0
    present.value = absent
    assert follower.value is absent


def test_10_a_callback_keeps_a_node_and_can_be_removed() -> None:
    source = yarp.Value(1)
    told: list[int] = []
    subscription = (source + 1).subscribe(told.append)
    source.value = 2
    subscription.dispose()
    source.value = 3
    assert told == [3]


def test_11_what_a_callback_sets_is_the_next_change_and_a_loop_names_its_way() -> None:
    value, told = yarp.Value(0), []

    @value.on_value_changed
    def up_to_three(now):
        if now < 3:
            value.value = now + 1
        told.append(now)

    value.value = 1
    assert told == [1, 2, 3]
    first = yarp.Value(1, name="first")
    second = yarp.Value(inputs=[first], get_value=lambda: 1, name="second")
    with pytest.raises(DependencyLoop, match=r"first.*second|second.*first"):
        first.add_input(second)


def test_12_a_file_backed_value_is_no_pickle(tmp_path) -> None:
    file = tmp_path / "state"
    value = yarp.file_backed_value(file, {"a": [1]})
    assert b'"a"' in file.read_bytes()
    value.value = {"a": [2]}
    assert yarp.file_backed_value(file).value == {"a": [2]}


def test_13_the_join_of_two_events_by_an_operator_is_silent() -> None:
    errors = Errors()
    with errors.scope.active():
        a, b = yarp.Event(), yarp.Event()
        told = heard(a + b)
        a.emit(1)
        b.emit(2)
    assert told == []
    assert errors.reported == []
