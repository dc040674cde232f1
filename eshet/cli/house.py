"""The commands that get, set, call and observe nodes."""

import asyncio
import sys
from typing import Any

import click

from eshet.cli.running import ask
from eshet.cli.values import JsonType, PathType, from_json, to_json
from eshet.client import Client, StateWrapper
from eshet.client.server_tree import list_directory
from eshet.unknown import Unknown

__all__ = ["call", "emit", "get", "listen", "ls", "observe", "publish", "set_"]


@click.command()
@click.argument("path", type=PathType("action"))
@click.argument("arguments", type=JsonType(), nargs=-1)
@click.pass_context
def call(ctx: click.Context, path: str, arguments: tuple[object, ...]) -> None:
    """Call an action, and print its result."""

    async def request(client: Client) -> None:
        _show(await client.action_call(path, *arguments))

    ask(ctx, request)


@click.command()
@click.argument("path", type=PathType("state", "prop"))
@click.pass_context
def get(ctx: click.Context, path: str) -> None:
    """Print the value of a state or property."""

    async def request(client: Client) -> None:
        _show(await client.get(path))

    ask(ctx, request)


@click.command("set")
@click.argument("path", type=PathType("state", "prop"))
@click.argument("value", type=JsonType())
@click.pass_context
def set_(ctx: click.Context, path: str, value: object) -> None:
    """Set a state or property, by sending the value to its owner."""
    ask(ctx, lambda client: client.set(path, value))


@click.command()
@click.argument("path", type=PathType("state"))
@click.pass_context
def observe(ctx: click.Context, path: str) -> None:
    """Print the value of a state, and each change of it, until interrupted.

    An unknown value is shown as the word `unknown`, without quotes.
    """

    async def request(client: Client) -> None:
        changes: asyncio.Queue[Any] = asyncio.Queue()
        value = await client.state_observe(path, changes.put_nowait)
        while not changes.empty():  # changes before the returned value
            changes.get_nowait()
        _show(value)
        while True:
            _show(await changes.get())

    ask(ctx, request, stays=True)


@click.command()
@click.argument("path", type=PathType("event"))
@click.pass_context
def listen(ctx: click.Context, path: str) -> None:
    """Print the payload of each event, until interrupted."""

    async def request(client: Client) -> None:
        async for payload in client.event_listen(path):
            _show(payload)

    ask(ctx, request, stays=True)


@click.command()
@click.argument("path", type=PathType("event"))
@click.argument("payload", type=JsonType(), default="null")
@click.pass_context
def emit(ctx: click.Context, path: str, payload: object) -> None:
    """Emit an event that is registered, or that a client listens to."""
    ask(ctx, lambda client: client.event_emit(path, payload))


@click.command()
@click.argument("path", type=PathType("state"))
@click.argument("value", type=JsonType(), required=False)
@click.pass_context
def publish(ctx: click.Context, path: str, value: object) -> None:
    """Own a state and publish its values until interrupted.

    Its value is VALUE. Without it, each line of standard input is the next value, the word
    `unknown` makes the state unknown, and the state ends with the input. Other clients can set it.
    """
    from_input = value is None

    async def request(client: Client) -> None:
        ready: asyncio.Future[StateWrapper] = asyncio.get_running_loop().create_future()

        async def change(new: object) -> None:
            await (await ready).changed(new)  # it may be set before it has its first value

        state = await client.state_register(path, change)
        if not from_input:
            await state.changed(value)
        ready.set_result(state)
        if not from_input:
            await _forever()
        while line := (await asyncio.to_thread(sys.stdin.readline)):
            word = line.strip()
            if word:
                await state.changed(Unknown if word == "unknown" else from_json(word))

    ask(ctx, request, stays=True)


@click.command()
@click.argument("path", type=PathType("dir", directory=True), default="/")
@click.option("-r", "--recursive", is_flag=True, help="Also list the directories below.")
@click.pass_context
def ls(ctx: click.Context, path: str, recursive: bool) -> None:
    """List a directory: names and kinds of its entries."""

    async def show(client: Client, directory: str) -> None:
        kind, *entries = await list_directory(client, directory)
        for name, child in entries:
            full = f"{directory.rstrip('/')}/{name}"
            click.echo(f"{child:<7} {full}{'/' if child == 'dir' else ''}")
            if recursive and child == "dir":
                await show(client, full)
        if kind != "dir":
            click.echo(f"{kind:<7} {directory}")

    ask(ctx, lambda client: show(client, path))


def _show(value: object) -> None:
    click.echo(to_json(value))


async def _forever() -> None:
    await asyncio.get_running_loop().create_future()
