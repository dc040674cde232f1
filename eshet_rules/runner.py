"""Puts the rooms together: a folder of rules, the house's server, and whoever edits the files."""

import asyncio
import contextlib
import hashlib
import signal
import socket
from collections.abc import AsyncGenerator, Callable, Coroutine
from pathlib import Path
from typing import Any

from structlog.typing import FilteringBoundLogger

from eshet.client import Client
from eshet.connection import Connector
from eshet_rules.checkpoint import Checkpoint
from eshet_rules.discovery import Source, check_folder, discover
from eshet_rules.exceptions import NoRules
from eshet_rules.house_server import house_server
from eshet_rules.importer import Importer
from eshet_rules.reload import Reloader
from eshet_rules.remember import Rememberer, wall_zero
from eshet_rules.supervision.scope import TaskScope, own_tasks_by_scope
from eshet_rules.watcher import watch

__all__ = ["run", "until_signalled"]


async def run(
    folder: Path,
    log: FilteringBoundLogger,
    *,
    server: str | Connector | None = None,
    state: Path | None = None,
    reload: bool = True,
    once: bool = False,
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

    Returns:
        The exit code: with `once`, 1 if something could not be loaded or set up, else 0.

    Raises:
        RulesError: there is nothing to run, or not there.
        ListenError: the embedded server can't listen.
    """
    folder = check_folder(folder)
    own_tasks_by_scope(asyncio.get_running_loop())
    async with house_server(server, log) as connector:
        checkpoint = None if state is None else Checkpoint(_checkpoint_file(state, folder), log)
        reloader = Reloader(
            Importer(folder, TaskScope),
            _client_maker(folder, connector),
            log,
            inherited=None if checkpoint is None else checkpoint.read(wall_zero()),
        )
        rememberer = None if checkpoint is None else Rememberer(reloader, checkpoint, log)
        try:
            contents = watch(folder) if reload else _as_it_is(folder)
            async with contextlib.aclosing(contents):
                succeeded = await reloader.update(await anext(contents))
                if succeeded and not reloader.alive:
                    raise NoRules(folder)
                log.info("running", modules=len(reloader.alive), folder=str(folder))
                if once:
                    return 0 if succeeded else 1
                async with asyncio.TaskGroup() as tasks:
                    if rememberer is not None:
                        tasks.create_task(rememberer.run())
                    async for sources in contents:
                        # Not awaited: a change while another is prepared takes its place.
                        tasks.create_task(reloader.update(sources))
            return 0
        finally:
            if rememberer is not None:
                await rememberer.write()
            await reloader.close()
            log.info("stopped")


async def until_signalled(work: Coroutine[Any, Any, int]) -> int:
    """Await the work; SIGINT or SIGTERM cancel it, which gives 0.

    It is cancelled once only, so that an impatient second signal can't cut its clean-up short.
    """
    loop = asyncio.get_running_loop()
    task = loop.create_task(work)
    for number in (signal.SIGINT, signal.SIGTERM):
        loop.add_signal_handler(number, lambda: task.cancelling() or task.cancel())
    await asyncio.wait([task])
    return 0 if task.cancelled() else task.result()


def _checkpoint_file(state: Path, folder: Path) -> Path:
    """Return the file for a rules folder, of which there may be many with one name."""
    digest = hashlib.sha256(str(folder).encode()).hexdigest()[:8]
    return state / f"{folder.name}-{digest}" / "checkpoint"


async def _as_it_is(folder: Path) -> AsyncGenerator[dict[str, Source], None]:
    """Iterate over what is in the folder now, and never again."""
    yield discover(folder)
    await asyncio.Event().wait()


def _client_maker(folder: Path, server: str | Connector) -> Callable[[str], Client]:
    """Return what makes the client of a module, with an id that stays the same over restarts."""

    def make(module: str) -> Client:
        return Client(
            server=server, client_id=f"eshet-rules/{socket.gethostname()}{folder}/{module}"
        )

    return make
