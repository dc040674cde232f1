"""A record as a line of bytes, and back: JSON, with a checksum as its last field.

Keys are in the order of the schema and there is no space between them, so that a reader can search
the bytes of many lines for `"path":"/hall/light"` and parse only the matching ones.
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
    """A line is damaged: it is not a record with a valid checksum."""


def encode(record: Any) -> bytes:
    """Return a record, of the schema or a mapping, as a line.

    Bytes are written in base64, other values that JSON does not support as their `repr`; NaN,
    infinities and lone surrogates are written as strings.
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
        BrokenLine: the line is not a record, or was changed after it was written.
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
    """Return the number of damaged lines in a block, by their checksums, without parsing them.

    Args:
        block: complete lines.
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
    """Return the time of the record in a line, without parsing the rest."""
    match = _TIME.match(line)
    return match[1].decode("ascii", "replace") if match else None


def _plain(value: Any, depth: int = 0) -> Any:
    """Convert a value to one that JSON supports."""
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
