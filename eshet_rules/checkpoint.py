"""What rules remember, in a file: a restart is a reload through it.

The file is replaced as a whole, so that it can be read at any moment, also after `kill -9`. Times
in it are those of the wall clock, so that a delay of 15 minutes ends 15 minutes after it began. A
file that can't be read is set aside, for people to look at; the rules start afresh then.

It is a line that says what it is, the SHA-256 of the rest, and that: a map in msgpack.
"""

import hashlib
import os
from collections.abc import Mapping
from dataclasses import astuple
from pathlib import Path
from typing import Any, Final

import msgpack
from structlog.typing import FilteringBoundLogger

from eshet.reactive import FSM
from eshet.reactive.handover import Memo
from eshet.reactive.matching import Description
from eshet.reactive.plain import NoValue
from eshet.unknown import Unknown
from eshet_rules.legacy import Legacy

__all__ = ["Checkpoint", "decode", "encode"]

_MAGIC: Final = b"eshet-rules checkpoint 2\n"
_TUPLE: Final = 0
_MARKS: Final[dict[int, Any]] = {1: Unknown, 2: NoValue, 3: FSM.START}


class Checkpoint:
    """The file in which the rules of one folder are remembered.

    Args:
        path: of the file; its folder is made when it is first written.
        log: where it is told what could not be remembered, or read.
    """

    def __init__(self, path: Path, log: FilteringBoundLogger) -> None:
        self.path: Final = path
        self._log = log
        self._written = b""
        self._told: set[tuple[str, Description]] = set()

    def read(self, zero: float) -> dict[str, Legacy]:
        """Return what each module has left; nothing if there is no file, or none that is whole.

        Args:
            zero: the loop's time at which the wall clock shows 0.
        """
        try:
            data = self.path.read_bytes()
        except FileNotFoundError:
            return {}
        except OSError as error:
            self._log.error("can't read the checkpoint, starting afresh", error=str(error))
            return {}
        try:
            return decode(data, zero)
        except ValueError as error:
            self._set_aside(error)
            return {}

    def pack(self, legacies: Mapping[str, Legacy]) -> bytes | None:
        """Return what the file is to hold; None if that is what it holds already.

        What is no plain data is left out, and told once.
        """
        data, left_out = encode(legacies)
        for module, description in left_out - self._told:
            self._log.warning(
                "will not survive a restart: it is no plain data",
                module=module,
                rule=f"{module}.{description.rule}" if description.rule else None,
                what=str(description),
            )
        self._told |= left_out
        return None if data == self._written else data

    def write(self, data: bytes) -> None:
        """Replace the file, in one step for whoever reads it; called in any thread.

        Raises:
            OSError: it can't be written. The old one is still there.
        """
        self.path.parent.mkdir(parents=True, exist_ok=True)
        new = self.path.with_suffix(".new")
        with open(new, "wb", opener=_privately) as file:
            file.write(data)
            file.flush()
            os.fsync(file.fileno())
        new.replace(self.path)
        self._written = data

    def _set_aside(self, error: ValueError) -> None:
        aside = self.path.with_suffix(".damaged")
        self._log.error(
            "the checkpoint is damaged, starting afresh", error=str(error), set_aside=str(aside)
        )
        try:
            self.path.replace(aside)
        except OSError as problem:
            self._log.error("can't set the damaged checkpoint aside", error=str(problem))


def _privately(path: str, flags: int) -> int:
    """Open a file that nobody else may read: what rules remember may be secret."""
    return os.open(path, flags, 0o600)


def encode(legacies: Mapping[str, Legacy]) -> tuple[bytes, set[tuple[str, Description]]]:
    """Return what modules have left as bytes, and what of it is no plain data and left out."""
    left_out: set[tuple[str, Description]] = set()
    modules = {
        name: {
            "version": legacy.version,
            "nodes": _memos(name, legacy.nodes, left_out),
            "outputs": _memos(name, legacy.outputs, left_out),
        }
        for name, legacy in legacies.items()
    }
    body: bytes = msgpack.packb(modules)
    return _MAGIC + hashlib.sha256(body).digest() + body, left_out


def decode(data: bytes, zero: float) -> dict[str, Legacy]:
    """Return what modules have left.

    Args:
        data: as `encode` made it.
        zero: the loop's time at which the wall clock shows 0.

    Raises:
        ValueError: this is no checkpoint, or it is damaged.
    """
    if not data.startswith(_MAGIC):
        raise ValueError("it does not begin as a checkpoint of this version")
    digest, body = data[len(_MAGIC) :][:32], data[len(_MAGIC) + 32 :]
    if hashlib.sha256(body).digest() != digest:
        raise ValueError("its checksum is wrong")
    modules = msgpack.unpackb(body, strict_map_key=False)
    return {
        name: Legacy(
            module["version"],
            [_unpack_memo(memo) for memo in module["nodes"]],
            [_unpack_memo(memo) for memo in module["outputs"]],
            zero,
            was_down=True,
        )
        for name, module in modules.items()
    }


def _memos(
    module: str, memos: list[Memo], left_out: set[tuple[str, Description]]
) -> list[list[Any]]:
    packed = []
    for description, given in memos:
        try:
            packed.append([astuple(description), _pack(given)])
        except (TypeError, ValueError, OverflowError):
            left_out.add((module, description))
    return packed


def _unpack_memo(packed: list[Any]) -> Memo:
    description, given = packed
    return Memo(Description(*description), _unpack(given))


def _pack(value: Any) -> bytes:
    packed: bytes = msgpack.packb(value, default=_pack_mark, strict_types=True)
    return packed


def _pack_mark(value: Any) -> msgpack.ExtType:
    """Pack what msgpack has no type for: tuples, and the marks of what is absent."""
    if type(value) is tuple:
        return msgpack.ExtType(_TUPLE, _pack(list(value)))
    for code, mark in _MARKS.items():
        if value is mark:
            return msgpack.ExtType(code, b"")
    raise TypeError(f"{value!r} is no plain data")


def _unpack(packed: bytes) -> Any:
    return msgpack.unpackb(packed, ext_hook=_unpack_mark, strict_map_key=False)


def _unpack_mark(code: int, data: bytes) -> Any:
    return tuple(_unpack(data)) if code == _TUPLE else _MARKS[code]
