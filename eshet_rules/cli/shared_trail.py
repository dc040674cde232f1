"""The trail of all runners of a cluster, for commands that otherwise read the files of one."""

import asyncio
import contextlib
from collections.abc import AsyncGenerator, AsyncIterator, Callable, Iterator
from pathlib import Path
from typing import TYPE_CHECKING, Any, Final

import click

from eshet.server_address import ServerAddress
from eshet_rules.cli.nats_option import connected_to_nats, nats_address
from eshet_rules.cli.options import address_option

if TYPE_CHECKING:
    from eshet.nats.connection import NatsConnection
    from eshet_rules.audit.query import Damage, Filter
    from eshet_rules.cluster.trail_reader import TrailReader
    from eshet_rules.config import Configuration

__all__ = ["SharedTrail", "check_cluster", "cluster_option", "nats_option"]

_AT_ONCE: Final = 1000
"""Number of records after which the event loop pauses, so that they are used meanwhile."""

cluster_option: Final = click.option(
    "--cluster",
    is_flag=True,
    help="The records of all runners of the cluster, from NATS, whether they run or not.",
)

nats_option: Final = address_option(
    "--server", "With --cluster: NATS servers, such as nats://house.  [default: as configured]"
)


def check_cluster(server: ServerAddress | None, audit: Path | None, *, is_cluster: bool) -> None:
    """Check the options that go with `--cluster`, or do not.

    Raises:
        click.UsageError: they contradict each other.
    """
    if not is_cluster and server is not None:
        raise click.UsageError("--server is for --cluster: other trails are read from files")
    if is_cluster and audit is not None:
        raise click.UsageError("--audit names files, and --cluster reads from NATS: choose one")


class SharedTrail:
    """The records of all runners, from NATS.

    Args:
        configuration: that of the rules folder.
        server: the value of `--server`.
        report: called for each damage.
        command: name of the command, for the monitoring of NATS.

    Raises:
        click.UsageError: no NATS servers are named.
    """

    def __init__(
        self,
        configuration: "Configuration",
        server: ServerAddress | None,
        report: "Callable[[Damage], object]",
        command: str,
    ) -> None:
        self._address = nats_address(configuration, server)
        self._cluster = configuration.cluster.name
        self._report = report
        self._command = command

    async def read(
        self, wanted: "Filter", *, follow: bool = False
    ) -> AsyncGenerator[dict[str, Any], None]:
        """Iterate over the present records, in the order of their times.

        Args:
            wanted: selects the records.
            follow: whether to iterate endlessly over new ones then.

        Raises:
            RulesError: NATS can't be used, or no runner has stored records there.
            NatsError: it does not answer.
        """
        async with connected_to_nats(self._address, self._command) as connection:
            async for record in self._reader(connection, wanted).records(follow=follow):
                yield record

    def records(self, wanted: "Filter") -> Iterator[dict[str, Any]]:
        """Iterate over the present records without a running event loop; see `read`."""
        with asyncio.Runner() as runner:
            reading = self.read(wanted)
            try:
                while records := runner.run(_next(reading)):
                    yield from records
            finally:
                runner.run(reading.aclose())

    @contextlib.contextmanager
    def opened(self) -> "Iterator[Callable[[Filter], list[dict[str, Any]]]]":
        """Yield a function that returns the records that match a filter; see `read`."""
        with asyncio.Runner() as runner:
            connecting = connected_to_nats(self._address, self._command)
            connection = runner.run(connecting.__aenter__())
            try:
                yield lambda wanted: runner.run(_all(self._reader(connection, wanted).records()))
            finally:
                runner.run(connecting.__aexit__(None, None, None))

    def _reader(self, connection: "NatsConnection", wanted: "Filter") -> "TrailReader":
        from eshet_rules.cluster.trail_reader import TrailReader

        return TrailReader(connection, self._cluster, wanted, self._report)


async def _all(records: AsyncIterator[dict[str, Any]]) -> list[dict[str, Any]]:
    return [record async for record in records]


async def _next(reading: AsyncGenerator[dict[str, Any], None]) -> list[dict[str, Any]]:
    """Return the next records; none at the end."""
    records: list[dict[str, Any]] = []
    async for record in reading:
        records.append(record)
        if len(records) == _AT_ONCE:
            break
    return records
