"""`eshet-rules run`."""

import asyncio
import contextlib
import gc
import os
import signal
import sys
from collections.abc import Iterator
from dataclasses import replace
from pathlib import Path
from typing import TYPE_CHECKING, Any

import click

from eshet.server_address import ServerAddress
from eshet_rules.audit.records.runner import StopRequested
from eshet_rules.audit.records.schema import emit
from eshet_rules.cli.options import (
    Command,
    PathType,
    check_name,
    config_option,
    default_state,
    exit_on_errors,
    rules_folder,
    server_option,
    shadow_state,
    state_dir_option,
)

if TYPE_CHECKING:
    from eshet_rules.config import Configuration, WebSettings
    from eshet_rules.web.site import WebPage


def _check_glob(context: click.Context, parameter: click.Parameter, value: str) -> str:
    if not value:
        raise click.BadParameter("'' matches no rule: write one, such as hall or 'hall.*'")
    return value


@click.command(cls=Command)
@click.argument("rules", type=PathType(), required=False)
@config_option
@server_option(
    "ESHET server to use: HOST:PORT, or the URL of NATS servers. By default, use a server that "
    "listens on 127.0.0.1:11236, or start one there."
)
@state_dir_option(
    "Folder for state that survives restarts.  [default: eshet-rules in XDG_STATE_HOME, or in "
    "~/.local/state]"
)
@click.option(
    "--no-state",
    is_flag=True,
    help="Keep no state across restarts, for instance where no folder is writable.",
)
@click.option(
    "--name",
    metavar="NAME",
    callback=check_name,
    help="Publish the states of the rules under /eshet_rules/NAME.  [default: the folder's name]",
)
@click.option(
    "--only",
    metavar="GLOB",
    default="*",
    callback=_check_glob,
    help="Run only these rules or modules, such as hall or 'hall.*'.",
)
@click.option(
    "--log-format",
    type=click.Choice(["console", "json"]),
    help="Readable lines, or JSON lines.  [default: console]",
)
@click.option("-v", "--verbose", is_flag=True, help="Log inputs and outputs of rules as well.")
@click.option("-q", "--quiet", is_flag=True, help="Log only warnings and errors.")
@click.option(
    "--audit",
    type=PathType(),
    metavar="FILE|FOLDER",
    help="Location of the audit trail.  [default: audit in the state folder]",
)
@click.option("--no-audit", is_flag=True, help="Do not write an audit trail.")
@click.option(
    "--web",
    is_flag=False,
    flag_value="",
    metavar="[ADDRESS]",
    help="Serve a page of the rules for browsers.  [default: 127.0.0.1:11238]",
)
@click.option(
    "--cluster",
    metavar="NAME",
    callback=check_name,
    help="Share the modules with the other runners of this cluster, which NATS joins.",
)
@click.option(
    "--published",
    is_flag=True,
    help="Keep the folder equal to what is published for the cluster, see eshet-rules publish.",
)
@click.option("--no-reload", is_flag=True, help="Do not reload changed files.")
@click.option(
    "--once",
    is_flag=True,
    help="Stop after setting up all rules; exit with 1 if a set-up failed.",
)
@click.option(
    "--shadow",
    is_flag=True,
    help="Run on the inputs of the server without any effect there: outputs are only logged.",
)
@click.option(
    "--insecure",
    is_flag=True,
    help="Run even if other users can change the rules, their configuration or their state.",
)
def run(
    rules: Path | None,
    config: Path | None,
    server: ServerAddress | None,
    state_dir: Path | None,
    no_state: bool,
    name: str | None,
    only: str,
    log_format: str | None,
    verbose: bool,
    quiet: bool,
    audit: Path | None,
    no_audit: bool,
    web: str | None,
    cluster: str | None,
    published: bool,
    no_reload: bool,
    once: bool,
    shadow: bool,
    insecure: bool,
) -> None:
    """Run all rules in the folder RULES, and reload each module when you save it.

    RULES defaults to the folder `rules` if that exists, else to the current folder.

    Options take precedence over eshet-rules.toml.

    Ctrl-C stops the runner: the states that its rules published become unknown.
    """
    if verbose and quiet:
        raise click.UsageError("--verbose and --quiet contradict each other: leave one of them out")
    if audit is not None and no_audit:
        raise click.UsageError(
            "--audit and --no-audit contradict each other: leave one of them out"
        )
    if state_dir is not None and no_state:
        raise click.UsageError(
            "--state-dir and --no-state contradict each other: leave one of them out"
        )
    if cluster is not None and (once or shadow or only != "*"):
        raise click.UsageError(
            "--cluster runs modules together with other runners, which --once, --shadow and --only "
            "do not: leave it or the others out"
        )
    if published and (once or shadow or only != "*"):
        raise click.UsageError(
            "--published is for a runner of a cluster, which --once, --shadow and --only do not "
            "join: leave it or the others out"
        )
    overrides: dict[str, dict[str, Any]] = {
        "server": {"address": server, "name": name},
        "state": {"folder": state_dir},
        "log": {
            "format": log_format,
            "level": "debug" if verbose else "warning" if quiet else None,
        },
        "audit": {"enabled": False if no_audit else None, "path": audit},
        "watch": {"reload": False if no_reload else None},
        "cluster": {"name": cluster, "rules": "published" if published else None},
        "web": {"enabled": None if web is None else True, "address": web or None},
    }
    stays = signal.getsignal(signal.SIGHUP) is signal.SIG_IGN  # as under nohup
    with _exit_at_signals() as handlers, exit_on_errors():
        exit_code = _run(
            rules_folder(rules),
            config,
            overrides,
            only=only,
            once=once,
            shadow=shadow,
            serves_page=web is not None,
            keeps_state=not no_state,
            published=published,
            insecure=insecure,
            stays=stays,
        )
        handlers.pop_all()  # signals stay ignored from now on, even while Python exits
    sys.exit(exit_code)


@contextlib.contextmanager
def _exit_at_signals() -> Iterator[contextlib.ExitStack]:
    """Exit at once with code 0 at SIGINT or SIGTERM, before and after the runner handles signals.

    SIGHUP requests a reload, so it is ignored while there is nothing to reload. The yielded stack
    restores the previous handlers.
    """
    handlers: dict[signal.Signals, Any] = {
        signal.SIGINT: lambda *_: os._exit(0),
        signal.SIGTERM: lambda *_: os._exit(0),
        signal.SIGHUP: signal.SIG_IGN,
    }
    with contextlib.ExitStack() as before:
        for number, handler in handlers.items():
            before.callback(signal.signal, number, signal.signal(number, handler))
        yield before


def _run(
    folder: Path,
    config: Path | None,
    overrides: dict[str, dict[str, Any]],
    *,
    only: str,
    once: bool,
    shadow: bool,
    serves_page: bool,
    keeps_state: bool,
    published: bool,
    insecure: bool,
    stays: bool,
) -> int:
    from eshet_rules.audit.recorder import Recorder
    from eshet_rules.audit.redaction import Redaction
    from eshet_rules.config import FILE_NAME, ConfigurationFile
    from eshet_rules.logs import make_logger, receiving_prints, receiving_stdlib_logs
    from eshet_rules.modules.discovery import check_folder
    from eshet_rules.modules.module_objects import module_of_file
    from eshet_rules.runner.main import run as run_rules
    from eshet_rules.runner.signals import (
        HAND_OVER_TIME,
        LONGEST_STOP,
        ForcedExit,
        ignore_signals,
        until_signalled,
    )
    from eshet_rules.runner.terminal import Terminal
    from eshet_rules.supervision.guard.rule_loop import RuleLoop

    check_folder(folder)
    file = ConfigurationFile(
        config or folder / FILE_NAME, must_exist=config is not None, overrides=overrides
    )
    configuration = file.read()
    if published and configuration.cluster.name is None:
        raise click.UsageError(
            "--published is for a runner of a cluster: name it with --cluster NAME, or with `name` "
            "below [cluster] of the configuration"
        )
    if not (once or shadow or only != "*"):
        _check_cluster(configuration)
    state = (configuration.state.folder or default_state()) if keeps_state else None
    if only != "*":
        configuration = replace(configuration, cluster=replace(configuration.cluster, name=None))
    if shadow:
        state = None if state is None else shadow_state(state)
        # Its own trail, so that `shadow-diff` finds both; and it takes nothing from a cluster.
        configuration = replace(
            configuration,
            audit=replace(configuration.audit, path=None),
            cluster=replace(configuration.cluster, name=None),
        )
    if not insecure:
        _check_writers(folder, file.path, state)
    settings = configuration.log
    redaction = Redaction(settings.redact)
    for rules in configuration.rules:
        redaction.value(rules.parameters)  # so that it learns the secrets in them
    recorder = Recorder(redaction)
    log = make_logger(sys.stdout, settings.format, level=settings.level, recorder=recorder)
    # Not the configured page of the real runner, unless it is wanted for this one.
    has_page = configuration.web.enabled and not once and (serves_page or not shadow)
    page = _page(configuration.web, state, folder) if has_page else None
    start: Any = run_rules
    server = configuration.server.address
    if shadow:
        from eshet_rules.shadow.running import run_shadow

        start, server = run_shadow, configuration.server_of_runner
    running = start(
        folder,
        log,
        server=server,
        state=state,
        reload=configuration.watch.reload,
        once=once,
        only=only,
        configuration=configuration,
        file=file,
        guarded=True,
        recorder=recorder,
        terminal=None if stays else Terminal(),
        page=page,
    )

    forced_exit = ForcedExit()
    longest_stop = LONGEST_STOP + (HAND_OVER_TIME if configuration.cluster.name else 0.0)

    def report(number: signal.Signals) -> None:
        emit(log, StopRequested(signal=number.name))
        gc.freeze()  # from now on, searching the memory for garbage would only delay the exit

    async def work() -> int:
        exit_code = await until_signalled(
            running, at_signal=lambda: forced_exit.request(0, longest_stop), report=report
        )
        ignore_signals()
        # All work is done: threads that a rule left running must not delay the exit.
        forced_exit.request(exit_code, within=1.0)
        return exit_code

    # Not asyncio.run: a rule that calls sys.exit() would end its loop.
    with (
        receiving_stdlib_logs(log, module_of_file),
        receiving_prints(log),
        asyncio.Runner(loop_factory=RuleLoop) as runner,
    ):
        return runner.run(work())


def _check_cluster(configuration: "Configuration") -> None:
    """Check that a runner with settings of a cluster also has its name.

    Raises:
        ConfigurationError: it has none, and would run all modules by itself.
    """
    from eshet.settings.problem import Problem
    from eshet_rules.config import ClusterSettings
    from eshet_rules.exceptions import ConfigurationError

    if configuration.cluster.name is None and configuration.cluster != ClusterSettings():
        advice = (
            "it is missing, so this runner would run all modules alone; add "
            '`name = "house"`, which all runners of the cluster have in common, or start it with '
            "--cluster NAME; without a cluster, remove [cluster]"
        )
        raise ConfigurationError([Problem(str(configuration.file), 0, "cluster.name", advice)])


def _page(settings: "WebSettings", state: Path | None, folder: Path) -> "WebPage":
    """Return the page of the runner.

    Raises:
        PageNotServed: a library is missing, or the files for TLS can't be used.
    """
    from eshet_rules.exceptions import PageNotServed
    from eshet_rules.modules.discovery import check_folder
    from eshet_rules.runner.state_folder import WEB_TOKENS, state_folder

    try:
        from eshet_rules.web.site import WebPage
    except ModuleNotFoundError as error:
        if error.name != "aiohttp":
            raise
        raise PageNotServed(
            "the page needs the library aiohttp: pip install 'eshet-rules[web]'"
        ) from None
    tokens = None if state is None else state_folder(state, check_folder(folder)) / WEB_TOKENS
    return WebPage(settings, tokens)


def _check_writers(folder: Path, configuration: Path, state: Path | None) -> None:
    """Check that no other user can change the files that the runner is about to use.

    Raises:
        InsecurePath: another user can.
    """
    from eshet_rules.modules.discovery import check_folder, discover
    from eshet_rules.permissions import check_writers
    from eshet_rules.runner.state_folder import state_folder

    modules = [source.path for source in discover(folder).values()]
    packages = {module.parent for module in modules}
    places = [] if state is None else [state, state_folder(state, check_folder(folder))]
    check_writers([folder, configuration, *places, *sorted(packages), *modules])
