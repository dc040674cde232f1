"""Finds a running runner and calls its actions."""

import asyncio
import logging
from collections.abc import AsyncIterator, Awaitable, Callable
from contextlib import asynccontextmanager
from dataclasses import dataclass
from pathlib import Path
from typing import Any, Final, NamedTuple, TypeVar

from eshet.address import Address
from eshet.client import Client
from eshet.client.server_tree import list_nodes
from eshet.exceptions import Disconnected, ErrorValue
from eshet.program import printable
from eshet.server_address import WHY_ENDED, ServerAddress, connector_to
from eshet_rules.cli.options import exit_on_errors, rules_folder
from eshet_rules.config import FILE_NAME, Configuration, ConfigurationFile
from eshet_rules.exceptions import ConfigurationError, NoRunner, RefusedByRunner, ServerUnreachable
from eshet_rules.runner.publisher import ROOT
from eshet_rules.runner.server import check_server

__all__ = [
    "Reports",
    "Runner",
    "answer_of",
    "ask",
    "ask_server",
    "connect_and_run",
    "only_runner",
    "provided_by",
    "published_actions",
]

_T = TypeVar("_T")

_SERVER_CODES: Final = ("no_such_node", "no_owner", "path_not_found", "not_a_directory")
"""Error codes of a server for a path that does not exist."""


_QUERY_TIMEOUTS: Final = dict.fromkeys(
    ("cluster", "drives", "inside", "list", "why", "why_not"), 5.0
)
"""Timeouts of actions that only read, in seconds: a runner answers them at once."""

_TIMEOUT: Final = 120.0
"""Timeout of all other actions, in seconds: they set up rules, which may be slow."""


class Reports(NamedTuple):
    """What a runner reports.

    Args:
        rules: a report on each rule.
        broken: the errors of modules that failed to load, by module.
        bridges: a report on each bridge.
        rolled_back: for each module that is rolled back: `version`, `file_version`, `since`, `by`,
            `why`.
        waiting: for each module with a change that waits to be committed: `version` and
            `file_version`, None for a new module and for a deleted file.
    """

    rules: list[dict[str, Any]]
    broken: dict[str, str]
    bridges: list[dict[str, Any]]
    rolled_back: dict[str, dict[str, str]]
    waiting: dict[str, dict[str, str | None]]


@dataclass(frozen=True)
class Runner:
    """A running runner.

    Args:
        client: a client of its server.
        name: the name of the runner.
        address: the address of the server.
    """

    client: Client
    name: str
    address: str

    @property
    def base(self) -> str:
        """The path under which the runner publishes."""
        return f"{ROOT}/{self.name}"

    async def call(self, action: str, *args: Any) -> Any:
        """Call one of the runner's actions, and return the result.

        Raises:
            NoRunner: it is not running, or does not answer.
            RefusedByRunner: it answered with an error.
        """
        timeout = _QUERY_TIMEOUTS.get(action, _TIMEOUT)
        try:
            async with asyncio.timeout(timeout):
                return await self.client.action_call(f"{self.base}/{action}", *args)
        except TimeoutError:
            raise NoRunner(
                f"the runner {self.name!r} at {self.address} has not answered {action} for "
                f"{timeout:g} s; look at its log, or stop it and start it again"
            ) from None
        except ErrorValue as error:
            if error.value in _SERVER_CODES:
                raise await self._absent() from None
            raise RefusedByRunner(printable(str(error.value))) from None

    async def reports(self) -> "Reports":
        """Return what the runner reports."""
        rules: list[dict[str, Any]] = []
        page: dict[str, Any] = {"next": ""}
        while page["next"] is not None:
            page = await self.call("list", page["next"])
            rules += page["rules"]
        return Reports(
            rules,
            page.get("broken", {}),
            page.get("bridges", []),
            page.get("rolled_back", {}),
            page.get("waiting", {}),
        )

    async def driven(self) -> set[str]:
        """Return the paths over which rules of the runner decide with `yarp.drive`."""
        paths: set[str] = set()
        page: dict[str, Any] = {"next": ""}
        while page["next"] is not None:
            page = await self.call("drives", page["next"])
            paths.update(str(each["path"]) for each in page["drives"])
        return paths

    async def provided(self) -> frozenset[str] | None:
        """Return the paths that have an owner; None if the server does not support the query."""
        found = await _provided(self.client)
        return None if found is None else frozenset(found)

    async def _absent(self) -> NoRunner:
        others = await _names(self.client)
        advice = f"there are: {', '.join(others)}" if others else _START_ONE
        return NoRunner(f"there is no runner {self.name!r} at {self.address}; {advice}")


_START_ONE: Final = (
    "start one with `eshet-rules run`, or name its server with --server or ESHET_SERVER"
)


def ask(
    request: Callable[[Runner], Awaitable[None]],
    server: ServerAddress | None,
    runner: str | None,
    config: Path | None,
) -> None:
    """Connect to a running runner and run a request; on an error, print it and exit.

    Args:
        request: called with the runner.
        server: address of its server; None for the configured one, or this machine's.
        runner: name of the runner; None for the configured one, or the only one.
        config: the configuration file; None for the one in the rules folder.
    """

    async def work(client: Client, address: str, configured: str | None) -> None:
        name = runner or configured
        await request(Runner(client, name, address) if name else await only_runner(client, address))

    with exit_on_errors():
        connect_and_run(work, server, config)


def answer_of(
    request: Callable[[Runner], Awaitable[_T]],
    server: ServerAddress | None,
    runner: str | None,
    config: Path | None,
) -> _T | None:
    """Return the result of a request to a running runner; None if none answers there.

    The arguments are those of `ask`.

    Raises:
        RulesError: there are several runners, or it has refused the request.
    """

    async def work(client: Client, address: str, configured: str | None) -> _T:
        name = runner or configured
        return await request(
            Runner(client, name, address) if name else await only_runner(client, address)
        )

    try:
        return connect_and_run(work, server, config)
    except (Disconnected, ServerUnreachable, NoRunner):
        return None


def ask_server(
    request: Callable[[Client], Awaitable[None]], server: ServerAddress | None, config: Path | None
) -> None:
    """Connect to the server of the runners and run a request; see `ask`."""

    async def work(client: Client, address: str, configured: str | None) -> None:
        await request(client)

    with exit_on_errors():
        connect_and_run(work, server, config)


def provided_by(server: ServerAddress) -> dict[str, str] | None:
    """Return the kinds of the paths that have an owner on a server, by path.

    None if it does not support the query.

    Args:
        server: its address.

    Raises:
        ServerUnreachable: it does not answer.
        NotAnEshetServer: another program listens there.
    """

    async def query() -> dict[str, str] | None:
        async with _connected(server) as client:
            return await _provided(client)

    return asyncio.run(query())


async def _provided(client: Client) -> dict[str, str] | None:
    try:
        async with asyncio.timeout(_QUERY_TIMEOUTS["list"]):
            nodes = list_nodes(client)
            return {path: kind async for path, kind, owner in nodes if owner is not None}
    except (ErrorValue, TimeoutError, TypeError, ValueError, LookupError):
        return None


def connect_and_run(
    work: Callable[[Client, str, str | None], Awaitable[_T]],
    server: ServerAddress | None,
    config: Path | None,
) -> _T:
    """Connect to the server of the runners, and return the result of some work.

    Args:
        work: called with a client, the address of the server, and the configured name of the
            runner.
        server: see `ask`.
        config: see `ask`.

    Raises:
        ServerUnreachable: the server does not answer.
    """

    async def connect() -> _T:
        configuration = _configuration(config)
        address = server or configuration.server_of_runner
        async with _connected(address) as client:
            return await work(client, str(address), configuration.server.name)

    return asyncio.run(connect())


def _configuration(config: Path | None) -> Configuration:
    path = config or rules_folder() / FILE_NAME
    try:
        return ConfigurationFile(path, must_exist=config is not None).read()
    except ConfigurationError:
        if config is not None:
            raise
        return Configuration()  # a mistake there must not prevent a query


@asynccontextmanager
async def _connected(address: ServerAddress) -> AsyncIterator[Client]:
    silent = logging.Logger("silent", logging.CRITICAL)
    async with connector_to(address, silent) as connector:
        await check_server(connector)
        async with Client(server=connector, logger=silent) as client:
            try:
                yield client
            except Disconnected as error:
                if not isinstance(address, Address):
                    raise
                raise Disconnected(error.request, f"{error.reason}; {WHY_ENDED}") from None


async def only_runner(client: Client, address: str) -> Runner:
    """Return the runner of a server.

    Args:
        client: of the server.
        address: of the server.

    Raises:
        NoRunner: there is none, or there are several.
    """
    names = await _names(client)
    match names:
        case [name]:
            return Runner(client, name, address)
        case []:
            raise NoRunner(f"there is no runner at {address}; {_START_ONE}")
        case _:
            raise NoRunner(
                f"there are several runners at {address}: {', '.join(names)}; "
                "say which one with --runner NAME"
            )


async def _names(client: Client) -> list[str]:
    """Return the names of the runners of a server; none if the server can't list them."""
    return list(await published_actions(client))


async def published_actions(client: Client) -> dict[str, frozenset[str]]:
    """Return the actions of each runner of a server, by name; none if it can't list them."""
    names = sorted(name for name, _ in await _entries(client, ROOT))
    found = await asyncio.gather(*(_entries(client, f"{ROOT}/{name}") for name in names))
    actions = {
        name: frozenset(entry for entry, kind in entries if kind == "action")
        for name, entries in zip(names, found, strict=True)
    }
    # An observed path exists even without an owner; an action exists only while it has one.
    return {name: each for name, each in actions.items() if "list" in each}


async def _entries(client: Client, directory: str) -> list[list[str]]:
    """Return the entries of a directory; none if it is missing or the server can't list it."""
    try:
        _, entries = await client.action_call("/meta/ls", directory)
    except (ErrorValue, ValueError):
        return []
    return list(entries)
