"""`eshet-rules publish`."""

import asyncio
import contextlib
import getpass
import os
import socket
from collections.abc import Iterable, Iterator, Sequence
from datetime import datetime
from pathlib import Path
from typing import TYPE_CHECKING, Final

import click

from eshet.program import printable
from eshet.server_address import ServerAddress
from eshet_rules.cli.nats_option import connected_to_nats, nats_address
from eshet_rules.cli.options import (
    Command,
    PathType,
    address_option,
    check_name,
    config_option,
    exit_on_errors,
    rules_folder,
)
from eshet_rules.cli.trail_option import configuration_of

if TYPE_CHECKING:
    from eshet.nats.connection import NatsConnection
    from eshet_rules.cluster.publication import Changes, FileList, Publication
    from eshet_rules.cluster.publishing import Published, Publishing
    from eshet_rules.config import Configuration
    from eshet_rules.replay.revisions import Commit

__all__ = ["publish"]

_HEAD: Final = ("HASH", "PUBLISHED", "BY", "FILES", "REVISION")


@click.command(cls=Command)
@click.argument("rules", type=PathType(), required=False)
@click.option(
    "--revision",
    metavar="REV",
    help="Publish this git revision of the folder, such as HEAD~1 or main, not its files.",
)
@click.option(
    "--with",
    "others",
    multiple=True,
    metavar="GLOB",
    help="Publish these files of the folder as well, such as 'data/*.json'; several are possible.",
)
@click.option("--dry-run", is_flag=True, help="Only print what would change.")
@click.option(
    "--yes",
    is_flag=True,
    help="Publish even if most published files are removed by it, or most files have no rules.",
)
@click.option("--list", "lists", is_flag=True, help="List the last 10 publications.")
@click.option("--again", metavar="HASH", help="Make an earlier publication the present one again.")
@click.option(
    "--cluster",
    metavar="NAME",
    callback=check_name,
    help="Name of the cluster.  [default: as configured]",
)
@address_option("--server", "NATS servers, such as nats://house.  [default: as configured]")
@config_option
def publish(
    rules: Path | None,
    revision: str | None,
    others: tuple[str, ...],
    dry_run: bool,
    yes: bool,
    lists: bool,
    again: str | None,
    cluster: str | None,
    server: ServerAddress | None,
    config: Path | None,
) -> None:
    """Publish the rules in the folder RULES for all runners of a cluster.

    Runners with `run --published`, or `rules = "published"` below [cluster], then have the same
    files, and reload what has changed. All modules are published, also helpers: not tests, hidden
    files, copies, and the configuration.

    Nothing is published if a file can't be read or is not valid Python; nor, without --yes, what
    looks like the wrong folder: your home folder, one whose files mostly have no rules, or one
    without more than half of the published files.
    """
    if lists and (again or revision or others or dry_run):
        raise click.UsageError("--list only lists: leave the other options out")
    if again and (revision or others):
        raise click.UsageError(
            "--again takes the files of an earlier publication: leave --revision and --with out"
        )
    with exit_on_errors():
        folder = rules_folder(rules)
        configuration = configuration_of(folder, config)
        name = cluster or configuration.cluster.name
        if name is None:
            raise click.UsageError(
                "name the cluster with --cluster NAME, or with `name` below [cluster] of the "
                "configuration"
            )
        address = nats_address(configuration, server)

        async def work() -> None:
            async with connected_to_nats(address, "eshet-rules publish") as connection:
                from eshet.nats.bucket import Bucket
                from eshet_rules.cluster.publishing import RULES, Publishing

                bucket = Bucket(connection, f"{address.prefix}_{RULES}", replicas=address.replicas)
                publishing = Publishing(bucket, name)
                if lists:
                    _list(await publishing.read(), name)
                elif again:
                    await _publish_again(publishing, again, dry_run=dry_run)
                else:
                    _check_place(folder, yes=yes)
                    with _rules_of(folder, revision) as place:
                        await _publish(
                            publishing,
                            place,
                            _commit(folder, revision),
                            configuration,
                            others,
                            dry_run=dry_run,
                            yes=yes,
                        )
                if not (lists or dry_run):
                    await _note_absence(connection, address.prefix, name)

        asyncio.run(work())


async def _publish(
    publishing: "Publishing",
    folder: Path,
    commit: "Commit | None",
    configuration: "Configuration",
    others: Sequence[str],
    *,
    dry_run: bool,
    yes: bool,
) -> None:
    from eshet.clock import wall_stamp
    from eshet_rules.cluster.publication import FileList, Publication, digest_of
    from eshet_rules.cluster.rule_files import read_rule_files
    from eshet_rules.exceptions import MostAreStrangers, MostRemoved

    found = read_rule_files(folder, configuration.watch.exclude, others)
    for path, why in found.excluded.items():
        _note(f"{path} is left out: {why}")
    if 2 * len(found.strangers) > found.modules and not yes:
        raise MostAreStrangers(found.strangers, found.modules)
    for path in found.strangers:
        _note(f"{path} has no rules, and no module with rules imports it")
    files = FileList.of(found.contents)
    encoded = files.encode()
    publication = Publication(
        hash=digest_of(encoded),
        size=len(encoded),
        files=len(files.files),
        revision=commit.revision if commit else "",
        subject=commit.subject if commit else "",
        is_changed=bool(commit and commit.is_changed),
        by=_user(),
        time=wall_stamp(),
    )
    before = await publishing.read()
    present, changes = await _show_changes(publishing, before, files)
    if 2 * len(changes.removed) > len(present.files) and not yes:
        raise MostRemoved(len(changes.removed), len(present.files))
    if not dry_run:
        await publishing.bucket.open()
        await publishing.publish(found.contents, publication, before)
    _tell(publication, before, dry_run=dry_run)


async def _publish_again(publishing: "Publishing", digits: str, *, dry_run: bool) -> None:
    import msgspec

    from eshet.clock import wall_stamp
    from eshet_rules.cluster.publication import find_publication

    before = await publishing.read()
    earlier = find_publication(before.publications, digits)
    publication = msgspec.structs.replace(earlier, by=_user(), time=wall_stamp())
    files = await publishing.files_of(publication)
    await publishing.contents_of(files.files)  # an error now is better than one at each runner
    await _show_changes(publishing, before, files)
    if not dry_run and publication.hash != before.publications[-1].hash:
        await publishing.make_current(publication, before)
    _tell(publication, before, dry_run=dry_run)


def _check_place(folder: Path, *, yes: bool) -> None:
    """Check that a folder is not that of all files of the user.

    Raises:
        RulesFolderError: it is, and the user has not said that this is wanted.
    """
    from eshet_rules.exceptions import RulesFolderError

    try:
        home = Path.home().resolve()
    except RuntimeError:  # the user has none
        return
    if not yes and folder.resolve() in (home, *home.parents):
        problem = "this is your home folder, or contains it"
        advice = "name the folder with your rules, or give --yes if this is wanted"
        raise RulesFolderError(folder, f"{problem}: {advice}")


@contextlib.contextmanager
def _rules_of(folder: Path, revision: str | None) -> Iterator[Path]:
    """Yield the folder itself, or one with a git revision of it, within a `with` statement."""
    from eshet_rules.modules.discovery import check_folder
    from eshet_rules.replay.revisions import revision_at

    folder = check_folder(folder)
    if revision is None:
        yield folder
        return
    with revision_at(folder, revision) as place:
        yield place


def _commit(folder: Path, revision: str | None) -> "Commit | None":
    from eshet_rules.replay.revisions import commit_of

    return commit_of(folder, revision)


def _user() -> str:
    """Return who publishes, as USER@HOST."""
    try:
        user = getpass.getuser()
    except (KeyError, OSError):  # there is no such user, as in some containers
        user = str(os.getuid())
    return f"{user}@{socket.gethostname()}"


# --- output ---------------------------------------------------------------------------------------


async def _show_changes(
    publishing: "Publishing", before: "Published", files: "FileList"
) -> "tuple[FileList, Changes]":
    """Print what changes from the present publication to these files, and return both."""
    from eshet_rules.cluster.publication import FileList, changes_between
    from eshet_rules.exceptions import PublicationDamaged

    present = FileList({})
    if before.problem:
        _note(f"what was published before is damaged, and counts as nothing: {before.problem}")
    elif before.current is not None:
        try:
            present = await publishing.files_of(before.current)
        except PublicationDamaged as error:
            _note(f"{error.problem}, so all files count as added")
    changes = changes_between(present, files)
    for done, paths in zip(("added", "changed", "removed"), changes, strict=True):
        for path in paths:
            click.echo(f"{done} {printable(path)}")
    return present, changes


async def _note_absence(connection: "NatsConnection", prefix: str, cluster: str) -> None:
    """Print that no runner is there to take the rules over, and which clusters have runners."""
    from eshet.nats.bucket import Bucket
    from eshet.nats.exceptions import NatsError
    from eshet_rules.cluster.entries import RUNNERS
    from eshet_rules.cluster.presence import present_clusters

    try:
        present = await present_clusters(Bucket(connection, f"{prefix}_{RUNNERS}"))
    except NatsError:
        return  # the rules are published nevertheless
    if cluster not in present:
        others = f"; clusters with runners: {', '.join(sorted(present))}" if present else ""
        _note(f"no runner of the cluster {cluster} is there to take them over{others}")


def _tell(publication: "Publication", before: "Published", *, dry_run: bool) -> None:
    from eshet_rules.cluster.publication import short_hash

    current = before.current
    if current is not None and current.hash == publication.hash:
        shown = f"{short_hash(current.hash)} by {current.by} at {_local(current.time)}"
        click.echo(printable(f"nothing has changed since {shown}"))
        return
    done = "would publish" if dry_run else "published"
    number = f"{publication.files:,} file{'' if publication.files == 1 else 's'}"
    revision = _revision(publication)
    of_revision = f", {revision}" if revision else ""
    click.echo(printable(f"{done} {short_hash(publication.hash)}: {number}{of_revision}"))


def _list(published: "Published", cluster: str) -> None:
    from eshet_rules.cluster.publication import short_hash

    if published.problem:
        _note(f"what is published for {cluster} is damaged: {published.problem}")
    elif not published.publications:
        _note(f"nothing is published for {cluster}")
    if not published.publications:
        return
    rows = (
        (
            short_hash(each.hash),
            _local(each.time),
            printable(each.by),
            f"{each.files:,}",
            printable(_revision(each)),
        )
        for each in reversed(published.publications)
    )
    for line in _aligned([_HEAD, *rows]):
        click.echo(line)


def _aligned(rows: Sequence[Sequence[str]]) -> Iterable[str]:
    widths = [max(map(len, column)) for column in zip(*rows, strict=True)]
    for row in rows:
        cells = (cell.ljust(width) for cell, width in zip(row, widths, strict=True))
        yield "  ".join(cells).rstrip()


def _revision(publication: "Publication") -> str:
    from eshet_rules.cluster.publication import short_hash

    if not publication.revision:
        return ""
    changes = "changes after " if publication.is_changed else ""
    return f'{changes}{short_hash(publication.revision)} "{publication.subject}"'


def _local(time: str) -> str:
    """Return a time in local time; as it is, if it is none."""
    try:
        return datetime.fromisoformat(time).astimezone().strftime("%Y-%m-%d %H:%M:%S")
    except (ValueError, OverflowError, OSError):
        return time


def _note(text: str) -> None:
    click.echo(f"eshet-rules: {printable(text)}", err=True)
