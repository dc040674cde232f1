"""Closed files of the trail: zstd frames of about 1 MiB, and an index of them at the end.

Each frame holds complete lines and can be read on its own. The index is in a skippable frame, so
the file is an ordinary `.zst`: `zstdcat` prints its lines. For each frame, the index lists the
times and paths in it; its last four bytes are its length, by which it is found. A file with a
damaged index is read without it.
"""

import os
import re
import struct
import sys
import zlib
from collections.abc import Iterator
from pathlib import Path
from typing import IO, Final

import msgspec

from eshet.private_files import open_private, replacing_privately
from eshet_rules.audit.lines import count_broken

if sys.version_info >= (3, 14):
    from compression import zstd
else:
    from backports import zstd

__all__ = [
    "FRAME_SIZE",
    "DamagedFrame",
    "Frame",
    "compress",
    "frame_of",
    "frames_of",
    "lines_in",
    "read_frame",
]

FRAME_SIZE: Final = 1 << 20
"""Minimum size of the lines in a frame, in bytes; only the last frame may be smaller."""

_SKIPPABLE: Final = 0x184D2A5E
_HEAD: Final = struct.Struct("<II")
_TAIL: Final = struct.Struct("<II")  # the checksum of the index, and its length
_MOST_PATHS: Final = 1000
_MOST_DECOMPRESSED: Final = 64 << 20
"""Maximum size of the lines in a frame: far more than `FRAME_SIZE` and the longest line."""
_TIME: Final = re.compile(rb'^\{"time":"([^"]{27})"', re.MULTILINE)
_PATH: Final = re.compile(rb'"path":"([^"]+)"')
_OPTIONS: Final[dict[int, int]] = {
    zstd.CompressionParameter.compression_level: 3,
    zstd.CompressionParameter.checksum_flag: 1,
}


class Frame(msgspec.Struct, frozen=True, omit_defaults=True):
    """The entry of one frame in the index.

    Args:
        offset: position of the frame in the file.
        size: its compressed size in bytes.
        lines: the number of its lines.
        first: the earliest time in it; empty if unknown.
        last: the latest time in it; empty if unknown.
        paths: all paths in it; None if they are too many, or unknown.
        broken: the number of its lines that were damaged when it was compressed; None if unknown.
            Later damage is detected by zstd's own checksum.
    """

    offset: int
    size: int
    lines: int = 0
    first: str = ""
    last: str = ""
    paths: list[str] | None = None
    broken: int | None = None

    def may_have(self, since: str, until: str, path: str | None) -> bool:
        """Whether the frame may have a record from `since` to before `until`, and of the path."""
        if self.first and (self.last < since or self.first >= until):
            return False
        return path is None or self.paths is None or path in self.paths


class DamagedFrame(ValueError):
    """A frame can't be decompressed, so its bytes were changed after they were written."""


def compress(source: Path, target: Path) -> None:
    """Compress a file of lines into another file, atomically.

    Raises:
        OSError: a file could not be read or written; the target does not exist then.
    """
    with (
        os.fdopen(open_private(source, os.O_RDONLY), "rb") as lines,
        replacing_privately(target) as file,
    ):
        index = [_write_frame(file, block) for block in _blocks(lines)]
        file.write(_packed(index))


def frames_of(file: IO[bytes]) -> tuple[list[Frame], bool]:
    """Return the entries of all frames of a file, in order, and whether its index is intact."""
    index = _index_of(file)
    return (index, True) if index else (list(_found(file)), False)


def read_frame(file: IO[bytes], frame: Frame) -> bytes:
    """Return the lines in a frame.

    Raises:
        DamagedFrame: the frame can't be decompressed.
    """
    file.seek(frame.offset)
    return lines_in(file.read(frame.size))


def frame_of(lines: bytes) -> bytes:
    """Return a frame with some lines, outside of a file."""
    return zstd.compress(lines, options=_OPTIONS)


def lines_in(frame: bytes) -> bytes:
    """Return the lines in a frame, outside of a file.

    Raises:
        DamagedFrame: the frame can't be decompressed.
    """
    try:
        return _decompress(frame)
    except zstd.ZstdError as error:
        raise DamagedFrame(str(error)) from None


def _decompress(data: bytes) -> bytes:
    """Decompress all frames in some bytes, up to a limit: few bytes may expand to gigabytes."""
    blocks: list[bytes] = []
    left = _MOST_DECOMPRESSED
    while data:
        decompressor = zstd.ZstdDecompressor()
        while not decompressor.eof:
            block = decompressor.decompress(data, max_length=left + 1)
            data = b""
            left -= len(block)
            if left < 0:
                raise DamagedFrame(f"it decompresses to more than {_MOST_DECOMPRESSED >> 20} MiB")
            blocks.append(block)
            if decompressor.needs_input and not decompressor.eof:
                raise DamagedFrame("it ends within a frame")
        data = decompressor.unused_data
    return b"".join(blocks)


def _blocks(lines: IO[bytes]) -> Iterator[bytes]:
    while block := lines.read(FRAME_SIZE):
        yield block + lines.readline()


def _write_frame(file: IO[bytes], block: bytes) -> Frame:
    offset = file.tell()
    size = file.write(frame_of(block))
    times = sorted(set(_TIME.findall(block)))
    paths = sorted(set(_PATH.findall(block)))
    return Frame(
        offset,
        size,
        block.count(b"\n"),
        times[0].decode("ascii", "replace") if times else "",
        times[-1].decode("ascii", "replace") if times else "",
        [p.decode(errors="replace") for p in paths] if len(paths) <= _MOST_PATHS else None,
        count_broken(block),
    )


def _packed(index: list[Frame]) -> bytes:
    content = msgspec.json.encode(index)
    tail = _TAIL.pack(zlib.crc32(content), len(content))
    return _HEAD.pack(_SKIPPABLE, len(content) + len(tail)) + content + tail


def _index_of(file: IO[bytes]) -> list[Frame]:
    end = file.seek(0, os.SEEK_END)
    if end < _TAIL.size:
        return []
    file.seek(end - _TAIL.size)
    checksum, length = _TAIL.unpack(file.read(_TAIL.size))
    if length > end - _TAIL.size - _HEAD.size:
        return []
    file.seek(end - _TAIL.size - length)
    content = file.read(length)
    if zlib.crc32(content) != checksum:
        return []
    try:
        return msgspec.json.decode(content, type=list[Frame])
    except msgspec.MsgspecError:
        return []


def _found(file: IO[bytes]) -> Iterator[Frame]:
    """Find the frames of a file without its index; a damaged rest counts as one frame."""
    file.seek(0)
    data = file.read()
    offset = 0
    while offset < len(data):
        try:
            size = zstd.get_frame_size(data[offset:])
        except zstd.ZstdError:
            size = len(data) - offset
        if data[offset : offset + 4] != _HEAD.pack(_SKIPPABLE, 0)[:4]:
            yield Frame(offset, size)
        offset += size
