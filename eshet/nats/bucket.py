"""Entries by key in a JetStream stream, written by compare-and-set on the revision of an entry.

The stream has the layout of a NATS key-value store with a history of 1, so `nats kv` shows it. The
key-value store of nats-py can't take back a key whose marker of expiry is still there, and does not
repeat requests while JetStream elects a leader.
"""

import itertools
import logging
import re
from collections.abc import Callable, Mapping
from typing import Any, Final

from nats.nuid import NUID

from eshet.nats.connection import NatsConnection
from eshet.nats.entry import DELETION, Entry, stored
from eshet.nats.exceptions import JetStreamRefused, NoAnswer, RevisionConflict
from eshet.nats.jetstream import ErrorCode, api, repeated, store
from eshet.nats.stream import SECOND, Stream, duplicate_window
from eshet.nats.watch import OnEntry, Watch

__all__ = ["Bucket", "Entry"]

_KEY: Final = re.compile(r"[-/_=A-Za-z0-9]+(?:\.[-/_=A-Za-z0-9]+)*")
_EXPECTED: Final = "Nats-Expected-Last-Subject-Sequence"
_WRITE: Final = "Eshet-Write"
"""The header with the id of a write, to recognize it when its answer was lost."""

_CONFLICTS: Final = frozenset({ErrorCode.WRONG_REVISION, ErrorCode.OTHER_WRITE_UNDER_WAY})
_ATOMIC_SINCE: Final = (2, 9, 21)  # nats-server issue 4320
_NOT_ATOMIC: Final = (
    "nats-server before 2.9.21 sometimes accepts two writes at the same time that expect the same "
    "revision, in buckets with several replicas, and the second one holds: upgrade it"
)


class Bucket:
    """Entries by key, stored by JetStream in files.

    Requests are repeated for some seconds while JetStream elects a leader, or while a connection
    that was lost during the request is restored.

    Args:
        connection: an open one.
        name: of the bucket, of letters A-Z, digits, _ and -.
        max_age: after how many seconds an entry that was not written again is removed, without a
            notification; None for never.
        replicas: of the bucket; None for those of the address: by default three, or one in a
            cluster of fewer servers.
    """

    def __init__(
        self,
        connection: NatsConnection,
        name: str,
        *,
        max_age: float | None = None,
        replicas: int | None = None,
    ) -> None:
        self.name: Final = name
        self.connection: Final = connection
        self.stream: Final = f"KV_{name}"
        """The name of its stream."""
        self._prefix: Final = f"$KV.{name}."
        self._stream: Final = Stream(
            connection,
            self._config(max_age),
            title=name,
            kind="bucket",
            adapted=["max_age", "max_msgs", "discard"],
            replicas=replicas,
        )
        self._writer: Final = NUID().next().decode()
        self._numbers: Final = itertools.count()

    async def open(self) -> None:
        """Create the bucket, or use the existing one; adapt its `max_age` and replicas.

        Raises:
            NotConnected: there is no connection.
            NoAnswer: JetStream has no leader, for some seconds.
            JetStreamRefused: JetStream is not enabled, or the bucket exceeds the limits of the
                account, or a stream of another kind has its name.
        """
        info = await self._stream.open()
        if info["config"]["num_replicas"] > 1 and self.connection.server_version < _ATOMIC_SINCE:
            self.connection.log_once(logging.WARNING, _NOT_ATOMIC)

    async def put(self, key: str, value: bytes, revision: int | None) -> int:
        """Write an entry.

        Writes are sent in the order of the calls, and many may be under way at once. Two writes of
        one key with revision None may be stored in another order if JetStream elects a leader.

        With several replicas, nats-server before 2.9.21 sometimes accepts two writes that expect
        the same revision, if they arrive within milliseconds: both return, and the second holds.

        Args:
            key: names, separated by dots.
            value: any bytes.
            revision: the present one of this key, also that of a deletion; 0 if it was never
                written, or has expired; None to write in any case.

        Returns:
            The revision of this write.

        Raises:
            RevisionConflict: the entry has another revision.
            NotConnected: there is no connection; or it was lost and not restored in time, then the
                entry may or may not have been written.
            NoAnswer: JetStream has no leader, for some seconds; the same applies.
            JetStreamRefused: JetStream refuses it, for example because the bucket is full.
            MessageTooLong: the server accepts no value of this length.
            ValueError: the key is not valid.
        """
        return await self._write(key, value, revision, {})

    async def delete(self, key: str, revision: int | None) -> int:
        """Delete an entry; watchers see a deleted entry without a value.

        Args:
            key: names, separated by dots.
            revision: see `put`.

        Returns:
            The revision of the deletion.

        Raises:
            RevisionConflict: the entry has another revision.
            NatsError: see `put`.
        """
        return await self._write(key, b"", revision, DELETION)

    async def get(self, key: str) -> Entry | None:
        """Return the last write to a key, which may be a deletion; None if there never was one.

        Raises:
            NotConnected: there is no connection.
            NoAnswer: JetStream has no leader, for some seconds.
        """
        found = await repeated(self.connection, lambda: self._read(key))
        return None if found is None else found[0]

    async def last_revision(self) -> int:
        """Return the revision of the last write to the bucket; 0 if it is empty.

        Raises:
            NotConnected: there is no connection.
            NoAnswer: JetStream has no leader, for some seconds.
        """
        info = await self._stream.info("read")
        revision: int = info["state"]["last_seq"]
        return revision

    async def keys(self, below: str) -> list[str]:
        """Return the first 100,000 keys that begin with a name and a dot; also those of deletions.

        Args:
            below: the name, or several, separated by dots.

        Raises:
            NotConnected: there is no connection.
            NoAnswer: JetStream has no leader, for some seconds.
        """
        info = await self._stream.info("read", {"subjects_filter": f"{self._subject(below)}.>"})
        subjects = info["state"].get("subjects") or {}
        return [each.removeprefix(self._prefix) for each in subjects]

    async def purge(self, below: str, before: int) -> None:
        """Remove entries without a trace: no deletion stays, and watchers are not notified.

        Args:
            below: the name, or several, separated by dots, with which their keys begin, before a
                dot.
            before: only entries with an earlier revision are removed.

        Raises:
            NatsError: see `put`.
        """
        call, request = f"STREAM.PURGE.{self.stream}", f"purge {below} in {self.name}"
        body = {"filter": f"{self._subject(below)}.>", "seq": before}
        await repeated(self.connection, lambda: api(self.connection, call, body, request))

    def watch(
        self,
        on_entry: OnEntry,
        on_ready: Callable[[], object],
        on_reset: Callable[[], object],
        *,
        below: str = "",
    ) -> Watch:
        """Receive all entries so far, and then each change, in order, until `Watch.close`.

        Several changes of one key may be received as one. Deletions are entries, too; entries that
        expire are not received. The callbacks are called in the event loop; errors are logged.

        Args:
            on_entry: called with each entry.
            on_ready: called when all entries so far were received.
            on_reset: called when the bucket has lost entries, for example as it was created again:
                all entries are going to be received again, and then `on_ready` is called.
            below: only entries whose keys begin with this name and a dot are received; their keys
                are without it.
        """
        return Watch(
            self.connection,
            self.stream,
            f"{self._subject(below)}." if below else self._prefix,
            self._stream.open,
            on_entry,
            on_ready,
            on_reset,
        )

    def _config(self, max_age: float | None) -> dict[str, Any]:
        return {
            "name": self.stream,
            "subjects": [f"{self._prefix}>"],
            "storage": "file",
            "max_msgs_per_subject": 1,
            "max_age": int((max_age or 0) * SECOND),
            "duplicate_window": duplicate_window(max_age),
            "discard": "new",
            "max_msgs": -1,
            "max_bytes": -1,
            "max_msg_size": -1,
            "max_consumers": -1,
            "retention": "limits",
            "allow_rollup_hdrs": True,
            "deny_delete": True,
            "allow_direct": True,
        }

    # --- entries ------------------------------------------------------------------------------

    async def _write(
        self, key: str, value: bytes, revision: int | None, kind: Mapping[str, str]
    ) -> int:
        subject, request = self._subject(key), f"write {key} in {self.name}"
        write = f"{self._writer}{next(self._numbers)}"
        headers = {**kind, _WRITE: write}
        if revision is not None:
            headers[_EXPECTED] = str(revision)

        async def attempt() -> int:
            try:
                return await store(self.connection, subject, value, headers, request)
            except JetStreamRefused as error:
                if revision is None or error.code not in _CONFLICTS:
                    raise
                return await self._written(key, write, revision)

        return await repeated(self.connection, attempt)

    async def _written(self, key: str, write: str, revision: int) -> int:
        """Return the revision of a write that JetStream has refused, but may have stored before.

        The answer to an earlier attempt may have been lost. With several replicas, JetStream also
        refuses a write because of another one that is under way, and may not be stored in the end.

        Raises:
            RevisionConflict: another write was stored.
            NoAnswer: none was stored.
        """
        found = await self._read(key)
        if found is not None and found[1].get(_WRITE) == write:
            return found[0].revision
        if revision == (found[0].revision if found is not None else 0):
            raise NoAnswer(f"write {key} in {self.name}", "another write is under way")
        raise RevisionConflict(self.name, key, revision)

    async def _read(self, key: str) -> tuple[Entry, Mapping[str, str]] | None:
        """Return the last write to a key and its headers."""
        call, body = f"STREAM.MSG.GET.{self.stream}", {"last_by_subj": self._subject(key)}
        try:
            answer = await api(self.connection, call, body, f"read {key} in {self.name}")
        except JetStreamRefused as error:
            if error.code == ErrorCode.NO_MESSAGE:
                return None
            raise
        return stored(answer["message"], key)

    def _subject(self, key: str) -> str:
        if _KEY.fullmatch(key) is None:
            raise ValueError(f"{key!r} can't be a key: write names, separated by dots")
        return f"{self._prefix}{key}"
