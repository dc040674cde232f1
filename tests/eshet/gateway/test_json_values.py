"""Values as JSON: exact in both directions, and strict when reading."""

import json
import math
from typing import Any

import pytest
from hypothesis import given
from hypothesis import strategies as st

from eshet import codec
from eshet.gateway.json_values import InvalidJson, dumps, loads
from eshet.unknown import Unknown

KEYS = st.one_of(
    st.none(),
    st.booleans(),
    st.integers(-(2**63), 2**64 - 1),
    st.floats(allow_nan=False),
    st.text(),
    st.sampled_from(["$map", "$bytes", "$"]),
    st.binary(),
    st.tuples(st.integers(0, 3), st.text(max_size=2)),
)
VALUES: st.SearchStrategy[Any] = st.recursive(
    st.one_of(KEYS.filter(lambda key: not isinstance(key, tuple)), st.floats()),
    lambda inner: st.lists(inner, max_size=4) | st.dictionaries(KEYS, inner, max_size=4),
    max_leaves=20,
)


def form(value: Any) -> Any:
    """Return a value with which equal means exactly the same: kinds, signs and NaN included."""
    match value:
        case float():
            return ("float", "nan" if math.isnan(value) else value.hex())
        case list() | tuple():
            return [form(item) for item in value]
        case dict():
            return ["map", *[(form(key), form(item)) for key, item in value.items()]]
        case _:
            return (type(value).__name__, value)


@given(VALUES)
def test_every_value_survives(value: Any) -> None:
    assert form(loads(dumps(value))) == form(value)
    assert form(loads(dumps(value).encode())) == form(value)


@given(VALUES)
def test_a_value_of_the_wire_survives(value: Any) -> None:
    packed = codec.pack(value)
    again = codec.pack(loads(dumps(codec.unpack(packed))))
    assert form(codec.unpack(again)) == form(codec.unpack(packed))
    if "nan" not in repr(value):  # the bits of a NaN are not kept, such as its sign
        assert again == packed


@given(VALUES)
def test_the_text_is_json(value: Any) -> None:
    json.loads(dumps(value), parse_constant=pytest.fail)


@pytest.mark.parametrize(
    ("value", "text"),
    [
        (None, "null"),
        ({"a": [1, 2.5, True]}, '{"a":[1,2.5,true]}'),
        (1.0, "1.0"),
        ("Küche", '"Küche"'),
        (b"hallo", '{"$bytes":"aGFsbG8="}'),
        (math.inf, '{"$float":"Infinity"}'),
        (-math.inf, '{"$float":"-Infinity"}'),
        (math.nan, '{"$float":"NaN"}'),
        (2**53 - 1, "9007199254740991"),
        (2**53, '{"$int":"9007199254740992"}'),
        ({1: "one"}, '{"$map":[[1,"one"]]}'),
        ({"$int": 5}, '{"$map":[["$int",5]]}'),
        ({"$int": 5, "a": 1}, '{"$int":5,"a":1}'),
        ({}, "{}"),
    ],
)
def test_what_is_written(value: Any, text: str) -> None:
    assert dumps(value) == text


def test_a_lone_surrogate_is_written_as_an_escape() -> None:
    assert dumps("a\ud800") == '"a\\ud800"'


@pytest.mark.parametrize("value", [Unknown, {1, 2}, object])
def test_other_objects_are_not_written(value: object) -> None:
    with pytest.raises(TypeError, match="can't be written as JSON"):
        dumps([value])


def test_too_deep_a_value_is_not_written() -> None:
    value: Any = 0
    for _ in range(100_000):
        value = [value]
    with pytest.raises(ValueError, match="nested too deeply"):
        dumps(value)
    while value:
        value = value[0]


@pytest.mark.parametrize(
    ("text", "problem", "position"),
    [
        ("", "Expecting value", 0),
        ("[1, 2", "Expecting ',' delimiter", 6 - 1),
        ("1 2", "Extra data", 2),
        (b'"\xff"', "not UTF-8", 1),
        ("\ufeff1", "BOM", 0),
        ('{"a": 1, "a": 2}', '"a" occurs twice', None),
        ('{"$map": [[1, 0], [true, 1]]}', "occurs twice in a \\$map", None),
        ('"\\ud800"', r"lone surrogate \\ud800", None),
        ('{"\\udfff": 1}', r"lone surrogate \\udfff", None),
        ("1" * 5000, "more than 64 bits", None),
        ("18446744073709551616", "more than 64 bits", None),
        ('{"$int": "18446744073709551616"}', "more than 64 bits", None),
        ("1e999", "too large for a float", None),
        ("NaN", 'write {"\\$float": "NaN"}', None),
        ("[-Infinity]", 'write {"\\$float": "-Infinity"}', None),
        ('{"$bytes": "a"}', "base64", None),
        ('{"$bytes": 1}', "base64", None),
        ('{"$float": "nan"}', "one of the texts NaN", None),
        ('{"$int": 5}', "in a text", None),
        ('{"$int": "\u0665"}', "in a text", None),
        ('{"$map": [[1]]}', "a list of pairs", None),
        ('{"$map": [[{"a": 1}, 1]]}', "can't be the key", None),
        ('{"$foo": 1}', 'only the key "\\$foo"', None),
        ("[" * 129 + "]" * 129, "more than 128 deep", None),
        ("[" * 100_000, "more than 128 deep", None),
        ('{"a":' * 100_000, "more than 128 deep", None),
    ],
)
def test_what_is_not_read(text: str | bytes, problem: str, position: int | None) -> None:
    with pytest.raises(InvalidJson, match=problem) as raised:
        loads(text)
    assert raised.value.position == position


def test_the_deepest_value_of_the_protocol_is_read() -> None:
    assert codec.pack(loads("[" * 128 + "]" * 128))


def test_a_pair_of_surrogates_is_one_character() -> None:
    assert loads('"\\ud83d\\ude00"') == "😀"


def test_a_list_in_a_key_is_a_tuple() -> None:
    assert loads('{"$map": [[[1, [2]], "x"]]}') == {(1, (2,)): "x"}
