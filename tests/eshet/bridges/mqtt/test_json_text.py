"""JSON from devices is bounded in depth and in the size of numbers; only JSON is sent to them."""

import pytest

from eshet import Unknown
from eshet.bridges.exceptions import NotAllowed
from eshet.bridges.mqtt.json_text import MAX_DEPTH, dump, parse


def nested(depth):
    return b"[" * depth + b"]" * depth


def test_json_is_read_from_bytes_and_texts():
    assert parse(b'{"a": [1, 2.5, null, true, "x"]}') == {"a": [1, 2.5, None, True, "x"]}
    assert parse("[]") == []


def test_integers_beyond_64_bits_are_floats():
    assert parse(b"[18446744073709551615, -9223372036854775808]") == [2**64 - 1, -(2**63)]
    assert repr(parse(b'{"a": [%d], "b": -%d}' % (10**100, 10**99))) == (
        "{'a': [1e+100], 'b': -1e+99}"
    )
    assert repr(parse(b"%d" % 10**100)) == "1e+100"


@pytest.mark.parametrize(
    "text",
    [
        b"",
        b"{",
        b"\xff",
        b'"\xff"',
        b"NaN",
        b"[Infinity]",
        b"1e999",
        b"9" * 400,
        b"[-%s]" % (b"9" * 400),
        b'"\\ud800"',
        b'{"a": 1,}',
        nested(MAX_DEPTH + 2),
        nested(100_000),
        b'{"a":' * 100_000,
    ],
)
def test_anything_else_is_an_error(text):
    with pytest.raises(ValueError, match=r"JSON|number"):
        parse(text)


def test_json_may_be_nested():
    assert parse(nested(MAX_DEPTH + 1)) is not None


def test_a_value_is_written_as_json():
    assert dump({"a": [True, None, "ü", 1.5]}) == b'{"a": [true, null, "\\u00fc", 1.5]}'


@pytest.mark.parametrize("value", [b"bytes", float("nan"), float("inf"), Unknown, {(1,): 2}])
def test_a_value_that_is_not_json_is_not_allowed(value):
    with pytest.raises(NotAllowed, match="write what JSON can hold"):
        dump(value)
