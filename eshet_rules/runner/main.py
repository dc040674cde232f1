"""Composes a runner: its state folder, trail, server, clients and guard."""

import asyncio
import contextlib
import hashlib
import socket
import uuid
from collections.abc import AsyncIterator, Callable
from pathlib import Path
from typing import TYPE_CHECKING, Final

from structlog.typing import FilteringBoundLogger

from eshet.cause import Cause
from eshet.client import Client
from eshet.client.cause_relay import CauseRelay
from eshet.client.observer import InputTarget
from eshet.connection import Connector
from eshet.server_address import ServerAddress
from eshet_rules.audit.actor import Actor, use_actor
from eshet_rules.audit.observer import RecordingObserver
from eshet_rules.audit.recorder import Recorder
from eshet_rules.audit.records.schema import emit
from eshet_rules.audit.records.state import StateFolderFull
from eshet_rules.audit.trail import Trail, open_file
from eshet_rules.config import AuditSettings, Configuration, ConfigurationFile
from eshet_rules.exceptions import NoNatsLibrary
from eshet_rules.modules.discovery import check_folder
from eshet_rules.runner.bridges import BRIDGE, PAGE, MakeClient
from eshet_rules.runner.connections import ConnectionObserver, Connections
from eshet_rules.runner.lock import locked, locked_trail
from eshet_rules.runner.runner import Runner
from eshet_rules.runner.server import check_server, find_or_start_server
from eshet_rules.runner.state_folder import (
    adopt_state,
    keeping_lock,
    mark_state,
    state_folder,
    trail_place,
)
from eshet_rules.runner.terminal import Terminal
from eshet_rules.runner.view import Page
from eshet_rules.supervision.guard.guard import Guard
from eshet_rules.supervision.loops import LoopObserver
from eshet_rules.supervision.scope import own_tasks_by_scope

if TYPE_CHECKING:
    from eshet_rules.cluster.cluster import Cluster

__all__ = ["run", "state_folder"]

_LONGEST_ID: Final = 1000
"""Bytes of a client id; a server accepts some more."""


async def run(
    folder: Path,
    log: FilteringBoundLogger,
    *,
    server: ServerAddress | Connector | None = None,
    state: Path | None = None,
    reload: bool = True,
    once: bool = False,
    only: str = "*",
    configuration: Configuration | None = None,
    file: ConfigurationFile | None = None,
    guarded: bool = False,
    recorder: Recorder | None = None,
    terminal: Terminal | None = None,
    with_bridges: bool = True,
    page: Page | None = None,
) -> int:
    """Run the rules of a folder until this is cancelled; then everything is closed.

    Args:
        folder: the rules folder.
        log: receives all log messages.
        server: the ESHET server, by its address or as an object of this process; by default, see
            `find_or_start_server`.
        state: the folder for state that survives restarts; None to keep no state.
        reload: whether to reload changed files.
        once: whether to return as soon as all rules are set up.
        only: a glob of the rules or modules to run; all others are disabled.
        configuration: the initial configuration.
        file: the file of the configuration, to apply its changes; None to ignore changes.
        guarded: whether to watch for rules that block the event loop, which uses the main thread
            and SIGALRM, and to quarantine rules that end the process.
        recorder: the recorder of the log; it records inputs and outputs of rules, and keeps all
            records in the configured trail.
        terminal: the terminal of this process. When it is closed, the runner stops; otherwise,
            SIGHUP means to reload.
        with_bridges: whether to run the configured bridges.
        page: serves a page of the runner.

    Returns:
        The exit code: with `once`, 1 if a module could not be loaded or a rule set up, else 0.

    Raises:
        RulesError: the rules, the server or the state folder can't be used.
        ListenError: the embedded server can't listen, or the page would be open to others.
    """
    folder = check_folder(folder)
    if page is not None:
        await page.check()
    own_tasks_by_scope(asyncio.get_running_loop())
    place = None if state is None else state_folder(state, folder)
    configuration = configuration or Configuration()
    async with contextlib.AsyncExitStack() as stack:
        lock = trail_lock = None
        if state is not None and place is not None:
            adopt_state(state, folder, log)
            lock = stack.enter_context(locked(place))
            mark_state(place, folder)
        if recorder is not None and (trail := _trail(configuration.audit, place, log)) is not None:
            trail_lock = stack.enter_context(locked_trail(trail.file))
            stack.enter_context(recorder.keeping(trail))
        if lock is not None and not lock.is_held:
            emit(log, StateFolderFull(folder=str(place)))
        connector, cluster = await stack.enter_async_context(
            _server_and_cluster(configuration, server, log, once=once)
        )
        if once:
            await check_server(connector)
        guard = None
        if guarded:
            guard_folder = None if place is None else place / "guard"
            guard = Guard(folder, log, configuration.supervision, guard_folder)
        # Without a state folder and its lock, other runners of this folder may be running.
        unique = place or folder / f"run-{uuid.uuid4().hex[:12]}"
        make_client = _client_maker(
            unique,
            lambda module: connector if cluster is None else cluster.connector(module),
            connector,
            log,
            recorder,
            configuration.server.max_waiting_bytes,
        )
        runner = Runner(
            folder,
            log,
            make_client,
            place,
            configuration,
            only,
            guard,
            recorder,
            terminal,
            with_bridges=with_bridges,
            page=page,
            cluster=cluster,
        )
        await stack.enter_async_context(runner)

        def write_again() -> None:
            if place is not None:
                mark_state(place, folder)
            runner.write_again()

        await stack.enter_async_context(keeping_lock(lock, trail_lock, write_again, log))
        return await (runner.run_once() if once else runner.run(file, reload=reload))


@contextlib.asynccontextmanager
async def _server_and_cluster(
    configuration: Configuration,
    server: ServerAddress | Connector | None,
    log: FilteringBoundLogger,
    *,
    once: bool,
) -> "AsyncIterator[tuple[Connector, Cluster | None]]":
    """Find or start the server, and join the cluster if there is one."""
    name = configuration.cluster.name
    if name is None or once:
        async with find_or_start_server(server, log, waits=not once) as connector:
            yield connector, None
        return
    try:
        from eshet_rules.runner.clustering import joined_cluster
    except ModuleNotFoundError as error:
        if error.name is None or error.name.partition(".")[0] != "nats":
            raise
        raise NoNatsLibrary from None
    async with joined_cluster(name, configuration.cluster, server, log) as cluster:
        yield cluster.server, cluster


def _trail(settings: AuditSettings, place: Path | None, log: FilteringBoundLogger) -> Trail | None:
    """Return the configured trail, if any: by default, that in the state folder."""
    path = trail_place(settings, place)
    if path is None:
        return None

    file = open_file(path)
    size, total = settings.file_bytes, settings.total_bytes
    return Trail(file, size=size, total=total, report=lambda problem: emit(log, problem))


class _Observer(ConnectionObserver, LoopObserver):
    """Logs lost connections, and cuts loops of rules."""


class _TrailObserver(_Observer, RecordingObserver):
    """In addition, records inputs and outputs."""


class _RelayObserver(ConnectionObserver, CauseRelay):
    """Logs lost connections, and keeps causes through a bridge."""


class _BridgeObserver(ConnectionObserver):
    """Logs lost connections; nothing of a bridge is recorded, so it needs no causes."""

    def cause_of_input(
        self, kind: str, path: bytes, value: bytes, target: InputTarget
    ) -> Cause | None:
        """See `ClientObserver`."""
        return None


def _bounded(client_id: str) -> str:
    """Return a client id that every server accepts; the end of a very long one is replaced."""
    if len(client_id.encode(errors="surrogateescape")) <= _LONGEST_ID:
        return client_id
    digest = hashlib.sha256(client_id.encode(errors="surrogateescape")).hexdigest()
    return f"{client_id[: _LONGEST_ID // 8]}{digest}"


def _client_maker(
    runner: Path,
    server_of: Callable[[str], Connector],
    server: Connector,
    log: FilteringBoundLogger,
    recorder: Recorder | None,
    max_waiting_bytes: int,
) -> MakeClient:
    """Return a function that makes the client of a module, of a bridge, or of the runner itself.

    Its client id stays the same across restarts, so that the server drops the connection of a
    runner that was killed. Two running runners must not share ids, as they would disconnect each
    other.

    Args:
        runner: a path that is unique to the runner on this machine, such as its state folder.
        server_of: returns the server for the client of a module.
        server: the server for all other clients.
        log: see `run`.
        recorder: see `run`.
        max_waiting_bytes: see `Client`.
    """
    connections = Connections(log)
    own = ConnectionObserver(connections)
    observer = (
        _Observer(connections, log)
        if recorder is None
        else _TrailObserver(connections, log, recorder)
    )

    relay = _RelayObserver(connections, observer)
    bridge = _BridgeObserver(connections)

    def make(module: str, /, *, relays_causes: bool = False) -> Client:
        is_module = module not in ("", PAGE) and not module.startswith(BRIDGE)
        with use_actor(Actor(module=module or None)):
            client = Client(
                server=server_of(module) if is_module else server,
                client_id=_bounded(f"eshet-rules/{socket.gethostname()}{runner}/{module}"),
                max_waiting_bytes=max_waiting_bytes,
            )
        if module == "":
            client.attach(own)
        elif module == PAGE:
            client.attach(bridge)
        elif module.startswith(BRIDGE):
            client.attach(relay if relays_causes else bridge)
        else:
            client.attach(observer)
        return client

    return make
