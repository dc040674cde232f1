"""Puts the rooms together: a folder of rules, the house's server, and whoever edits the files."""

import asyncio
import contextlib
import socket
from collections.abc import Callable
from pathlib import Path

from structlog.typing import FilteringBoundLogger

from eshet.client import Client
from eshet.connection import Connector
from eshet_rules.audit.actor import Actor, use_actor
from eshet_rules.audit.observer import RecordingObserver
from eshet_rules.audit.recorder import Recorder
from eshet_rules.audit.records import StateFolderFull, emit
from eshet_rules.audit.trail import Trail, open_file
from eshet_rules.config import Configuration, ConfigurationFile, LogSettings
from eshet_rules.modules.discovery import check_folder
from eshet_rules.runner.connections import ConnectionObserver, Connections
from eshet_rules.runner.lock import locked, locked_trail
from eshet_rules.runner.runner import Runner
from eshet_rules.runner.server import check_server, house_server
from eshet_rules.runner.state_folder import adopt_state, keeping_lock, mark_state, state_folder
from eshet_rules.runner.terminal import Terminal
from eshet_rules.supervision.guard.guard import Guard
from eshet_rules.supervision.loops import LoopObserver
from eshet_rules.supervision.scope import own_tasks_by_scope

__all__ = ["run", "state_folder"]


async def run(
    folder: Path,
    log: FilteringBoundLogger,
    *,
    server: str | Connector | None = None,
    state: Path | None = None,
    reload: bool = True,
    once: bool = False,
    only: str = "*",
    configuration: Configuration | None = None,
    file: ConfigurationFile | None = None,
    guarded: bool = False,
    recorder: Recorder | None = None,
    terminal: Terminal | None = None,
) -> int:
    """Run the rules of a folder until this is cancelled; all that they made is gone then.

    Args:
        folder: the rules folder.
        log: where to tell what happens.
        server: the ESHET server, as `HOST:PORT` or as an object of this process; see
            `house_server` for which one else.
        state: the folder in which it is kept what the rules remember, over restarts; nowhere, if
            it is not given.
        reload: whether to follow changes of the files.
        once: return as soon as all rules are set up.
        only: a glob of the rules, or modules, that run at all.
        configuration: with which to begin, as by default if not given.
        file: where that was read from, to follow its changes; not followed, if not given.
        guarded: whether to watch for rules that block the loop, which takes the main thread and
            SIGALRM, and to remember which of them ended the process.
        recorder: is given what rules hear and do, and keeps it in the trail that is configured; it
            is that of the log, too.
        terminal: with which this process ends, if it has one: SIGHUP means that, then, and to
            reload else.

    Returns:
        The exit code: with `once`, 1 if something could not be loaded or set up, else 0.

    Raises:
        RulesError: there is nothing to run, or not there, or runs already.
        ListenError: the embedded server can't listen.
    """
    folder = check_folder(folder)
    own_tasks_by_scope(asyncio.get_running_loop())
    place = None if state is None else state_folder(state, folder)
    configuration = configuration or Configuration()
    async with contextlib.AsyncExitStack() as stack:
        lock = trail_lock = None
        if state is not None and place is not None:
            adopt_state(state, folder, log)
            lock = stack.enter_context(locked(place))
            mark_state(place, folder)
        if recorder is not None and (trail := _trail(configuration.log, place, log)) is not None:
            trail_lock = stack.enter_context(locked_trail(trail.file))
            stack.enter_context(recorder.keeping(trail))
        if lock is not None and not lock.is_held:
            emit(log, StateFolderFull(folder=str(place)))
        connector = await stack.enter_async_context(house_server(server, log))
        if once:
            await check_server(connector)
        guard = None
        if guarded:
            memory = None if place is None else place / "guard"
            guard = Guard(folder, log, configuration.supervision, memory)
        make_client = _client_maker(place or folder, connector, log, recorder)
        redaction = None if recorder is None else recorder.redaction
        house = Runner(
            folder, log, make_client, place, configuration, only, guard, redaction, terminal
        )
        await stack.enter_async_context(house)

        def write_again() -> None:
            if place is not None:
                mark_state(place, folder)
            house.write_again()

        await stack.enter_async_context(keeping_lock(lock, trail_lock, write_again, log))
        return await (house.run_once() if once else house.run(file, reload=reload))


def _trail(settings: LogSettings, place: Path | None, log: FilteringBoundLogger) -> Trail | None:
    """Return the trail that is configured, if any: by default that in the state folder."""
    if isinstance(settings.audit, Path):
        file = open_file(settings.audit)
    elif settings.audit and place is not None:
        file = open_file(place / "audit")
    else:
        return None

    size, total = settings.file_bytes, settings.total_bytes
    return Trail(file, size=size, total=total, report=lambda problem: emit(log, problem))


class _Observer(ConnectionObserver, LoopObserver):
    """Tells of connections, and cuts loops of rules."""


class _TrailObserver(_Observer, RecordingObserver):
    """Gives a recorder what it sees, too."""


def _client_maker(
    runner: Path,
    server: str | Connector,
    log: FilteringBoundLogger,
    recorder: Recorder | None,
) -> Callable[[str], Client]:
    """Return what makes the client of a module.

    Its id stays the same over restarts, so that the server drops what a runner has left that was
    killed; no two that are alive may have one, as they would throw each other out.

    Args:
        runner: what no other runner of this machine has, as its state folder.
        server: see `run`.
        log: see `run`.
        recorder: see `run`.
    """
    connections = Connections(log)
    own = ConnectionObserver(connections)
    observer = (
        _Observer(connections, log)
        if recorder is None
        else _TrailObserver(connections, log, recorder)
    )

    def make(module: str) -> Client:
        with use_actor(Actor(module=module or None)):
            client_id = f"eshet-rules/{socket.gethostname()}{runner}/{module}"
            client = Client(server=server, client_id=client_id)
        client.attach(observer if module else own)
        return client

    return make
