"""Frames: a sync byte, the length of the payload as two bytes big-endian, the payload."""

import struct
from typing import Final

from eshet.exceptions import MessageTooLong, ProtocolError

MAX_PAYLOAD: Final = 0xFFFF
"""The longest payload of a frame, in bytes."""

_SYNC: Final = 0x47
_HEADER: Final = 3
_pack_header: Final = struct.Struct(">BH").pack
_pack_request: Final = struct.Struct(">BHBH").pack
_pack_notification: Final = struct.Struct(">BHB").pack


def frame(payload: bytes) -> bytes:
    """Return the frame that carries a payload.

    Raises:
        MessageTooLong: it does not fit into a frame.
    """
    if len(payload) > MAX_PAYLOAD:
        raise MessageTooLong(len(payload), MAX_PAYLOAD)
    return _pack_header(_SYNC, len(payload)) + payload


def frame_with_id(code: int, request_id: int, rest: bytes) -> bytes:
    """Return the frame of a request or reply: its code, its id, and the rest.

    Raises:
        MessageTooLong: it does not fit into a frame.
    """
    length = len(rest) + _HEADER
    if length > MAX_PAYLOAD:
        raise MessageTooLong(length, MAX_PAYLOAD)
    return _pack_request(_SYNC, length, code, request_id) + rest


def forward(code: int, request_id: int, rest: bytes) -> bytes:
    """Return a frame like `frame_with_id`, for data that came in a frame, and so fits into one."""
    return _pack_request(_SYNC, len(rest) + _HEADER, code, request_id) + rest


def frame_without_id(code: int, rest: bytes) -> bytes:
    """Return the frame of a notification: its code and the rest, which must fit into a frame."""
    return _pack_notification(_SYNC, len(rest) + 1, code) + rest


class FrameReader:
    """Splits a stream of bytes into payloads.

    Invariant: between calls it holds less than one frame.
    """

    __slots__ = ("_rest", "broken")

    def __init__(self) -> None:
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
            if data[start] != _SYNC:
                self.broken = ProtocolError(
                    f"a frame that begins with {data[start]:#04x}, not 0x47"
                )
                break
            body = start + _HEADER
            if body > end:
                break
            after = body + (data[start + 1] << 8 | data[start + 2])
            if after > end:
                break
            payloads.append(data[body:after])
            start = after
        self._rest = data[start:]
        return payloads
