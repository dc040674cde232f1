"""The commands that change what a running runner does, such as `eshet-rules reload`."""

import os
import sys
from collections.abc import Iterable, Mapping, Sequence
from pathlib import Path
from typing import TYPE_CHECKING, Final

import click

from eshet.program import printable
from eshet.server_address import ServerAddress
from eshet_rules.cli.completion import RuleName, VersionName
from eshet_rules.cli.options import Command, runner_options

if TYPE_CHECKING:
    from eshet_rules.cli.cluster_client import ClusterClient
    from eshet_rules.cli.runner_client import Reports

__all__ = ["commit", "disable", "drain", "enable", "release", "reload", "restart", "rollback"]

_AT_ONCE: Final = 200
"""Maximum number of rules in one call, which has to fit into one message."""

_names = click.argument("names", nargs=-1, required=True, type=RuleName())


@click.command(cls=Command)
@click.argument("names", nargs=-1, type=RuleName())
@runner_options
def reload(
    names: tuple[str, ...], server: ServerAddress | None, runner: str | None, config: Path | None
) -> None:
    """Reload the modules NAMES, or all modules. Failed rules run again.

    NAMES are modules (hall), rules (hall.hall_light), or globs of either.
    """
    _call("reload", "reloaded", names, server, runner, config)


@click.command(cls=Command)
@click.argument("names", nargs=-1, type=RuleName())
@runner_options
def commit(
    names: tuple[str, ...], server: ServerAddress | None, runner: str | None, config: Path | None
) -> None:
    """Apply the saved changes that wait: those of the modules NAMES, or all.

    Changes wait with `commit = "ask"` below [watch]; `eshet-rules list` shows them. A change that
    can't be used waits on, and the running version stays.

    NAMES are modules (hall), rules (hall.hall_light), or globs of either.
    """
    _call("commit", "committed", names, server, runner, config, nothing="no change waits")


@click.command(cls=Command)
@_names
@runner_options
def enable(
    names: tuple[str, ...], server: ServerAddress | None, runner: str | None, config: Path | None
) -> None:
    """Enable rules that were disabled.

    NAMES are rules (hall.hall_light), modules (hall), or globs of either. The setting survives
    restarts of the runner and takes precedence over the configuration. It holds at all runners of a
    cluster, also with --runner.
    """
    _switch("enable", "enabled", names, server, runner, config)


@click.command(cls=Command)
@_names
@runner_options
def disable(
    names: tuple[str, ...], server: ServerAddress | None, runner: str | None, config: Path | None
) -> None:
    """Stop rules, and do not run them until they are enabled again.

    NAMES are rules (hall.hall_light), modules (hall), or globs of either. The setting survives
    restarts of the runner and takes precedence over the configuration. It holds at all runners of a
    cluster, also with --runner, so a rule stays disabled wherever its module goes.
    """
    _switch("disable", "disabled", names, server, runner, config)


@click.command(cls=Command)
@_names
@runner_options
def restart(
    names: tuple[str, ...], server: ServerAddress | None, runner: str | None, config: Path | None
) -> None:
    """Restart rules from scratch: they lose their state.

    NAMES are rules (hall.hall_light), modules (hall), or globs of either.
    """
    _call("restart", "restarted", names, server, runner, config)


@click.command(cls=Command)
@click.argument("paths", metavar="PATH...", nargs=-1, required=True)
@runner_options
def release(
    paths: tuple[str, ...], server: ServerAddress | None, runner: str | None, config: Path | None
) -> None:
    """Let the rules decide again over paths that were changed by hand.

    Each PATH, such as /hall/light, is one for which rules use yarp.drive.
    """
    from eshet.paths import nearest
    from eshet_rules.cli.cluster_client import ClusterClient, ask_all
    from eshet_rules.cli.runner_client import Runner
    from eshet_rules.exceptions import NotDriven, RefusedByRunner

    async def request(running: Runner) -> None:
        tell(set(await running.call("release", *paths)))

    async def cluster_request(cluster: ClusterClient) -> None:
        driven = await cluster.each(lambda each: each.driven())
        known = set().union(*driven.values())
        for path in paths:
            if path not in known:
                cluster.check()
                raise RefusedByRunner(str(NotDriven(path, nearest(path, known))))
        asked = {
            name: meant
            for name, of_it in driven.items()
            if (meant := [path for path in paths if path in of_it])
        }
        done = await cluster.each(lambda each: each.call("release", *asked[each.name]), asked)
        tell({path for released in done.values() for path in released})
        cluster.check()

    def tell(released: set[str]) -> None:
        for path in paths:
            done = "released" if path in released else "the rules decide already over"
            click.echo(f"{done} {printable(path)}")

    ask_all(request, cluster_request, server, runner, config)


@click.command(cls=Command)
@click.argument("version", metavar="MODULE[@VERSION]", type=VersionName())
@click.option("--write", is_flag=True, help="Write the version to the file of the module.")
@click.option("--why", metavar="TEXT", default="", help="The reason, for the log and the list.")
@runner_options
def rollback(
    version: str,
    write: bool,
    why: str,
    server: ServerAddress | None,
    runner: str | None,
    config: Path | None,
) -> None:
    """Run an earlier version of a module, such as hall@3f2a, until its file changes.

    The first digits of a version suffice; `eshet-rules versions hall` lists them. Without a
    version, it is the one that was live last, apart from the running one, the one of the file, and
    those that failed on probation. The version of the file ends a roll-back. With --write, a module
    that is rolled back already keeps its version, which is written.

    Its state is handed over as when you save a file. The roll-back survives restarts of the
    runner. A helper is a module of its own, and is rolled back on its own.
    """
    from eshet_rules.cli.cluster_client import ClusterClient, ask_all
    from eshet_rules.cli.runner_client import Runner
    from eshet_rules.exceptions import NoRunner

    module = version.partition("@")[0]

    async def cluster_request(cluster: ClusterClient) -> None:
        reports = await cluster.reports()
        for name, each in reports.items():
            if module in {*(rule["module"] for rule in each.rules), *each.broken}:
                await request(cluster.runners[name], f" at {name}")
                return
        cluster.check()
        raise NoRunner(f"no runner of the cluster {cluster.name!r} runs a module {module!r}")

    async def request(running: Runner, where: str = "") -> None:
        done = await running.call("rollback", version, write, _user(), why)
        replaced = f" from {done['replaced']}" if done["replaced"] else ""
        until = "" if done["is_of_file"] else f", until {done['file']} changes"
        text = f"rolled back {done['module']}{where}{replaced} to {done['version']}{until}"
        if done["written"]:
            text += f", and wrote {done['file']}"
        click.echo(printable(text))

    ask_all(request, cluster_request, server, runner, config)


@click.command(cls=Command)
@click.option("--undo", is_flag=True, help="Let the runner run modules again.")
@runner_options
def drain(
    undo: bool, server: ServerAddress | None, runner: str | None, config: Path | None
) -> None:
    """Give all modules of a runner to the other runners of its cluster, with their state.

    It takes none until --undo, or until it is restarted. Do this before you stop or update its
    machine; a runner that is stopped gives its modules up as well.

    The exit code is 1 if no other runner can run one of the modules, which then runs nowhere.
    """
    from eshet_rules.cli.runner_client import Runner, ask

    async def request(running: Runner) -> None:
        done = await running.call("drain", undo)
        if undo:
            now = "runs modules again" if done.get("was_draining", True) else "was not drained"
            click.echo(f"{printable(running.name)} {now}")
            return
        orphans = set(done["without_runner"])
        for module in done["modules"]:
            note = ", which no other runner can run" if module in orphans else ""
            click.echo(printable(f"gave up {module}{note}"))
        if not done["modules"]:
            click.echo(f"{printable(running.name)} runs no modules")
        if orphans:
            sys.exit(1)

    ask(request, server, runner, config)


def _user() -> str:
    """Return the user and the machine, such as `anna@house`."""
    import getpass
    import socket

    try:
        name = getpass.getuser()
    except (OSError, KeyError):  # this user id has no name
        name = str(os.getuid())
    return f"{name}@{socket.gethostname()}"


def _call(
    action: str,
    done: str,
    names: tuple[str, ...],
    server: ServerAddress | None,
    runner: str | None,
    config: Path | None,
    nothing: str = "",
) -> None:
    from eshet_rules.cli.cluster_client import ClusterClient, ask_all
    from eshet_rules.cli.runner_client import Runner
    from eshet_rules.exceptions import NotReloaded, RefusedByRunner

    async def request(running: Runner) -> None:
        try:
            found = await running.call(action, *names)
        except RefusedByRunner as error:
            found, text = NotReloaded.split(str(error))
            for name in found:
                click.echo(f"{done} {name}")
            raise RefusedByRunner(text) from None
        for name in found:
            click.echo(f"{done} {printable(str(name))}")
        if nothing and not found:
            click.echo(nothing)

    async def cluster_request(cluster: ClusterClient) -> None:
        asked = {name: list(names) for name in cluster.runners}
        if names:
            asked = _holders(cluster, await cluster.reports(), names)
        found = await cluster.each(lambda each: each.call(action, *asked[each.name]), asked)
        for name, problem in cluster.problems.items():
            committed, cluster.problems[name] = NotReloaded.split(problem)
            if committed:
                found[name] = committed
        _print_done(done, found)
        if nothing and not any(found.values()):
            click.echo(nothing)
        cluster.check()

    ask_all(request, cluster_request, server, runner, config)


def _switch(
    action: str,
    done: str,
    names: tuple[str, ...],
    server: ServerAddress | None,
    runner: str | None,
    config: Path | None,
) -> None:
    """Enable or disable rules; in a cluster at all runners, as each of them may run a rule."""
    from eshet_rules.cli.cluster_client import ClusterClient, ask_all
    from eshet_rules.cli.runner_client import Runner
    from eshet_rules.config import is_meant

    async def request(running: Runner) -> None:
        for name in await running.call(action, *names):
            click.echo(f"{done} {printable(str(name))}")

    async def cluster_request(cluster: ClusterClient) -> None:
        reports = await cluster.reports()
        known = {str(rule["rule"]) for each in reports.values() for rule in each.rules}
        meant = {name: {rule for rule in known if is_meant(rule, name)} for name in names}
        unknown = {name for name, found in meant.items() if not found}
        free = cluster.without_runner
        # It may be the full name of a rule that no runner has loaded that answers.
        if not cluster.problems and any(name.rpartition(".")[0] not in free for name in unknown):
            _holders(cluster, reports, names)
        rules = sorted(unknown.union(*meant.values()))

        async def switch(running: Runner) -> list[str]:
            found = []
            for start in range(0, len(rules), _AT_ONCE):
                found += await running.call(action, *rules[start : start + _AT_ONCE])
            return found

        _print_done(done, await cluster.each(switch))
        cluster.check()

    ask_all(request, cluster_request, server, runner, config)


def _holders(
    cluster: "ClusterClient", reports: "Mapping[str, Reports]", names: Sequence[str]
) -> dict[str, list[str]]:
    """Return what `ClusterClient.holders` does; a wrong name is refused as by a single runner.

    Raises:
        ClusterIncomplete: see there.
        RefusedByRunner: one of the names means nothing at any runner.
    """
    from eshet_rules.exceptions import RefusedByRunner, UnknownName

    try:
        return cluster.holders(reports, names)
    except UnknownName as error:
        raise RefusedByRunner(str(error)) from None


def _print_done(done: str, found: Mapping[str, Iterable[str]]) -> None:
    """Print what the runners of a cluster have done, and which of them.

    Args:
        done: what was done.
        found: the names of the rules or modules, by runner.
    """
    runners: dict[str, list[str]] = {}
    for runner, names in sorted(found.items()):
        for name in names:
            runners.setdefault(name, []).append(runner)
    for name, at in sorted(runners.items()):
        click.echo(printable(f"{done} {name} at {', '.join(at)}"))
