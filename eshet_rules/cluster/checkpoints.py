"""The snapshots of modules in a bucket, from which another runner continues their rules.

    PREFIX_checkpoints   head.CLUSTER.MODULE     the snapshot, or the number of its parts
                         part.TOKEN.NUMBER.N     a part of one that is too large for a message

Each head has the token of the lease under which it was written, and is replaced by compare-and-set.
So a runner that has lost its lease without noticing can't overwrite what its successor has written.
"""

import asyncio
import contextlib
import hashlib
import itertools
import math
from collections import defaultdict
from collections.abc import Iterable, Mapping
from typing import Annotated, Final

import msgspec
from structlog.typing import FilteringBoundLogger

from eshet.clock import wall_time
from eshet.nats.bucket import Bucket
from eshet.nats.exceptions import JetStreamRefused, NatsError, RevisionConflict
from eshet.nats.jetstream import ErrorCode
from eshet.text import safe_repr
from eshet_rules.audit.records.cluster import CheckpointNotShared, SharedCheckpointDamaged
from eshet_rules.audit.records.schema import emit
from eshet_rules.cluster.entries import pack, unpack
from eshet_rules.cluster.lease import HeldLease
from eshet_rules.reload.checkpoint import decode_module
from eshet_rules.reload.checkpoint_writer import wall_epoch
from eshet_rules.reload.snapshot import ModuleSnapshot

__all__ = ["SharedCheckpoints"]

_OVERHEAD: Final = 4096
"""Bytes of a message beyond the data of a snapshot, with some reserve."""

_AT_ONCE: Final = 16
"""Number of snapshots that are written at the same time."""

_MAX_PROBLEMS: Final = 10
"""Maximum number of problems of a snapshot that are logged."""

_MAX_PARTS: Final = 64
"""Maximum number of parts of a snapshot, each of which is as long as a message may be."""

_MAX_AHEAD: Final = 86400.0
"""Seconds by which the clock of a writer may be ahead of that of this runner."""

_ATTEMPTS: Final = 3
"""Number of times that a snapshot is read whose parts are being replaced."""


class _Head(msgspec.Struct, frozen=True, kw_only=True):
    """The entry of a snapshot.

    Args:
        token: of the lease of its writer.
        written: when it was made, in seconds since 1970-01-01 UTC, by the clock of its writer.
        digest: SHA-256 of the snapshot.
        number: of the snapshot among those of its writer.
        parts: the number of its parts; 0 if it is here.
        data: the snapshot, or nothing.
    """

    token: int
    written: float
    digest: bytes
    number: int
    parts: Annotated[int, msgspec.Meta(ge=0, le=_MAX_PARTS)]
    data: bytes

    def keys(self) -> list[str]:
        """Return the keys of its parts."""
        return [f"part.{self.token}.{self.number}.{part}" for part in range(self.parts)]


class _Known:
    """What is known of the head of a module: its revision, and the keys of its parts."""

    __slots__ = ("data", "is_last", "keys", "revision", "turn")

    def __init__(self) -> None:
        self.revision = 0
        self.keys: list[str] = []
        self.data = b""  # as last written
        self.is_last = False  # whether that is final
        self.turn = asyncio.Lock()


class SharedCheckpoints:
    """Writes the snapshots of the modules of this runner, and reads those of others.

    Args:
        bucket: of the checkpoints.
        log: receives state that can't be written or read.
    """

    def __init__(self, bucket: Bucket, log: FilteringBoundLogger) -> None:
        self._bucket = bucket
        self._log = log
        self._known: defaultdict[str, _Known] = defaultdict(_Known)  # by role
        self._numbers = itertools.count()
        self._few = asyncio.Semaphore(_AT_ONCE)
        self._failed: set[str] = set()  # roles of which a failure was logged

    async def read(self, lease: HeldLease) -> ModuleSnapshot | None:
        """Return the last snapshot of a module; None if there is none that can be used.

        Args:
            lease: the lease of the module, which was just taken.

        Raises:
            NatsError: NATS does not answer.
        """
        for _ in range(_ATTEMPTS):
            try:
                head = await self._read_head(lease.role)
            except JetStreamRefused as error:
                if error.code != ErrorCode.STREAM_NOT_FOUND:
                    raise
                self._log_damaged(lease.module, "the bucket of snapshots was deleted")
                await self._bucket.open()
                return None
            if head is None:
                return None
            data = await self._data_of(head)
            if hashlib.sha256(data).digest() == head.digest:
                return self._decoded(lease.module, data, head.written)
        self._log_damaged(lease.module, "its checksum is wrong")
        return None

    async def write(self, lease: HeldLease, data: bytes, *, is_last: bool = False) -> None:
        """Write the snapshot of a module, unless it is the last written one.

        If the lease has ended, or NATS does not answer, nothing is written; the second is logged.

        Args:
            lease: of the module.
            data: the snapshot; see `encode_module`.
            is_last: whether no later one is to replace it.
        """
        known = self._known[lease.role]
        async with known.turn:
            if not lease.is_valid or known.is_last or data == known.data:
                return
            known.is_last = is_last
            try:
                await self._write(lease, known, data)
            except (NatsError, ValueError) as error:
                if lease.role not in self._failed:
                    self._failed.add(lease.role)
                    emit(
                        self._log, CheckpointNotShared(module=lease.module, error=safe_repr(error))
                    )
            else:
                self._failed.discard(lease.role)

    async def write_all(
        self,
        snapshots: Mapping[str, bytes],
        leases: Mapping[str, HeldLease],
        *,
        are_last: bool = False,
    ) -> None:
        """Write those snapshots of modules that have changed, by name; see `write`."""

        async def write(name: str, data: bytes) -> None:
            async with self._few:
                if (lease := leases.get(name)) is not None:
                    await self.write(lease, data, is_last=are_last)

        changed = {
            name: data
            for name, data in snapshots.items()
            if name in leases and self._known[leases[name].role].data != data
        }
        await asyncio.gather(*(write(name, data) for name, data in changed.items()))

    async def delete(self, lease: HeldLease) -> None:
        """Delete the snapshot of a module whose file was removed.

        Raises:
            NatsError: NATS does not answer.
        """
        known = self._known[lease.role]
        async with known.turn:
            with contextlib.suppress(RevisionConflict):
                if known.revision:
                    await self._bucket.delete(f"head.{lease.role}", known.revision)
            await self._delete_parts(known.keys)
        self.forget(lease)

    def forget(self, lease: HeldLease) -> None:
        """Forget what was written of a module, as its lease has ended."""
        self._known.pop(lease.role, None)

    async def _write(self, lease: HeldLease, known: _Known, data: bytes) -> None:
        limit = self._bucket.connection.max_payload - _OVERHEAD
        is_whole = len(data) <= limit
        head = _Head(
            token=lease.token,
            written=wall_time(),
            digest=hashlib.sha256(data).digest(),
            number=next(self._numbers),
            parts=0 if is_whole else -(-len(data) // limit),
            data=data if is_whole else b"",
        )
        if head.parts > _MAX_PARTS:
            raise ValueError(f"it is longer than {_MAX_PARTS * limit} bytes")
        for number, key in enumerate(head.keys()):
            await self._bucket.put(key, data[number * limit : (number + 1) * limit], None)
        if await self._put_head(lease, known, head):
            before, known.keys = known.keys, head.keys()
            known.data = data
            await self._delete_parts(before)
        else:
            await self._delete_parts(head.keys())

    async def _put_head(self, lease: HeldLease, known: _Known, head: _Head) -> bool:
        """Replace the head of a module, unless a later holder of its lease has."""
        key = f"head.{lease.role}"
        while lease.is_valid:
            try:
                known.revision = await self._bucket.put(key, pack(head), known.revision)
            except RevisionConflict:
                last = await self._read_head(lease.role)
                if last is not None and last.token > lease.token:
                    return False
            else:
                return True
        return False

    async def _read_head(self, role: str) -> _Head | None:
        """Return the head of a module, and note its revision."""
        entry = await self._bucket.get(f"head.{role}")
        known = self._known[role]
        known.revision = 0 if entry is None else entry.revision
        head = None if entry is None else unpack(entry, _Head)
        known.keys = [] if head is None else head.keys()
        return head

    async def _data_of(self, head: _Head) -> bytes:
        if not head.parts:
            return head.data
        entries = await asyncio.gather(*map(self._bucket.get, head.keys()))
        return b"".join(b"" if entry is None else entry.value for entry in entries)

    async def _delete_parts(self, keys: Iterable[str]) -> None:
        for key in keys:
            await self._bucket.delete(key, None)

    def _decoded(self, module: str, data: bytes, written: float) -> ModuleSnapshot | None:
        problems: list[str] = []
        try:
            if not math.isfinite(written):
                raise ValueError("it does not say when it was made")
            made = min(written, wall_time() + _MAX_AHEAD)
            return decode_module(data, wall_epoch(), made, problems.append)
        except ValueError as error:
            problems.append(str(error))
            return None
        finally:
            if problems:
                self._log_damaged(module, "; ".join(problems[:_MAX_PROBLEMS]))

    def log_unread(self, module: str) -> None:
        """Log that the snapshot of a module could not be read."""
        self._log_damaged(module, "NATS does not answer")

    def _log_damaged(self, module: str, error: str) -> None:
        emit(self._log, SharedCheckpointDamaged(module=module, error=error))
