"""The snapshots of all modules in a file: a restart is a reload through this file.

The file is replaced atomically, so that it can be read at any time, even after `kill -9`. Times in
it are wall-clock times, so that a delay of 15 minutes ends 15 minutes after it began, whatever
happens in between. A file that can't be read is set aside for inspection; the rules then start
without state.

The format is a line that identifies it, the SHA-256 of the rest, and the rest: in msgpack, a map of
the snapshots of modules, each packed on its own; in them, the state of each node is packed on its
own as well. So if a part is damaged, or written by another version of this program, only that part
is lost. The numbers of the nodes' timers are in a list beside the nodes, which older versions of
this program ignore.

The time of the write is stored like the snapshot of a module with an empty name, which older
versions of this program ignore. A clock that is behind that time is wrong, as after the boot of a
machine without a battery-backed clock: then no time counts as passed, until the clock is set.
"""

import hashlib
import math
from collections.abc import Callable, Iterable, Mapping
from itertools import chain, repeat
from pathlib import Path
from typing import Any, Final

from structlog.typing import FilteringBoundLogger

from eshet.clock import clock_watcher, wall_time
from eshet.interpreter import running_loop
from eshet.private_files import make_private_folder, write_privately
from eshet.reactive.handover.handover import Lost, Snapshot
from eshet.reactive.handover.matching import Description
from eshet.text import encodable, safe_repr, shorten
from eshet_rules.audit.records.schema import emit
from eshet_rules.audit.records.state import (
    CheckpointDamaged,
    CheckpointNotSetAside,
    CheckpointPartlyDamaged,
    CheckpointUnreadable,
    StateNotPlainData,
)
from eshet_rules.regular_files import read_regular
from eshet_rules.reload.packing import NotPlainData, pack, pack_plain, unpack, unpack_2
from eshet_rules.reload.snapshot import ModuleSnapshot

__all__ = ["Checkpoint", "SnapshotPacker", "decode", "decode_module", "encode", "encode_module"]

_MAGIC: Final = b"eshet-rules checkpoint 3\n"
_MAGIC_2: Final = b"eshet-rules checkpoint 2\n"
"""The previous format, which is still read: its tuples are packed recursively."""

_MAX_BYTES: Final = 1 << 30
"""Maximum size of a file that is read."""

_NO_MODULE: Final = ""
"""The name under which the time of the write is stored."""

_MAX_PROBLEMS: Final = 10
"""Maximum number of problems of a file that are logged."""


class SnapshotPacker:
    """Packs the snapshots of modules, and keeps no file.

    Args:
        log: receives messages about state that can't be packed.
    """

    def __init__(self, log: FilteringBoundLogger) -> None:
        self._log = log
        self._logged: set[tuple[str, Description]] = set()

    def pack_module(self, module: str, snapshot: ModuleSnapshot) -> bytes:
        """Return the bytes for a module's snapshot; state that can't be packed is logged once."""
        data, left_out = encode_module(snapshot)
        for description, why in left_out.items():
            if (module, description) not in self._logged:
                self._logged.add((module, description))
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
        """Return the new content of the file; None if it would not change."""
        return None

    def write(self, data: bytes) -> None:
        """Replace the file."""


class Checkpoint(SnapshotPacker):
    """The file with the snapshots of all modules of a rules folder.

    Args:
        path: the path of the file; its folder is created at the first write.
        log: receives messages about state that can't be written or read.
    """

    def __init__(self, path: Path, log: FilteringBoundLogger) -> None:
        super().__init__(log)
        self.path: Final = path
        self._written = b""
        self._packed: tuple[bytes, Mapping[str, bytes]] = (b"", {})

    def read(self, epoch: float) -> dict[str, ModuleSnapshot]:
        """Return the snapshot of each module; none if the file is missing or can't be used.

        Args:
            epoch: the loop's time at which the wall clock shows 0.
        """
        try:
            data, _ = read_regular(self.path, _MAX_BYTES)
        except FileNotFoundError:
            return {}
        except OSError as error:
            emit(self._log, CheckpointUnreadable(error=str(error)))
            return {}
        problems: list[str] = []
        try:
            snapshots = decode(data, epoch, problems.append)
            written = _written_at(unpack(_body_of(data)))
        except ValueError as error:
            self._set_aside(error)
            return {}
        if running_loop() is not None:
            clock_watcher().restore(epoch + wall_time(), written)
        if problems:
            self._copy_aside(data, problems)
        return snapshots

    def pack(self, modules: Mapping[str, bytes]) -> bytes | None:
        """See `SnapshotPacker.pack`."""
        data, packed = self._packed
        if data is self._written and modules == packed and self.path.exists():
            return None
        self._packed = _joined(modules, wall_time()), dict(modules)
        return self._packed[0]

    def write(self, data: bytes) -> None:
        """Replace the file atomically; can be called in any thread.

        Raises:
            OSError: it can't be written. The old file is unchanged.
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
        """Keep a copy of a file with damaged parts; the other parts are used."""
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


def encode(snapshots: Mapping[str, ModuleSnapshot]) -> bytes:
    """Return the snapshots of modules as bytes, without state that can't be packed."""
    return _joined({name: encode_module(snapshot)[0] for name, snapshot in snapshots.items()})


def encode_module(snapshot: ModuleSnapshot) -> tuple[bytes, dict[Description, str]]:
    """Return the snapshot of a module as bytes, and for each node that is left out the reason."""
    left_out: dict[Description, str] = {}
    nodes = _packed(snapshot.nodes, left_out)
    module = {
        "version": snapshot.version,
        "nodes": _entries(nodes),
        "timers": [node.timer for node, _ in nodes],
        "outputs": _entries(_packed(snapshot.outputs, left_out)),
        "notified": _entries(_packed(snapshot.notified, {})),
    }
    return pack_plain(module), left_out


def decode_module(
    data: bytes,
    epoch: float,
    written: float,
    report: Callable[[str], object] = lambda problem: None,
) -> ModuleSnapshot:
    """Return the snapshot of a module.

    Args:
        data: the first result of `encode_module`.
        epoch: the loop's time at which the wall clock shows 0.
        written: the wall-clock time when it was encoded.
        report: called with the problem of each part that can't be read; the rest is returned.

    Raises:
        ValueError: this is not such a snapshot, or it is damaged.
    """
    epoch += min(0.0, wall_time() - written)
    return _module_snapshot(unpack(data), epoch, unpack, report)


def decode(
    data: bytes, epoch: float, report: Callable[[str], object] = lambda problem: None
) -> dict[str, ModuleSnapshot]:
    """Return the snapshots of modules.

    Args:
        data: the result of `encode`.
        epoch: the loop's time at which the wall clock shows 0.
        report: called with the problem of each part that can't be read; the rest is returned.

    Raises:
        ValueError: this is not a checkpoint, or it is damaged.
    """
    is_version_2 = data.startswith(_MAGIC_2)
    body = unpack(_body_of(data))
    epoch += min(0.0, wall_time() - _written_at(body))
    snapshots = {}
    for name, packed in _modules(body):
        try:
            module = packed if is_version_2 else unpack(packed)
            unpack_value = unpack_2 if is_version_2 else unpack
            snapshots[name] = _module_snapshot(module, epoch, unpack_value, report)
        except ValueError as error:
            report(f"module {encodable(shorten(name, 100))}: {error}")
    return snapshots


def _body_of(data: bytes) -> bytes:
    magic = next((each for each in (_MAGIC, _MAGIC_2) if data.startswith(each)), None)
    if magic is None:
        raise ValueError("it does not begin like a checkpoint of this version")
    digest, body = data[len(magic) :][:32], data[len(magic) + 32 :]
    if hashlib.sha256(body).digest() != digest:
        raise ValueError("its checksum is wrong")
    return body


def _modules(body: Any) -> list[tuple[str, Any]]:
    match body:
        case dict() if all(isinstance(name, str) for name in body):
            return [(name, packed) for name, packed in body.items() if name != _NO_MODULE]
    raise ValueError("it is not a map of modules")


def _written_at(body: Any) -> float:
    """Return the wall-clock time when a checkpoint was written; -inf if unknown."""
    try:
        match unpack(body[_NO_MODULE]):
            case {"written": float() as written} if math.isfinite(written):
                return written
    except (LookupError, TypeError, ValueError):
        pass
    return -math.inf


def _module_snapshot(
    module: Any, epoch: float, unpack_value: Callable[[bytes], Any], report: Callable[[str], object]
) -> ModuleSnapshot:
    match module:
        case {"version": str() as version, "nodes": list() as nodes, "outputs": list() as outputs}:
            return ModuleSnapshot(
                version,
                _unpacked(nodes, unpack_value, report, _list_in(module, "timers")),
                _unpacked(outputs, unpack_value, report),
                _unpacked(_list_in(module, "notified"), unpack_value, report),
                epoch,
                was_down=True,
            )
    raise ValueError("it has no version, nodes and outputs")


def _list_in(module: dict[str, Any], name: str) -> list[Any]:
    """Return a list of a map; an empty one if it is missing, as in files of earlier versions."""
    found = module.get(name)
    return found if isinstance(found, list) else []


def _unpacked(
    entries: list[Any],
    unpack_value: Callable[[bytes], Any],
    report: Callable[[str], object],
    timers: Iterable[Any] = (),
) -> list[Snapshot]:
    unpacked = []
    # In files of earlier versions, the numbers of the timers are missing.
    for entry, timer in zip(entries, chain(timers, repeat(None)), strict=False):
        match entry:
            case [[str(), str(), str(), str(), str() | None] as about, bytes() as packed]:
                state = _unpacked_state(packed, unpack_value)
                number = timer if type(timer) is int else None
                unpacked.append(Snapshot(Description(*about), state, number))
                if type(state) is Lost:
                    report(f"{about[1]}: {state.why}")
            case _:
                report(f"{safe_repr(entry, 100)} has no description of its node")
    return unpacked


def _unpacked_state(packed: bytes, unpack_value: Callable[[bytes], Any]) -> Any:
    try:
        return unpack_value(packed)
    except ValueError as error:
        return Lost(f"its state in the checkpoint can't be read: {safe_repr(error, 200)}")


def _packed(
    snapshots: list[Snapshot], left_out: dict[Description, str]
) -> list[tuple[Snapshot, bytes]]:
    packed = []
    for snapshot in snapshots:
        about, state, _ = snapshot
        if type(state) is Lost:
            left_out[about] = state.why
            continue
        try:
            data = pack(state)
        except NotPlainData as error:
            left_out[about] = str(error)
        else:
            packed.append((snapshot, data))
    return packed


def _entries(packed: list[tuple[Snapshot, bytes]]) -> list[list[Any]]:
    return [
        [[about.rule, about.label, about.shape, about.detail, about.name], data]
        for (about, _, _), data in packed
    ]


def _joined(modules: Mapping[str, bytes], written: float | None = None) -> bytes:
    stamp: dict[str, Any] = {"version": "", "nodes": [], "outputs": [], "written": written}
    stamps = {} if written is None else {_NO_MODULE: pack_plain(stamp)}
    body = pack_plain({**modules, **stamps})
    return _MAGIC + hashlib.sha256(body).digest() + body
