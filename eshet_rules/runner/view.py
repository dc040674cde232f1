"""The parts of a runner that a page in its process shows and uses."""

from collections.abc import Callable, Mapping
from dataclasses import dataclass
from datetime import datetime
from pathlib import Path
from typing import Any, Protocol

from structlog.typing import FilteringBoundLogger

from eshet.client import Client
from eshet_rules.audit.recorder import Recorder
from eshet_rules.audit.redaction import Redaction
from eshet_rules.reload.reloader import Reloader
from eshet_rules.reload.version_store import VersionStore
from eshet_rules.runner.control import Control
from eshet_rules.runner.drive_reports import DriveReports
from eshet_rules.runner.explaining import Explaining
from eshet_rules.threads import Threads
from eshet_rules.why_not.answering import Answering

__all__ = ["Page", "RunnerView"]


@dataclass(frozen=True)
class RunnerView:
    """The parts of a running runner, for a page.

    Args:
        name: the name under which the runner publishes.
        folder: the rules folder.
        since: when the runner was started, in UTC.
        client: the page's own client of the runner's server.
        reloader: the rules.
        control: executes commands.
        explaining: answers `why`.
        answering: answers `why-not`.
        drive_reports: reports on paths with drivers.
        is_ignored: returns whether the configuration wants no warnings about a path.
        bridges: returns reports on the bridges.
        versions: the kept versions; None if none are kept.
        trail: the open file of the audit trail; None if there is none.
        recorder: receives all records; None if nothing is recorded.
        redaction: removes secrets.
        threads: for slow work.
        log: for messages.
        cluster: returns the cluster as this runner knows it, see
            `eshet_rules.cluster.summary.summarize`; None if it is in no cluster.
    """

    name: str
    folder: Path
    since: datetime
    client: Client
    reloader: Reloader
    control: Control
    explaining: Explaining
    answering: Answering
    drive_reports: DriveReports
    is_ignored: Callable[[str], bool]
    bridges: Callable[[], list[dict[str, Any]]]
    versions: VersionStore | None
    trail: Path | None
    recorder: Recorder | None
    redaction: Redaction
    threads: Threads
    log: FilteringBoundLogger
    cluster: Callable[[], Mapping[str, Any]] | None = None


class Page(Protocol):
    """Serves a page of a runner."""

    async def check(self) -> None:
        """Check, before the runner starts, that the page may be served as configured.

        Raises:
            EshetError: it may not.
        """

    async def serve(self, view: RunnerView) -> None:
        """Serve it until this is cancelled."""
