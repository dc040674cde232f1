"""What rules remember, in a file: a restart is a reload through it.

The file is replaced as a whole, so that it can be read at any moment, also after `kill -9`. Times
in it are those of the wall clock, so that a delay of 15 minutes ends 15 minutes after it began. A
file that can't be read is set aside, for people to look at; the rules start afresh then.

It is a line that says what it is, the SHA-256 of the rest, and that: in msgpack, a map of what each
module left, packed for itself; in that, what each node gave is packed for itself, too. So what is
damaged, or of another version of this program, costs no more than itself.

When it was written is in there as if a module without a name had left it, which older versions of
this program ignore. A clock that shows less than that is wrong, as it is at the start of a machine
that has no battery for it: then no time has passed since, until the clock is set.
"""

import hashlib
import math
from collections.abc import Callable, Mapping
from pathlib import Path
from typing import Any, Final

from structlog.typing import FilteringBoundLogger

from eshet.clock import clock_watcher, wall_time
from eshet.interpreter import running_loop
from eshet.private_files import make_private_folder, write_privately
from eshet.reactive.handover.handover import Lost, Snapshot
from eshet.reactive.handover.matching import Description
from eshet.text import encodable, safe_repr, shorten
from eshet_rules.audit.records import (
    CheckpointDamaged,
    CheckpointNotSetAside,
    CheckpointPartlyDamaged,
    CheckpointUnreadable,
    StateNotPlainData,
    emit,
)
from eshet_rules.reload.packing import NotPlainData, pack, pack_plain, unpack, unpack_2
from eshet_rules.reload.snapshot import ModuleSnapshot

__all__ = ["Checkpoint", "decode", "encode"]

_MAGIC: Final = b"eshet-rules checkpoint 3\n"
_MAGIC_2: Final = b"eshet-rules checkpoint 2\n"
"""Of the version before this one, which is still read: its tuples are packed within each other."""

_NO_MODULE: Final = ""
"""The name under which it says when it was written."""

_MAX_PROBLEMS: Final = 10
"""How many of the problems of a file are logged."""


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
        self._packed: tuple[bytes, Mapping[str, bytes]] = (b"", {})
        self._told: set[tuple[str, Description]] = set()

    def read(self, epoch: float) -> dict[str, ModuleSnapshot]:
        """Return what each module has left; nothing if there is no file, or none that is whole.

        Args:
            epoch: the loop's time at which the wall clock shows 0.
        """
        try:
            data = self.path.read_bytes()
        except FileNotFoundError:
            return {}
        except OSError as error:
            emit(self._log, CheckpointUnreadable(error=str(error)))
            return {}
        problems: list[str] = []
        try:
            legacies = decode(data, epoch, problems.append)
            written = _written_at(unpack(_body_of(data)))
        except ValueError as error:
            self._set_aside(error)
            return {}
        if running_loop() is not None:
            clock_watcher().restore(epoch + wall_time(), written)
        if problems:
            self._copy_aside(data, problems)
        return legacies

    def pack_module(self, module: str, snapshot: ModuleSnapshot) -> bytes:
        """Return what is to be written of a module; what can't be is left out, and logged once."""
        data, left_out = encode_module(snapshot)
        for description, why in left_out.items():
            if (module, description) not in self._told:
                self._told.add((module, description))
                emit(
                    self._log,
                    StateNotPlainData(
                        module=encodable(module),
                        rule=encodable(f"{module}.{description.rule}")
                        if description.rule
                        else None,
                        what=encodable(shorten(str(description))),
                        why=why,
                        place=description.place and encodable(description.place),
                    ),
                )
        return data

    def pack(self, modules: Mapping[str, bytes]) -> bytes | None:
        """Return what the file is to hold; None if that is what it holds already."""
        data, packed = self._packed
        if data is self._written and modules == packed and self.path.exists():
            return None
        self._packed = _joined(modules, wall_time()), dict(modules)
        return self._packed[0]

    def write(self, data: bytes) -> None:
        """Replace the file, in one step for whoever reads it; called in any thread.

        Raises:
            OSError: it can't be written. The old one is still there.
        """
        make_private_folder(self.path.parent)
        write_privately(self.path, data)
        self._written = data

    def _set_aside(self, error: ValueError) -> None:
        aside = self.path.with_suffix(".damaged")
        emit(self._log, CheckpointDamaged(error=str(error), set_aside=str(aside)))
        try:
            self.path.replace(aside)
        except OSError as problem:
            emit(self._log, CheckpointNotSetAside(error=str(problem)))

    def _copy_aside(self, data: bytes, problems: list[str]) -> None:
        """Keep a copy of a file of which a part is of no use; the rest goes on."""
        aside = self.path.with_suffix(".damaged")
        emit(
            self._log,
            CheckpointPartlyDamaged(
                error="; ".join(problems[:_MAX_PROBLEMS]), set_aside=str(aside)
            ),
        )
        try:
            write_privately(aside, data)
        except OSError as problem:
            emit(self._log, CheckpointNotSetAside(error=str(problem)))


def encode(legacies: Mapping[str, ModuleSnapshot]) -> bytes:
    """Return what modules have left as bytes, without what can't be written."""
    return _joined({name: encode_module(snapshot)[0] for name, snapshot in legacies.items()})


def encode_module(snapshot: ModuleSnapshot) -> tuple[bytes, dict[Description, str]]:
    """Return what a module has left as bytes, and what of it is left out, and why."""
    left_out: dict[Description, str] = {}
    module = {
        "version": snapshot.version,
        "nodes": _memos(snapshot.nodes, left_out),
        "outputs": _memos(snapshot.outputs, left_out),
        "notified": _memos(snapshot.notified, {}),
    }
    return pack_plain(module), left_out


def decode(
    data: bytes, epoch: float, report: Callable[[str], object] = lambda problem: None
) -> dict[str, ModuleSnapshot]:
    """Return what modules have left.

    Args:
        data: as `encode` made it.
        epoch: the loop's time at which the wall clock shows 0.
        report: is called with each thing that is wrong with a part of it; the rest is returned.

    Raises:
        ValueError: this is no checkpoint, or it is damaged.
    """
    is_version_2 = data.startswith(_MAGIC_2)
    body = unpack(_body_of(data))
    epoch += min(0.0, wall_time() - _written_at(body))
    legacies = {}
    for name, packed in _modules(body):
        try:
            module = packed if is_version_2 else unpack(packed)
            unpack_value = unpack_2 if is_version_2 else unpack
            legacies[name] = _legacy(module, epoch, unpack_value, report)
        except ValueError as error:
            report(f"module {encodable(shorten(name, 100))}: {error}")
    return legacies


def _body_of(data: bytes) -> bytes:
    magic = next((each for each in (_MAGIC, _MAGIC_2) if data.startswith(each)), None)
    if magic is None:
        raise ValueError("it does not begin as a checkpoint of this version")
    digest, body = data[len(magic) :][:32], data[len(magic) + 32 :]
    if hashlib.sha256(body).digest() != digest:
        raise ValueError("its checksum is wrong")
    return body


def _modules(body: Any) -> list[tuple[str, Any]]:
    match body:
        case dict() if all(isinstance(name, str) for name in body):
            return [(name, packed) for name, packed in body.items() if name != _NO_MODULE]
    raise ValueError("it holds something else than a map of modules")


def _written_at(body: Any) -> float:
    """Return what the wall clock showed when a checkpoint was written; -inf if it is unknown."""
    try:
        match unpack(body[_NO_MODULE]):
            case {"written": float() as written} if math.isfinite(written):
                return written
    except (LookupError, TypeError, ValueError):
        pass
    return -math.inf


def _legacy(
    module: Any, epoch: float, unpack_value: Callable[[bytes], Any], report: Callable[[str], object]
) -> ModuleSnapshot:
    match module:
        case {"version": str() as version, "nodes": list() as nodes, "outputs": list() as outputs}:
            return ModuleSnapshot(
                version,
                _unpacked_memos(nodes, unpack_value, report),
                _unpacked_memos(outputs, unpack_value, report),
                _unpacked_memos(_list_in(module, "notified"), unpack_value, report),
                epoch,
                was_down=True,
            )
    raise ValueError("it has no version, nodes and outputs")


def _list_in(module: dict[str, Any], name: str) -> list[Any]:
    """Return what is there, or nothing, as a version before this one has written nothing."""
    found = module.get(name)
    return found if isinstance(found, list) else []


def _unpacked_memos(
    memos: list[Any], unpack_value: Callable[[bytes], Any], report: Callable[[str], object]
) -> list[Snapshot]:
    unpacked = []
    for memo in memos:
        match memo:
            case [[str(), str(), str(), str(), str() | None] as about, bytes() as packed]:
                unpacked.append(Snapshot(Description(*about), _given(packed, unpack_value)))
                given = unpacked[-1].data
                if type(given) is Lost:
                    report(f"{about[1]}: {given.why}")
            case _:
                report(f"{safe_repr(memo, 100)} does not say what it is of")
    return unpacked


def _given(packed: bytes, unpack_value: Callable[[bytes], Any]) -> Any:
    try:
        return unpack_value(packed)
    except ValueError as error:
        return Lost(f"what the checkpoint holds of it can't be read: {safe_repr(error, 200)}")


def _memos(memos: list[Snapshot], left_out: dict[Description, str]) -> list[list[Any]]:
    packed = []
    for about, given in memos:
        if type(given) is Lost:
            left_out[about] = given.why
            continue
        try:
            data = pack(given)
        except NotPlainData as error:
            left_out[about] = str(error)
        else:
            packed.append([[about.rule, about.label, about.shape, about.detail, about.name], data])
    return packed


def _joined(modules: Mapping[str, bytes], written: float | None = None) -> bytes:
    stamp: dict[str, Any] = {"version": "", "nodes": [], "outputs": [], "written": written}
    stamps = {} if written is None else {_NO_MODULE: pack_plain(stamp)}
    body = pack_plain({**modules, **stamps})
    return _MAGIC + hashlib.sha256(body).digest() + body
