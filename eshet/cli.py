"""The `eshet` command: look at a house, and touch it, from a shell.

Values are JSON. What is not asked for goes to standard error; the exit code is 0, or 1 if what was
asked could not be done, or 2 if it was asked in a wrong way.
"""

import asyncio
import json
import logging
import os
import signal
import sys
from collections.abc import AsyncIterator, Awaitable, Callable, Coroutine
from contextlib import asynccontextmanager
from typing import Any, Final

import click

from eshet import paths
from eshet.client import Client
from eshet.client.address import Address
from eshet.exceptions import Disconnected, EshetError, InvalidPath
from eshet.protocol import DEFAULT_PORT
from eshet.server import Server
from eshet.unknown import Unknown

__all__ = ["main"]

_ANSWER_WITHIN: Final = 10.0
"""How long a server may take to let a command in, in seconds."""


# --- arguments --------------------------------------------------------------------------------


class _Path(click.ParamType[str]):
    """An absolute path of a node; with `directory`, or of a directory."""

    name = "path"

    def __init__(self, *, directory: bool = False) -> None:
        self._directory = directory

    def convert(self, value: Any, param: click.Parameter | None, ctx: click.Context | None) -> str:
        try:
            if self._directory:
                return paths.check_base(value) or "/"
            return paths.resolve("", value)
        except InvalidPath as error:
            self.fail(str(error), param, ctx)


class _Json(click.ParamType[Any]):
    """A value, written as JSON."""

    name = "json"

    def convert(self, value: Any, param: click.Parameter | None, ctx: click.Context | None) -> Any:
        try:
            return _from_json(value)
        except ValueError as error:
            self.fail(str(error), param, ctx)


class _Address(click.ParamType[Address]):
    """Where a server is."""

    name = "host:port"

    def __init__(self, lowest_port: int = 1) -> None:
        self._lowest_port = lowest_port

    def convert(
        self, value: Any, param: click.Parameter | None, ctx: click.Context | None
    ) -> Address:
        try:
            return Address.parse(value, self._lowest_port)
        except ValueError as error:
            self.fail(str(error), param, ctx)


def _from_json(text: str) -> Any:
    try:
        return json.loads(text)
    except ValueError as error:
        raise ValueError(
            f"{text!r} is not JSON ({error}); text has double quotes inside the shell's, "
            f"as '\"on\"'"
        ) from None


def _to_json(value: Any) -> str:
    """Return a value as one line of JSON that no terminal takes for a command."""
    if value is Unknown:
        return "unknown"
    text = json.dumps(_jsonable(value), ensure_ascii=False)
    return "".join(c if c.isprintable() else json.dumps(c)[1:-1] for c in text)


def _jsonable(value: Any) -> Any:
    """Show what JSON does not have: bytes as hexadecimal text, any key of a map as text."""
    match value:
        case bytes():
            return value.hex()
        case list() | tuple():
            return [_jsonable(item) for item in value]
        case dict():
            return {_key(key): _jsonable(item) for key, item in value.items()}
        case _:
            return value


def _key(key: Any) -> str:
    return key if isinstance(key, str) else json.dumps(_jsonable(key))


# --- running ----------------------------------------------------------------------------------


@asynccontextmanager
async def _connected(address: Address) -> AsyncIterator[Client]:
    """Connect once: a command does not wait for a server that is not there."""
    refused: asyncio.Future[OSError] = asyncio.get_running_loop().create_future()

    class Once:
        async def connect(self, factory: Callable[[], asyncio.Protocol]) -> asyncio.BaseTransport:
            try:
                return await address.connect(factory)
            except OSError as error:
                if not refused.done():
                    refused.set_result(error)
                raise

    quiet = logging.Logger("eshet.cli", logging.CRITICAL)
    client = Client(server=Once(), logger=quiet)
    connected: asyncio.Future[Any] = asyncio.ensure_future(client.wait_for_connection())
    waited: set[asyncio.Future[Any]] = {connected, refused}
    try:
        await asyncio.wait(waited, timeout=_ANSWER_WITHIN, return_when=asyncio.FIRST_COMPLETED)
        if not connected.done():
            why = refused.result() if refused.done() else "it does not answer as an ESHET server"
            raise Disconnected(
                f"can't connect to {address}",
                f"{why}. Start one with `eshet serve`, or name yours with --server or ESHET_SERVER",
            )
        yield client
    finally:
        await client.close()
        await asyncio.gather(connected, return_exceptions=True)


def _run(work: Coroutine[Any, Any, None]) -> None:
    try:
        asyncio.run(work)
    except (EshetError, ValueError) as error:
        click.echo(f"eshet: {error}", err=True)
        sys.exit(1)
    except KeyboardInterrupt:
        sys.exit(128 + signal.SIGINT)
    except BrokenPipeError:
        # Whoever read this has enough; nothing must be flushed to it at exit either.
        os.dup2(os.open(os.devnull, os.O_WRONLY), sys.stdout.fileno())


def _ask(ctx: click.Context, request: Callable[[Client], Awaitable[Any]]) -> None:
    """Make one request, and print its result if it has one to print."""

    async def work() -> None:
        async with _connected(ctx.obj) as client:
            await request(client)

    _run(work())


def _show(value: Any) -> None:
    click.echo(_to_json(value))


async def _for_ever() -> None:
    await asyncio.get_running_loop().create_future()


# --- commands ---------------------------------------------------------------------------------


@click.group(context_settings={"help_option_names": ["-h", "--help"]})
@click.option(
    "--server",
    type=_Address(),
    envvar="ESHET_SERVER",
    default="localhost",
    show_default=True,
    show_envvar=True,
    help="The server to talk to.",
)
@click.version_option(package_name="eshet-rules")
@click.pass_context
def main(ctx: click.Context, server: Address) -> None:
    """Look at a house, and touch it. Values are JSON: 23, true, '"text"', '{"a": [1, 2]}'."""
    ctx.obj = server


@main.command()
@click.argument("path", type=_Path())
@click.argument("arguments", type=_Json(), nargs=-1)
@click.pass_context
def call(ctx: click.Context, path: str, arguments: tuple[Any, ...]) -> None:
    """Call an action, and print its result."""

    async def request(client: Client) -> None:
        _show(await client.action_call(path, *arguments))

    _ask(ctx, request)


@main.command()
@click.argument("path", type=_Path())
@click.pass_context
def get(ctx: click.Context, path: str) -> None:
    """Print the value of a state or property."""

    async def request(client: Client) -> None:
        _show(await client.get(path))

    _ask(ctx, request)


@main.command("set")
@click.argument("path", type=_Path())
@click.argument("value", type=_Json())
@click.pass_context
def set_(ctx: click.Context, path: str, value: Any) -> None:
    """Set a state or property: its owner is asked to give it this value."""
    _ask(ctx, lambda client: client.set(path, value))


@main.command()
@click.argument("path", type=_Path())
@click.pass_context
def observe(ctx: click.Context, path: str) -> None:
    """Print the value of a state, and each change of it, until interrupted.

    While nobody knows the value, it is the word `unknown`, without quotes.
    """

    async def request(client: Client) -> None:
        changes: asyncio.Queue[Any] = asyncio.Queue()
        _show(await client.state_observe(path, changes.put_nowait))
        while True:
            _show(await changes.get())

    _ask(ctx, request)


@main.command()
@click.argument("path", type=_Path())
@click.pass_context
def listen(ctx: click.Context, path: str) -> None:
    """Print the payload of each event, until interrupted."""

    async def request(client: Client) -> None:
        async for payload in client.event_listen(path):
            _show(payload)

    _ask(ctx, request)


@main.command()
@click.argument("path", type=_Path())
@click.argument("payload", type=_Json(), default="null")
@click.pass_context
def emit(ctx: click.Context, path: str, payload: Any) -> None:
    """Emit an event that somebody has registered or listens to."""
    _ask(ctx, lambda client: client.event_emit(path, payload))


@main.command()
@click.argument("path", type=_Path())
@click.argument("value", type=_Json(), required=False)
@click.pass_context
def publish(ctx: click.Context, path: str, value: Any) -> None:
    """Be a state, until interrupted.

    Its value is VALUE; without one, each line of standard input is the next value, the word
    `unknown` makes it unknown, and it is gone with the last line. It can be set by others.
    """
    from_input = value is None

    async def request(client: Client) -> None:
        state = await client.state_register(path, lambda new: state.changed(new))
        if not from_input:
            await state.changed(value)
            await _for_ever()
        while line := (await asyncio.to_thread(sys.stdin.readline)):
            word = line.strip()
            if word:
                await state.changed(Unknown if word == "unknown" else _from_json(word))

    _ask(ctx, request)


@main.command()
@click.argument("path", type=_Path(directory=True), default="/")
@click.option("-r", "--recursive", is_flag=True, help="Also what is in the directories below.")
@click.pass_context
def ls(ctx: click.Context, path: str, recursive: bool) -> None:
    """Print what is in a directory: names, and what each is."""

    async def show(client: Client, directory: str) -> None:
        kind, *entries = await _listing(client, directory)
        for name, child in entries:
            full = f"{directory.rstrip('/')}/{name}"
            click.echo(f"{child:<7} {full}{'/' if child == 'dir' else ''}")
            if recursive and child == "dir":
                await show(client, full)
        if kind != "dir":
            click.echo(f"{kind:<7} {directory}")

    _ask(ctx, lambda client: show(client, path))


async def _listing(client: Client, path: str) -> list[Any]:
    match await client.action_call("/meta/ls", path):
        case ["dir", list(entries)]:
            return ["dir", *sorted(entries)]
        case kind:
            return [kind]


@main.command()
@click.option(
    "--listen",
    "addresses",
    type=_Address(lowest_port=0),
    multiple=True,
    default=[f"127.0.0.1:{DEFAULT_PORT}"],
    show_default=True,
    help="Where to listen; may be given several times. Port 0: any that is free.",
)
def serve(addresses: tuple[Address, ...]) -> None:
    """Run a server, until interrupted. Whoever can reach its address can do everything."""
    logging.basicConfig(level=logging.INFO, format="%(message)s", stream=sys.stderr)

    async def work() -> None:
        async with Server() as server:
            for address in addresses:
                await server.listen(address.host, address.port)
            for host, port in server.addresses:
                click.echo(f"listening on {Address(host, port)}")
            await _interrupted()

    _run(work())


async def _interrupted() -> None:
    """Wait for SIGINT or SIGTERM."""
    loop = asyncio.get_running_loop()
    asked = asyncio.Event()
    for number in (signal.SIGINT, signal.SIGTERM):
        loop.add_signal_handler(number, asked.set)
    await asked.wait()
