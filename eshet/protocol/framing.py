"""Frames: a sync byte, the length of the payload as two bytes big-endian, the payload.

The two ends of a link in one process may agree to longer payloads. Their frames have another sync
byte, and the length as four bytes.
"""

import struct
from typing import Final

from eshet.exceptions import MessageTooLong, ProtocolError

MAX_PAYLOAD: Final = 0xFFFF
"""The longest payload of a frame, in bytes."""

_SYNC: Final = 0x47
_LONG_SYNC: Final = 0x4C
_HEADER: Final = 3
_LONG_HEADER: Final = 5
_pack_header: Final = struct.Struct(">BH").pack
_pack_request: Final = struct.Struct(">BHBH").pack
_pack_notification: Final = struct.Struct(">BHB").pack
_pack_long_header: Final = struct.Struct(">BI").pack
_pack_long_request: Final = struct.Struct(">BIBH").pack
_pack_long_notification: Final = struct.Struct(">BIB").pack


def frame(payload: bytes) -> bytes:
    """Return the frame that carries a payload.

    Raises:
        MessageTooLong: it does not fit into a frame.
    """
    if len(payload) > MAX_PAYLOAD:
        raise MessageTooLong(len(payload), MAX_PAYLOAD)
    return _pack_header(_SYNC, len(payload)) + payload


def frame_with_id(code: int, request_id: int, rest: bytes, limit: int = MAX_PAYLOAD) -> bytes:
    """Return the frame of a request or reply: its code, its id, and the rest.

    Args:
        code: the kind of message.
        request_id: the id.
        rest: the rest.
        limit: the longest payload that the receiver accepts, in bytes.

    Raises:
        MessageTooLong: it is longer.
    """
    length = len(rest) + _HEADER
    if length > MAX_PAYLOAD:
        if length > limit:
            raise MessageTooLong(length, limit)
        return _pack_long_request(_LONG_SYNC, length, code, request_id) + rest
    return _pack_request(_SYNC, length, code, request_id) + rest


def forward(code: int, request_id: int, rest: bytes) -> bytes:
    """Return a frame like `frame_with_id`, for a receiver that accepts any length."""
    length = len(rest) + _HEADER
    if length > MAX_PAYLOAD:
        return _pack_long_request(_LONG_SYNC, length, code, request_id) + rest
    return _pack_request(_SYNC, length, code, request_id) + rest


def frame_without_id(code: int, rest: bytes) -> bytes:
    """Return the frame of a notification for a receiver that accepts any length."""
    length = len(rest) + 1
    if length > MAX_PAYLOAD:
        return _pack_long_notification(_LONG_SYNC, length, code) + rest
    return _pack_notification(_SYNC, length, code) + rest


class FrameReader:
    """Splits a stream of bytes into payloads.

    Invariant: between calls it holds less than one frame.

    Args:
        accepts_long: whether there may be frames with payloads longer than `MAX_PAYLOAD`.
    """

    __slots__ = ("_accepts_long", "_rest", "broken")

    def __init__(self, *, accepts_long: bool = False) -> None:
        self._accepts_long = accepts_long
        self.broken: ProtocolError | None = None
        """The error if a frame is expected and the bytes are not one: the stream is lost."""
        self._rest = b""

    def feed(self, data: bytes) -> list[bytes]:
        """Return the payload of each frame that is now complete.

        Args:
            data: the next received bytes, any number.
        """
        data = self._rest + data if self._rest else data
        start, end = 0, len(data)
        payloads = []
        while start < end:
            if data[start] == _SYNC:
                body = start + _HEADER
                if body > end:
                    break
                after = body + (data[start + 1] << 8 | data[start + 2])
            elif data[start] == _LONG_SYNC and self._accepts_long:
                body = start + _LONG_HEADER
                if body > end:
                    break
                after = body + int.from_bytes(data[start + 1 : body])
            else:
                self.broken = ProtocolError(
                    f"a frame that begins with {data[start]:#04x}, not 0x47"
                )
                break
            if after > end:
                break
            payloads.append(data[body:after])
            start = after
        self._rest = data[start:]
        return payloads
