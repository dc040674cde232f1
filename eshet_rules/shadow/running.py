"""A runner with rules that receive the inputs of a house, and outputs that do not reach it."""

import asyncio
import contextlib
from pathlib import Path
from typing import Any, Final

from structlog.typing import FilteringBoundLogger

from eshet.client import Client
from eshet.connection import Connector
from eshet.server import Server
from eshet.server_address import ServerAddress, connector_to
from eshet.yarp.acting import Pretence, current_pretence
from eshet_rules.audit.records.replays import ShadowStarted
from eshet_rules.audit.records.schema import emit
from eshet_rules.runner.main import run
from eshet_rules.runner.server import check_server
from eshet_rules.shadow.mirror import Mirror

__all__ = ["run_shadow"]

_READY_WITHIN: Final = 5.0
"""Seconds for which the rules wait for the nodes of the house at the start."""


async def run_shadow(
    folder: Path, log: FilteringBoundLogger, *, server: ServerAddress, **options: Any
) -> int:
    """Run the rules of a folder on a copy of a server's nodes, until this is cancelled.

    Args:
        folder: the rules folder.
        log: receives all log messages.
        server: the address of the server of the house.
        **options: of `eshet_rules.runner.main.run`.

    Returns:
        The exit code; see there.

    Raises:
        ServerUnreachable: the server does not answer.
        RulesError: see `run`.
    """
    async with connector_to(server) as connector:
        await check_server(connector)
        current_pretence.set(Pretence(is_on=True))
        emit(log, ShadowStarted(address=str(server)))
        return await _run(folder, log, connector, options)


async def _run(
    folder: Path, log: FilteringBoundLogger, server: Connector, options: dict[str, Any]
) -> int:
    async with Server() as copy, Client(server=server) as house, Client(server=copy) as shadow:
        mirror = Mirror(house, shadow, log)
        copying = asyncio.create_task(mirror.run())
        try:
            with contextlib.suppress(TimeoutError):
                async with asyncio.timeout(_READY_WITHIN):
                    await mirror.ready.wait()
            return await run(folder, log, server=copy, with_bridges=False, **options)
        finally:
            copying.cancel()
            await asyncio.wait([copying])
