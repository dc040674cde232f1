"""`eshet-rules versions` and `show`."""

import contextlib
import json
from collections.abc import Iterable, Iterator, Sequence
from datetime import datetime
from pathlib import Path
from typing import TYPE_CHECKING, Any

import click

from eshet.program import printable
from eshet_rules.cli.completion import VersionName
from eshet_rules.cli.options import (
    Command,
    PathType,
    config_option,
    exit_on_errors,
    rules_folder,
    state_dir_option,
)
from eshet_rules.cli.trail_option import place_of_state

if TYPE_CHECKING:
    from eshet_rules.reload.version_store import KeptVersion, VersionStore

__all__ = ["show", "versions"]

_ADVICE = "another rules folder is named with --rules, its state folder with --state-dir"

_HEAD = ("MODULE", "VERSION", "SINCE", "UNTIL", "BYTES", "FAILED")

_rules_option = click.option(
    "--rules",
    type=PathType(),
    metavar="FOLDER",
    help="The rules folder.  [default: as for run]",
)
_state_option = state_dir_option("State folder of the runner.  [default: as for run]")


@click.command(cls=Command)
@click.argument("module", required=False, type=VersionName())
@click.option("--json", "as_json", is_flag=True, help="Print JSON lines.")
@_rules_option
@_state_option
@config_option
def versions(
    module: str | None,
    as_json: bool,
    rules: Path | None,
    state_dir: Path | None,
    config: Path | None,
) -> None:
    """List the versions of a module that were live, or those of all modules.

    For each version: when it became live, when another one followed, and whether it failed on
    probation. Print one with
    `eshet-rules show hall@3f2a`, and run it again with `eshet-rules rollback hall@3f2a`.
    """
    with exit_on_errors():
        store = _store(rules, state_dir, config)
        if module is not None:
            with _naming_folder(store):
                store.find(module, "")  # raises an error if there is none
        names = store.modules() if module is None else [module]
        found = [each for name in names for each in store.versions(name)]
        if not found:
            click.echo(f"eshet-rules: no version is kept in {store.folder}; {_ADVICE}", err=True)
            if not as_json:
                return
        lines = [_as_json(each) for each in found] if as_json else _table(found)
        for line in lines:
            click.echo(line)


@click.command(cls=Command)
@click.argument("version", metavar="MODULE[@VERSION]", type=VersionName())
@_rules_option
@_state_option
@config_option
def show(version: str, rules: Path | None, state_dir: Path | None, config: Path | None) -> None:
    """Print the source of a version, such as hall@3f2a.

    The first digits of a version suffice. Without a version, it is the one that became live last.
    """
    from eshet_rules.reload.version_store import split_target

    with exit_on_errors():
        store = _store(rules, state_dir, config)
        with _naming_folder(store):
            kept = store.find(*split_target(version))
        source = store.read(kept)
        click.echo(source, nl=False)


@contextlib.contextmanager
def _naming_folder(store: "VersionStore") -> Iterator[None]:
    """Add the folder to the error for a module of which no version is kept."""
    from eshet_rules.exceptions import VersionNotFound

    try:
        yield
    except VersionNotFound as error:
        if error.candidates:
            raise
        problem = f"{error.problem} (looked in {store.folder}; {_ADVICE})"
        raise VersionNotFound(error.module, error.version, [], problem) from None


def _store(rules: Path | None, state: Path | None, config: Path | None) -> "VersionStore":
    from eshet_rules.reload.version_store import VersionStore

    return VersionStore(place_of_state(rules_folder(rules), state, config) / "versions")


def _table(found: Iterable["KeptVersion"]) -> list[str]:
    rows: list[Sequence[str]] = [_HEAD]
    for each in found:
        until = "" if each.until is None else _local(each.until)
        failed = "on probation" if each.failed else ""
        times = _local(each.since), until
        rows.append((printable(each.module), each.version, *times, f"{each.size:,}", failed))
    widths = [max(map(len, column)) for column in zip(*rows, strict=True)]
    return [
        "  ".join(cell.ljust(width) for cell, width in zip(row, widths, strict=True)).rstrip()
        for row in rows
    ]


def _as_json(kept: "KeptVersion") -> str:
    content: dict[str, Any] = {
        "module": kept.module,
        "version": kept.version,
        "since": _utc(kept.since),
        "until": None if kept.until is None else _utc(kept.until),
        "bytes": kept.size,
        "failed": kept.failed,
    }
    return json.dumps(content)


def _local(time: datetime) -> str:
    return time.astimezone().strftime("%Y-%m-%d %H:%M:%S")


def _utc(time: datetime) -> str:
    return time.isoformat(timespec="seconds").replace("+00:00", "Z")
