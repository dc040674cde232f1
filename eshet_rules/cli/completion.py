"""Shell completion of the names of rules and devices.

Those of rules come from the running runner or else from the rules folder, those of devices from the
bridges of the server.
"""

import ast
from collections.abc import Awaitable, Callable
from pathlib import Path
from typing import TYPE_CHECKING, Any

import click
from click.shell_completion import CompletionItem

from eshet.server_address import ServerAddress
from eshet_rules.cli.options import rules_folder

if TYPE_CHECKING:
    from eshet.client import Client

__all__ = ["DeviceName", "NodePath", "RuleName", "VersionName", "device_names", "names_in"]

_TIMEOUT = 1.0  # seconds: the user waits for the completion


class _CompletedName(click.ParamType[str]):
    """A text that the shell completes from the names that exist."""

    name = "name"

    def convert(self, value: Any, param: click.Parameter | None, ctx: click.Context | None) -> str:
        """See `click.ParamType`."""
        return str(value)

    def shell_complete(
        self, ctx: click.Context, param: click.Parameter, incomplete: str
    ) -> list[CompletionItem]:
        """See `click.ParamType`."""
        try:
            names = self.names(ctx)
        except (Exception, SystemExit):  # a completion can't report errors
            names = self.names_otherwise()
        return [CompletionItem(name) for name in sorted(names) if name.startswith(incomplete)]

    def names(self, ctx: click.Context) -> set[str]:
        """Return the names; may raise any error."""
        raise NotImplementedError

    def names_otherwise(self) -> set[str]:
        """Return the names to complete after an error."""
        return set()


class RuleName(_CompletedName):
    """The name of a rule or of a module, or a glob of either.

    Args:
        or_node: whether it may be the path of a node as well.
    """

    def __init__(self, *, or_node: bool = False) -> None:
        self._or_node = or_node

    def convert(self, value: Any, param: click.Parameter | None, ctx: click.Context | None) -> str:
        """See `click.ParamType`; files and folders are refused, which many type at first."""
        text = str(value)
        is_place = ("/" in text or text in (".", "..")) and not (
            self._or_node and text.startswith("/")
        )
        if is_place and Path(text).is_dir():
            self.fail(
                f"{text!r} is a folder: write names of rules or modules, such as hall.light or "
                "hall (`eshet-rules list` lists them)",
                param,
                ctx,
            )
        if text.endswith(".py") and Path(text).is_file():
            self.fail(
                f"{text!r} is a file: write the name of its module, such as hall for hall.py, or "
                "upstairs.bath for upstairs/bath.py",
                param,
                ctx,
            )
        return text

    def names(self, ctx: click.Context) -> set[str]:
        """See `_CompletedName`."""
        return _of_runner(*(ctx.params.get(name) for name in ("server", "runner", "config")))

    def names_otherwise(self) -> set[str]:
        """Return the names in the rules folder."""
        return names_in(rules_folder())


class DeviceName(_CompletedName):
    """The name or the path of a device, or a glob of either."""

    def names(self, ctx: click.Context) -> set[str]:
        """See `_CompletedName`."""
        return _of_bridges(ctx.params.get("server"), ctx.params.get("config"))


class NodePath(_CompletedName):
    """The path of a node."""

    name = "path"

    def convert(self, value: Any, param: click.Parameter | None, ctx: click.Context | None) -> str:
        """See `click.ParamType`."""
        from eshet.exceptions import InvalidPath
        from eshet.paths import resolve

        try:
            return resolve("", str(value))
        except InvalidPath as error:
            self.fail(str(error), param, ctx)

    def names(self, ctx: click.Context) -> set[str]:
        """See `_CompletedName`."""
        return _of_server(ctx.params.get("server"), ctx.params.get("config"))


class VersionName(_CompletedName):
    """A module, or one of its kept versions, such as `hall@3f2a91bc`."""

    name = "version"

    def names(self, ctx: click.Context) -> set[str]:
        """See `_CompletedName`."""
        return _kept(*(ctx.params.get(name) for name in ("rules", "state_dir", "config")))


def _kept(rules: Path | None, state: Path | None, config: Path | None) -> set[str]:
    """Return the modules with kept versions, and the versions."""
    from eshet_rules.cli.trail_option import place_of_state
    from eshet_rules.reload.version_store import VersionStore

    store = VersionStore(place_of_state(rules_folder(rules), state, config) / "versions")
    modules = store.modules()
    versions = (each for module in modules for each in store.versions(module))
    return {*modules, *(f"{each.module}@{each.version}" for each in versions)}


async def device_names(client: "Client") -> set[str]:
    """Return the names and paths of all devices of a server.

    Raises:
        EshetError: the connection was lost, or the server can't list its nodes.
    """
    from eshet.bridges.device_list import devices_of

    return {each[fact] async for each in devices_of(client) for fact in ("name", "directory")}


def _of_bridges(server: ServerAddress | None, config: Path | None) -> set[str]:
    return _asked(device_names, server, config)


def _of_server(server: ServerAddress | None, config: Path | None) -> set[str]:
    async def paths(client: "Client") -> set[str]:
        from eshet.client.server_tree import list_nodes

        return {path async for path, _, _ in list_nodes(client)}

    return _asked(paths, server, config)


def _asked(
    query: "Callable[[Client], Awaitable[set[str]]]",
    server: ServerAddress | None,
    config: Path | None,
) -> set[str]:
    """Return the names for which a query asks the server."""
    import asyncio
    import contextlib
    import io

    from eshet_rules.cli.runner_client import ask_server

    names: set[str] = set()

    async def request(client: "Client") -> None:
        async with asyncio.timeout(_TIMEOUT):
            names.update(await query(client))

    with contextlib.redirect_stderr(io.StringIO()):
        ask_server(request, server, config)
    return names


def _of_runner(server: ServerAddress | None, runner: str | None, config: Path | None) -> set[str]:
    import asyncio
    import contextlib
    import io

    from eshet_rules.cli.cluster_client import ClusterClient, ask_all
    from eshet_rules.cli.runner_client import Runner

    names: set[str] = set()

    async def request(running: Runner) -> None:
        async with asyncio.timeout(_TIMEOUT):
            for rule in (await running.reports()).rules:
                names.update((rule["rule"], rule["module"]))

    async def cluster_request(cluster: ClusterClient) -> None:
        await cluster.each(request)

    with contextlib.redirect_stderr(io.StringIO()):
        ask_all(request, cluster_request, server, runner, config)
    return names


def names_in(folder: Path) -> set[str]:
    """Return the names of the modules of a folder and, where the source parses, of their rules."""
    from eshet_rules.modules.discovery import discover

    names: set[str] = set()
    for source in discover(folder).values():
        if not source.is_helper:
            names |= {source.name, *(f"{source.name}.{rule}" for rule in _rules(source.data))}
    return names


def _rules(code: bytes) -> set[str]:
    try:
        tree = ast.parse(code)
    except (SyntaxError, ValueError):
        return set()
    functions = [each for each in tree.body if isinstance(each, ast.AsyncFunctionDef)]
    return {
        _name(decorator) or function.name
        for function in functions
        for decorator in function.decorator_list
        if ast.unparse(decorator).partition("(")[0] in ("rule", "eshet_rules.rule")
    }


def _name(decorator: ast.expr) -> str | None:
    """Return the literal `name` argument of a rule's decorator; None without one."""
    for keyword in decorator.keywords if isinstance(decorator, ast.Call) else ():
        if keyword.arg == "name" and isinstance(keyword.value, ast.Constant):
            return str(keyword.value.value)
    return None
