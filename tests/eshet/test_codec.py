"""Which values the wire carries, and which bytes are one value."""

import datetime
import math
from typing import Any

import msgpack
import pytest

from eshet import codec
from eshet.exceptions import ProtocolError, UnsupportedValue
from eshet.unknown import Unknown


@pytest.mark.parametrize(
    "value",
    [
        None, True, False, 0, -(2**63), 2**64 - 1, 1.5, math.inf, "", "Käse", b"", b"\xd6\xff\x00",
        [], [1, [2, [3]]], {}, {"a": 1}, {1: "int", 1.5: "float", None: "nil", b"b": "bytes"},
        {(1, 2): "list", ((1,),): "nested"},
    ],
)  # fmt: skip
def test_a_value_comes_back_as_it_was(value: Any) -> None:
    back = codec.unpack(codec.pack(value))
    assert back == value
    assert type(back) is type(value)
    codec.check(codec.pack(value))


def test_a_tuple_comes_back_as_a_list() -> None:
    assert codec.unpack(codec.pack((1, (2, 3)))) == [1, [2, 3]]


def test_nan_comes_back() -> None:
    assert math.isnan(codec.unpack(codec.pack(math.nan)))


def test_a_map_as_a_key_comes_back_as_a_tuple_of_pairs() -> None:
    assert codec.unpack(b"\x81\x81\x01\x02\x03") == {((1, 2),): 3}


DEEP: list[Any] = []
for _ in range(2000):
    DEEP = [DEEP]


@pytest.mark.parametrize(
    "value",
    [
        {1, 2}, object(), 2**64, -(2**63) - 1, "\ud800", Unknown, datetime.datetime(2026, 1, 1),
        msgpack.ExtType(5, b"x"), [msgpack.Timestamp(1, 2)], {1: {2: msgpack.Timestamp(1)}}, DEEP,
    ],
    ids=lambda value: type(value).__name__,
)  # fmt: skip
def test_what_the_wire_cannot_carry_is_refused_and_the_error_says_what_it_can(value: Any) -> None:
    with pytest.raises(UnsupportedValue, match="booleans, integers of 64 bits, floats, text"):
        codec.pack(value)


BAD = {
    "nothing": b"",
    "two values": b"\x01\x02",
    "half a list": b"\x92\x01",
    "the reserved byte": b"\xc1",
    "text that is not UTF-8": b"\xa1\xff",
    "an extension": b"\xd4\x01\x00",
    "an extension in a map": b"\x81\x01\xc7\x01\x05\x00",
    "a timestamp of 4 bytes": b"\xd6\xff\x00\x00\x00\x00",
    "a timestamp of 8 bytes, as a key": b"\x81\xd7\xff" + bytes(8) + b"\x01",
    "a timestamp of 12 bytes, in a list": b"\x91\xc7\x0c\xff" + bytes(12),
    "nesting without end": b"\x91" * 5000 + b"\x01",
    "arrays without their items": b"\xdd\x00\x00\xfd\xe8" * 13_000,
}


@pytest.mark.parametrize("data", BAD.values(), ids=BAD)
@pytest.mark.parametrize("function", [codec.check, codec.unpack, codec.canonical])
def test_bytes_that_are_not_one_value_are_a_protocol_error(function: Any, data: bytes) -> None:
    with pytest.raises(ProtocolError):
        function(data)


@pytest.mark.parametrize(
    ("one", "other"),
    [
        (b"\x01", b"\xcd\x00\x01"),
        (b"\xa1x", b"\xd9\x01x"),
        (b"\xca\x3f\x80\x00\x00", b"\xcb\x3f\xf0\x00\x00\x00\x00\x00\x00"),
        (b"\x82\xa1a\x01\xa1b\x02", b"\x82\xa1b\x02\xa1a\x01"),
        (b"\x91\x82\x01\x02\x03\x04", b"\xdc\x00\x01\x82\x03\x04\x01\x02"),
    ],
)
def test_equal_values_have_equal_canonical_bytes(one: bytes, other: bytes) -> None:
    assert codec.canonical(one) == codec.canonical(other)


@pytest.mark.parametrize(
    ("one", "other"), [(1, 1.0), (1, True), ("x", b"x"), ([1], [True]), ({1: 1}, {1.0: 1})]
)
def test_values_of_other_types_have_other_canonical_bytes(one: Any, other: Any) -> None:
    assert codec.canonical(codec.pack(one)) != codec.canonical(codec.pack(other))


@pytest.mark.parametrize("count", [0, 1, 15, 16, 70_000])
def test_packed_values_are_joined_to_lists_and_maps(count: int) -> None:
    items = [codec.pack(number) for number in range(count)]
    assert codec.join_list(items) == codec.pack(list(range(count)))
    named = {str(number): item for number, item in enumerate(items)}
    assert codec.join_map(named) == codec.pack({str(number): number for number in range(count)})
