"""Frames: bytes to payloads and back."""

import pytest
from hypothesis import given
from hypothesis import strategies as st

from eshet.exceptions import MessageTooLong
from eshet.protocol.framing import MAX_PAYLOAD, FrameReader, frame


def test_a_frame_is_a_sync_byte_a_length_and_the_payload() -> None:
    assert frame(b"\x09\x00\x01") == b"\x47\x00\x03\x09\x00\x01"
    assert frame(b"") == b"\x47\x00\x00"


def test_a_payload_of_65535_bytes_is_the_longest() -> None:
    whole = frame(b"x" * MAX_PAYLOAD)
    assert FrameReader().feed(whole) == [b"x" * MAX_PAYLOAD]
    with pytest.raises(MessageTooLong, match=r"65536 bytes do not fit .*at most 65535"):
        frame(b"x" * (MAX_PAYLOAD + 1))


@given(st.lists(st.binary(max_size=20), max_size=8), st.lists(st.integers(1, 9), min_size=1))
def test_payloads_come_out_however_the_bytes_are_cut(
    payloads: list[bytes], sizes: list[int]
) -> None:
    stream = b"".join(frame(payload) for payload in payloads)
    reader = FrameReader()
    received: list[bytes] = []
    position, turn = 0, 0
    while position < len(stream):
        size = sizes[turn % len(sizes)]
        received += reader.feed(stream[position : position + size])
        position, turn = position + size, turn + 1
    assert received == payloads


def test_the_frames_before_a_wrong_byte_come_out_first() -> None:
    reader = FrameReader()
    assert reader.feed(frame(b"1") + frame(b"2") + b"X") == [b"1", b"2"]
    assert str(reader.broken) == "a frame that begins with 0x58, not 0x47"
