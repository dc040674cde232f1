"""A record as a line of bytes, and back: JSON, with a checksum as its last field.

Keys are in the order of the schema without spaces between them, so that a reader can search
the bytes of many lines for `"path":"/hall/light"` and parse only the matching ones.
"""

import base64
import re
import sys
import zlib
from collections.abc import Mapping
from typing import Any, Final

import msgspec

from eshet.text import encodable, safe_repr
from eshet_rules.audit.earlier import translate

__all__ = [
    "BrokenLine",
    "count_broken",
    "decode",
    "encode",
    "encode_json",
    "plain",
    "text_of",
    "time_of",
]

_DEEPEST: Final = 100
"""Maximum nesting of values that msgspec can't encode as they are."""


def text_of(value: object) -> str:
    """Return a text unchanged, and the complete `repr` of any other object; never raises."""
    is_text = issubclass(type(value), str)
    return encodable(str.__str__(value)) if is_text else safe_repr(value, sys.maxsize)


_encoder: Final = msgspec.json.Encoder(enc_hook=text_of)
_decoder: Final = msgspec.json.Decoder(dict[str, Any])
_SEAL: Final = len(b',"crc":"00000000"}')
_SEALED: Final = re.compile(rb'(\{.*),"crc":"([0-9a-f]{8})"\}', re.DOTALL)
_TIME: Final = re.compile(rb'\{"time":"([^"]{27})"')


class BrokenLine(ValueError):
    """A line is damaged: it is not a record with a valid checksum."""


def encode(record: Any) -> bytes:
    """Return a record, of the schema or a mapping, as a line; see `encode_json`."""
    body = encode_json(record)[:-1]
    return b'%b,"crc":"%08x"}\n' % (body, zlib.crc32(body))


def encode_json(record: Any) -> bytes:
    """Return a record, of the schema or a mapping, as JSON. Never raises, whatever its values are.

    Bytes are written in base64, NaN and infinities as null, lone surrogates as their escapes, and
    other values that JSON does not support as their `repr`.
    """
    try:
        return _encoder.encode(record)
    except Exception:  # a value may raise anything
        return _encoder.encode(plain(record))


def plain(record: Any) -> dict[str, Any]:
    """Return a record, of the schema or a mapping, with values that JSON supports only."""
    fields = record if isinstance(record, Mapping) else msgspec.structs.asdict(record)
    return {
        _key(name): _plain(value) for name, value in fields.items() if value is not msgspec.UNSET
    }


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


def _plain(value: Any, outer: tuple[int, ...] = ()) -> Any:
    """Convert a value to one that JSON supports.

    Args:
        value: any value.
        outer: the ids of the values that contain it.
    """
    kind = type(value)  # `isinstance` may run code of the value
    inner = (*outer, id(value))
    try:
        if value is None or kind in (bool, float):
            return value
        if kind is int:
            str(value)  # fails if it has too many digits
            return value
        if issubclass(kind, bytes | bytearray):
            return base64.b64encode(value).decode()
        if issubclass(kind, dict | list | tuple | set | frozenset):
            if id(value) in outer or len(outer) >= _DEEPEST:
                return "..."
            if issubclass(kind, dict):
                return {_key(key): _plain(item, inner) for key, item in value.items()}
            return [_plain(item, inner) for item in value]
    except Exception:  # noqa: S110 - a value may raise anything
        pass
    return text_of(value)


def _key(key: object) -> str:
    return base64.b64encode(key).decode() if type(key) is bytes else text_of(key)
