"""A record as a line of bytes, and back: JSON, with a checksum as its last field.

Keys come in the order of the schema and there is no space between, so that a reader may search for
`"path":"/hall/light"` in the bytes of many lines and parse only those that have it.
"""

import math
import re
import zlib
from collections.abc import Mapping
from typing import Any, Final

import msgspec

from eshet_rules.audit.earlier import translate

__all__ = ["BrokenLine", "count_broken", "decode", "encode", "time_of"]

_encoder: Final = msgspec.json.Encoder(enc_hook=repr)
_decoder: Final = msgspec.json.Decoder(dict[str, Any])
_SEAL: Final = len(b',"crc":"00000000"}')
_SEALED: Final = re.compile(rb'(\{.*),"crc":"([0-9a-f]{8})"\}', re.DOTALL)
_TIME: Final = re.compile(rb'\{"time":"([^"]{27})"')


class BrokenLine(ValueError):
    """A line is not what was written."""


def encode(record: Any) -> bytes:
    """Return a record, of the schema or a mapping, as a line.

    What JSON does not have is told as its `repr`, and bytes in base64; numbers that are none, and
    halves of characters, as texts.
    """
    try:
        body = _encoder.encode(record)
    except (UnicodeEncodeError, TypeError, ValueError, RecursionError):
        fields = record if isinstance(record, Mapping) else msgspec.structs.asdict(record)
        body = _encoder.encode({name: _plain(value) for name, value in fields.items()})
    body = body[:-1]
    return b'%b,"crc":"%08x"}\n' % (body, zlib.crc32(body))


def decode(line: bytes) -> dict[str, Any]:
    """Return the record in a line, with or without its newline, in the present schema.

    Raises:
        BrokenLine: the line is no record, or was changed after it was written.
    """
    sealed = _SEALED.fullmatch(line.rstrip(b"\n"))
    if sealed is None:
        raise BrokenLine("it has no checksum")
    if zlib.crc32(sealed[1]) != int(sealed[2], 16):
        raise BrokenLine("its checksum is wrong")
    try:
        record = _decoder.decode(sealed[1] + b"}")
    except (msgspec.MsgspecError, RecursionError) as error:
        raise BrokenLine(str(error)) from None
    if not isinstance(record.get("time"), str) or not isinstance(record.get("event"), str):
        raise BrokenLine("it has no time or no event")
    translate(record)
    return record


def count_broken(block: bytes) -> int:
    """Return how many of a block's lines are not what was written, without parsing them.

    Args:
        block: whole lines.
    """
    crc32, seal = zlib.crc32, _SEAL  # looked up once, not for each of many lines
    return (
        sum(
            b',"crc":"%08x"}' % crc32(line[:-seal]) != line[-seal:]
            for line in block.removesuffix(b"\n").split(b"\n")
        )
        if block
        else 0
    )


def time_of(line: bytes) -> str | None:
    """Return the time of the record in a line, without looking at the rest."""
    match = _TIME.match(line)
    return match[1].decode("ascii", "replace") if match else None


def _plain(value: Any, depth: int = 0) -> Any:
    """Return a value that JSON can hold."""
    if depth > 100:
        return "..."
    if isinstance(value, str):
        return value.encode(errors="backslashreplace").decode()
    if value is None or isinstance(value, bool | int):
        return value
    if isinstance(value, float):
        return value if math.isfinite(value) else repr(value)
    if isinstance(value, Mapping):
        return {str(_plain(key)): _plain(item, depth + 1) for key, item in value.items()}
    if isinstance(value, list | tuple):
        return [_plain(item, depth + 1) for item in value]
    return _plain(repr(value))
