"""The publications of a cluster in a bucket of NATS.

    PREFIX_rules     head.CLUSTER               the publications, the present one last
                     blob.CLUSTER.DIGEST.N      a part of the content with this SHA-256

A content is a file, or the list of the files of a publication. The head is replaced by
compare-and-set after all contents are stored. A publisher first reads the head and then stores all
contents, and what is removed afterwards is older than the head that does not need it: so a
publisher never removes what another one has stored at the same time.
"""

import asyncio
import contextlib
from collections.abc import Coroutine, Iterable, Mapping
from typing import Any, Final, NamedTuple, TypeVar

import msgspec

from eshet.nats.bucket import Bucket
from eshet.nats.exceptions import JetStreamRefused, NatsError, RevisionConflict
from eshet.nats.jetstream import ErrorCode
from eshet_rules.cluster.publication import (
    FileList,
    Publication,
    PublishedFile,
    digest_of,
    publications_in,
    short_hash,
    with_current,
)
from eshet_rules.exceptions import PublicationDamaged, PublishedMeanwhile

__all__ = ["HEAD", "RULES", "Published", "Publishing"]

_T = TypeVar("_T")

RULES: Final = "rules"
"""The name of the bucket, after the prefix of the tree."""

HEAD: Final = "head"
"""The name with which the keys of heads begin."""

_PART: Final = 512 << 10
"""Length of a part of a content, in bytes; NATS accepts messages of 1 MiB, if not configured."""

_AT_ONCE: Final = 16
"""Number of parts that are written, or read, at the same time."""


class Published(NamedTuple):
    """What is published for a cluster.

    Args:
        publications: the last ones; the present one is the last.
        revision: of the head in NATS; 0 if there is none.
        problem: why the head can't be read; empty if it can.
    """

    publications: tuple[Publication, ...]
    revision: int
    problem: str = ""

    @property
    def current(self) -> Publication | None:
        """The present publication; None if there is none."""
        return self.publications[-1] if self.publications else None


class Publishing:
    """Stores publications of a cluster, and reads them.

    Args:
        bucket: of the rules.
        cluster: the name of the cluster.
    """

    def __init__(self, bucket: Bucket, cluster: str) -> None:
        self.bucket: Final = bucket
        """The bucket."""
        self.cluster: Final = cluster
        """The name of the cluster."""
        self._few: Final = asyncio.Semaphore(_AT_ONCE)

    async def read(self) -> Published:
        """Return what is published; that is nothing if the bucket does not exist.

        Raises:
            NatsError: NATS does not answer.
        """
        try:
            entry = await self.bucket.get(f"{HEAD}.{self.cluster}")
        except JetStreamRefused as error:
            if error.code != ErrorCode.STREAM_NOT_FOUND:
                raise
            entry = None
        if entry is None or entry.is_deleted:
            return Published((), 0 if entry is None else entry.revision)
        try:
            return Published(publications_in(entry.value), entry.revision)
        except ValueError as error:
            return Published((), entry.revision, str(error))

    async def files_of(self, publication: Publication) -> FileList:
        """Return the files of a publication.

        Raises:
            PublicationDamaged: their list is missing, damaged, or has paths that must not be
                written.
            NatsError: NATS does not answer.
        """
        name = f"the list of files of {short_hash(publication.hash)}"
        data = await self._get(name, PublishedFile(publication.size, publication.hash))
        try:
            return FileList.decode(data)
        except ValueError as error:
            raise PublicationDamaged(f"{short_hash(publication.hash)}: {error}") from None

    async def contents_of(self, files: Mapping[str, PublishedFile]) -> dict[str, bytes]:
        """Return the contents of files, by path.

        Raises:
            PublicationDamaged: one of them is missing or damaged; the error names the first one.
            NatsError: NATS does not answer.
        """
        contents = await _all(self._get(path, file) for path, file in files.items())
        return dict(zip(files, contents, strict=True))

    async def publish(
        self, contents: Mapping[str, bytes], publication: Publication, before: Published
    ) -> None:
        """Store the files of a publication, and make it the present one.

        If it is the present one already, its files are only stored again.

        Args:
            contents: of its files, by path.
            publication: the publication.
            before: what was published before; the bucket is open.

        Raises:
            PublishedMeanwhile: something else is published now; this was not.
            NatsError: NATS does not answer; if it was lost in the end, this may be published.
            MessageTooLong: NATS accepts only shorter messages than usual.
        """
        data = [*contents.values(), FileList.of(contents).encode()]
        await _all(self._put(each) for each in dict.fromkeys(data))
        if before.current is None or before.current.hash != publication.hash:
            await self.make_current(publication, before)

    async def make_current(self, publication: Publication, before: Published) -> None:
        """Make a publication whose files are stored the present one.

        Args:
            publication: the publication.
            before: see `publish`.

        Raises:
            PublishedMeanwhile: see `publish`.
            NatsError: see `publish`.
        """
        kept = with_current(before.publications, publication)
        key, value = f"{HEAD}.{self.cluster}", msgspec.msgpack.encode(kept)
        try:
            revision = await self.bucket.put(key, value, before.revision)
        except RevisionConflict:
            raise PublishedMeanwhile(self.cluster) from None
        with contextlib.suppress(NatsError):  # the next publisher removes it
            await self._remove_unused(kept, revision)

    async def _remove_unused(self, kept: Iterable[Publication], revision: int) -> None:
        """Remove the contents that no publication needs and that are older than their head."""
        needed = set[str]()
        for publication in kept:
            needed.add(publication.hash)
            try:
                files = await self.files_of(publication)
            except PublicationDamaged:
                continue
            needed.update(each.digest for each in files.files.values())
        below = f"blob.{self.cluster}"
        stored = {key.split(".")[2] for key in await self.bucket.keys(below)}
        await _all(
            self._limited(self.bucket.purge(f"{below}.{digest}", revision))
            for digest in stored - needed
        )

    # --- contents -----------------------------------------------------------------------------

    async def _put(self, data: bytes) -> None:
        keys = self._keys(digest_of(data), len(data))
        for number, key in enumerate(keys):
            part = data[number * _PART : (number + 1) * _PART]
            await self._limited(self.bucket.put(key, part, None))

    async def _get(self, name: str, file: PublishedFile) -> bytes:
        keys = self._keys(file.digest, file.size)
        entries = [await self._limited(self.bucket.get(key)) for key in keys]
        data = b"".join(b"" if entry is None else entry.value for entry in entries)
        if len(data) != file.size or digest_of(data) != file.digest:
            problem = "is missing" if None in entries else "is damaged"
            raise PublicationDamaged(f"{name} {problem} in NATS")
        return data

    def _keys(self, digest: str, size: int) -> list[str]:
        parts = range(max(1, -(-size // _PART)))
        return [f"blob.{self.cluster}.{digest}.{part}" for part in parts]

    async def _limited(self, request: Coroutine[Any, Any, _T]) -> _T:
        async with self._few:
            return await request


async def _all(requests: Iterable[Coroutine[Any, Any, _T]]) -> list[_T]:
    """Return the results of requests; at the first error, the others are cancelled."""
    tasks = [asyncio.create_task(each) for each in requests]
    try:
        return await asyncio.gather(*tasks)
    finally:
        for task in tasks:
            task.cancel()
