"""Keeps the rules folder of this runner equal to what is published for its cluster."""

import asyncio
import contextlib
from typing import Final

from structlog.typing import FilteringBoundLogger

from eshet.clock import wall_now
from eshet.nats.entry import Entry
from eshet.nats.exceptions import NatsError
from eshet.text import encodable, safe_str
from eshet_rules.audit.records.cluster import (
    RulesChangedByHand,
    RulesMovedAside,
    RulesNotTakenOver,
    RulesOfFolder,
    RulesTakenOver,
)
from eshet_rules.audit.records.schema import emit
from eshet_rules.cluster.publication import FileList, Publication, short_hash
from eshet_rules.cluster.published_folder import PublishedFolder, Replaced
from eshet_rules.cluster.publishing import HEAD, Publishing
from eshet_rules.exceptions import PublicationDamaged, RulesError
from eshet_rules.threads import Threads

__all__ = ["PublishedRules"]

_PATIENCE: Final = 10.0
"""Seconds for which the start waits for published rules."""

_RETRY: Final = 5.0
"""Seconds until published rules that could not be taken over are tried again."""


class PublishedRules:
    """Takes over what is published for a cluster.

    Args:
        publishing: reads what is published.
        folder: the rules folder.
        threads: read and write its files.
        log: receives what was taken over, and why not.
    """

    def __init__(
        self,
        publishing: Publishing,
        folder: PublishedFolder,
        threads: Threads,
        log: FilteringBoundLogger,
    ) -> None:
        self._publishing = publishing
        self._folder = folder
        self._threads = threads
        self._log = log
        self._logged = ""  # the last reason why nothing could be taken over
        self.publication: str = ""
        """The short hash of the publication that the folder has; empty if it has none."""
        self.problem: str = ""
        """Why the present publication could not be taken over; empty if it was."""

    async def begin(self) -> None:
        """Take over what is published; if that is not possible within some seconds, log why."""
        try:
            async with asyncio.timeout(_PATIENCE) as limit:
                await self._publishing.bucket.open()
                await self._follow(limit)
        except NatsError as error:
            self._log_folder(safe_str(error))
        except TimeoutError:
            self._log_folder(f"NATS has not answered for {_PATIENCE:g} s")

    async def run(self) -> None:
        """Take over each new publication, forever."""
        has_changed = asyncio.Event()

        def note(entry: Entry) -> None:
            if entry.key == self._publishing.cluster:
                has_changed.set()

        bucket = self._publishing.bucket
        watch = bucket.watch(note, has_changed.set, lambda: None, below=HEAD)
        try:
            while True:
                try:
                    is_done = await self._follow()
                except NatsError:  # the connection logs why
                    is_done = False
                with contextlib.suppress(TimeoutError):
                    async with asyncio.timeout(None if is_done else _RETRY):
                        await has_changed.wait()
                has_changed.clear()
        finally:
            await watch.close()

    async def _follow(self, start: asyncio.Timeout | None = None) -> bool:
        """Take over what is published, if that is new; return whether there is nothing left to do.

        Args:
            start: at the start of the runner, when more is logged: the limit for NATS.

        Raises:
            NatsError: NATS does not answer.
        """
        published = await self._publishing.read()
        publication = published.current
        if published.problem:
            self._log_failure(PublicationDamaged(f"nothing can be read: {published.problem}"))
            return False
        if publication is None:
            if start is not None:
                self._log_folder("nothing is published: see `eshet-rules publish --help`")
            return True
        present = await self._threads.run(lambda: self._folder.hash)
        self.publication = short_hash(present)
        if publication.hash != present:
            return await self._take_over(publication, start)
        self.problem = ""
        if start is not None:
            await self._compare(publication)
        return True

    async def _take_over(self, publication: Publication, start: asyncio.Timeout | None) -> bool:
        """Take over a publication, and return whether that has succeeded; if not, log why."""
        try:
            files = await self._publishing.files_of(publication)
            contents = await self._contents_of(files)
            if start is not None:
                start.reschedule(None)  # a slow disk is no reason to start with a part of it
            now = wall_now().strftime("%Y-%m-%d-%H%M%S")
            replaced = await self._threads.run(
                self._folder.take_over, publication.hash, contents, now
            )
        except NatsError:
            raise
        except (RulesError, OSError) as error:
            self._log_failure(error, publication)
            return False
        self._logged = self.problem = ""
        self.publication = short_hash(publication.hash)
        self._log_replaced(publication, replaced)
        return True

    async def _contents_of(self, files: FileList) -> dict[str, bytes]:
        """Return the contents of files, from the folder where they are there already."""
        digests = {path: file.digest for path, file in files.files.items()}
        present = await self._threads.run(self._folder.contents, digests)
        absent = {path: file for path, file in files.files.items() if path not in present}
        return present | await self._publishing.contents_of(absent)

    async def _compare(self, publication: Publication) -> None:
        """Log what was changed by hand since the publication was taken over."""
        differing = await self._threads.run(self._folder.differing)
        if differing:
            changed = RulesChangedByHand(
                cluster=self._publishing.cluster,
                publication=short_hash(publication.hash),
                files=_shown(differing),
                advice="publish the change; it is moved aside when something else is published",
            )
            emit(self._log, changed)

    # --- the log ------------------------------------------------------------------------------

    def _log_replaced(self, publication: Publication, replaced: Replaced) -> None:
        cluster, shown = self._publishing.cluster, short_hash(publication.hash)
        taken = RulesTakenOver(
            cluster=cluster,
            publication=shown,
            revision=_revision(publication),
            by=encodable(publication.by),
            added=_shown(replaced.added) or None,
            changed=_shown(replaced.changed) or None,
            removed=_shown(replaced.removed) or None,
        )
        emit(self._log, taken)
        if replaced.aside:
            aside = RulesMovedAside(
                cluster=cluster,
                publication=shown,
                files=_shown(replaced.aside),
                folder=str(self._folder.path / replaced.place),
                advice="publish what you need of them, and delete the folder",
            )
            emit(self._log, aside)

    def _log_folder(self, why: str) -> None:
        emit(self._log, RulesOfFolder(cluster=self._publishing.cluster, why=why))

    def _log_failure(
        self, error: RulesError | OSError, publication: Publication | None = None
    ) -> None:
        """Log why something could not be taken over, once for each kind of error."""
        shown = None if publication is None else short_hash(publication.hash)
        self.problem = f"not {shown}: {safe_str(error)}" if shown else safe_str(error)
        if (reason := f"{shown} {type(error)}") != self._logged:
            self._logged = reason
            failed = RulesNotTakenOver(
                cluster=self._publishing.cluster, publication=shown, error=safe_str(error)
            )
            emit(self._log, failed)


def _shown(paths: list[str]) -> list[str]:
    return [encodable(path) for path in paths]


def _revision(publication: Publication) -> str | None:
    """Return the git commit of a publication, and whether its files differ from it."""
    if not publication.revision:
        return None
    changes = " with changes" if publication.is_changed else ""
    return encodable(f"{short_hash(publication.revision)}{changes}")
