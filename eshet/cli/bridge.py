"""`eshet bridge`: runs a bridge without a runner, and lists retained commands of a broker."""

import asyncio
import logging
import os
import signal
import socket
from collections.abc import Awaitable, Callable, Sequence
from pathlib import Path
from typing import Final

import click

from eshet.bridges.bridge import make_bridge
from eshet.bridges.settings import (
    BRIDGE_NAME,
    URL,
    BridgeSettings,
    BrokerUrl,
    HomeAssistantSettings,
    MqttSettings,
    NotifySettings,
    misspelt,
    read_bridges,
)
from eshet.cli.running import run
from eshet.cli.values import NatsType, PathType
from eshet.client import Client
from eshet.nats.address import NatsAddress
from eshet.program import printable
from eshet.server_address import ServerAddress
from eshet.settings.kinds import show
from eshet.settings.problem import SettingsError
from eshet.settings.table import TableReader
from eshet.settings.toml import parse_toml
from eshet.text import shorten

__all__ = ["bridge"]

_CONFIG = click.option(
    "--config",
    type=click.Path(exists=True, dir_okay=False, path_type=Path),
    help="A configuration file with [bridges.NAME].",
)
_NAME = click.option("--name", help="The name of the bridge. [default: the only one of the file]")
_BROKER = click.option(
    "--broker", help="The broker's URL, such as mqtt://localhost; without --config."
)

_SUFFIX: Final = "-retained-commands"
"""The suffix of the client id, as a bridge with the same configuration may be running."""


class _Formatter(logging.Formatter):
    """Escapes control characters: a device may have any name, and the log may be a terminal."""

    def formatMessage(self, record: logging.LogRecord) -> str:  # noqa: N802 - of `logging`
        """See `logging.Formatter`."""
        return printable(super().formatMessage(record))


@click.group("bridge")
def bridge() -> None:
    """Show devices that speak another protocol as nodes of the server."""


@bridge.command()
@_CONFIG
@_NAME
@_BROKER
@click.pass_context
def mqtt(ctx: click.Context, config: Path | None, name: str | None, broker: str | None) -> None:
    """Show the devices of an MQTT broker, until it is interrupted.

    Without --config, all defaults apply: zigbee2mqtt, Tasmota, Shelly and Home Assistant's
    discovery. The password is in ESHET_MQTT_PASSWORD, or with the name of the bridge in capitals.
    """
    _run(ctx.obj, *_chosen(config, name, "mqtt", _mqtt_settings(broker, config)))


@bridge.command()
@_CONFIG
@_NAME
@click.option(
    "--url", default=HomeAssistantSettings.url, show_default=True, help="The URL of Home Assistant."
)
@click.pass_context
def homeassistant(ctx: click.Context, config: Path | None, name: str | None, url: str) -> None:
    """Show the entities of a Home Assistant, until it is interrupted.

    The long-lived access token is in ESHET_HOMEASSISTANT_TOKEN, or with the name of the bridge in
    capitals.
    """
    try:
        settings = HomeAssistantSettings(url=URL.read(url))
    except ValueError:
        raise click.BadParameter(
            f"found {show(url)}; write {URL.allowed}", param_hint="--url"
        ) from None
    _run(ctx.obj, *_chosen(config, name, "homeassistant", settings))


@bridge.command()
@_CONFIG
@_NAME
@click.pass_context
def notify(ctx: click.Context, config: Path | None, name: str | None) -> None:
    """Register an action that sends notifications, until it is interrupted.

    The URL of the service, such as ntfy://TOPIC, is in ESHET_NOTIFY_URL, or with the name of the
    bridge in capitals.
    """
    _run(ctx.obj, *_chosen(config, name, "notify", NotifySettings()))


@bridge.command("nats")
@click.argument("url", type=NatsType())
@click.argument("paths", type=PathType(directory=True), nargs=-1)
@click.option(
    "--only",
    metavar="PATH",
    type=PathType(directory=True),
    multiple=True,
    help="Share only what is below this path; may be repeated.",
)
@click.option(
    "--except",
    "left_out",
    metavar="PATH",
    type=PathType(directory=True),
    multiple=True,
    help="Do not share what is below this path; may be repeated.",
)
@click.option(
    "--name", help="The name of the bridge. [default: the name of the tree, with _ for -]"
)
@click.pass_context
def nats(
    ctx: click.Context,
    url: NatsAddress,
    paths: tuple[str, ...],
    only: tuple[str, ...],
    left_out: tuple[str, ...],
    name: str | None,
) -> None:
    """Join the server with the tree at the NATS servers of URL, until it is interrupted.

    Each shows the nodes of the other, all but those below /meta. A server that can't list its nodes
    with their owners, as others than `eshet serve`, shares the nodes PATHS, and those below PATHS.
    """
    name = name or url.prefix.replace("-", "_")
    _check_name(name)
    # Two bridges of one name must not replace each other: the second one is refused.
    place = f"{socket.gethostname()} {os.getpid()}"

    async def work() -> None:
        from eshet.bridges.nats.bridge import NatsBridge
        from eshet.bridges.nats.selection import Selection
        from eshet.bridges.nats.side import Side

        # The ids differ, so that a server which is in the tree itself does not replace one of both.
        async with (
            Client(server=url, client_id=f"eshet bridge {name} of {ctx.obj} on {place}") as tree,
            Client(server=ctx.obj, client_id=f"eshet bridge {name} on {place}") as server,
        ):
            sides = Side(server, str(ctx.obj), paths), Side(tree, str(url))
            await NatsBridge(name, *sides, Selection(only, left_out)).run()

    _run_until_interrupted(work)


@bridge.command("retained-commands")
@_CONFIG
@_NAME
@_BROKER
@click.option(
    "--seconds",
    type=click.FloatRange(0.1, 600),
    default=2.0,
    show_default=True,
    help="Seconds to wait for messages.",
)
@click.option(
    "--clear",
    "clears",
    is_flag=True,
    help="Remove the commands from the broker, after a confirmation.",
)
@click.option("--yes", is_flag=True, help="Remove without a confirmation.")
def retained_commands(
    config: Path | None,
    name: str | None,
    broker: str | None,
    seconds: float,
    clears: bool,
    yes: bool,
) -> None:
    """List commands that the MQTT broker has stored.

    A broker sends a retained command again whenever its device connects, so a lamp may come on by
    itself. Each command is listed with advice to prevent that it is stored again.

    Connects with the settings of the bridge, but with another client id: a running bridge stays
    connected.
    """
    from eshet.bridges.mqtt.bridge import make_broker
    from eshet.bridges.mqtt.retained import RetainedCommand, clear, find_commands, read_retained

    name, settings = _chosen(config, name, "mqtt", _mqtt_settings(broker, config))
    assert isinstance(settings, MqttSettings)  # noqa: S101 - the kind that is passed above
    found: list[RetainedCommand] = []

    async def find() -> None:
        broker = make_broker(name, settings, _SUFFIX)
        found.extend(find_commands(await read_retained(broker, seconds), settings))

    async def remove() -> None:
        await clear(make_broker(name, settings, _SUFFIX), found)

    run(find())
    for command in found:
        payload = shorten(command.payload.decode(errors="replace"), 200)
        click.echo(printable(f"{command.topic}  {payload}"))
        click.echo(printable(f"    {command.family}: {command.advice}"))
    if not found:
        click.echo(f"no retained commands on {settings.address}", err=True)
    elif not clears:
        click.echo(f"{_count(found)}; remove with --clear", err=True)
    elif yes or click.confirm(f"Remove {_count(found)} from {settings.address}?", err=True):
        run(remove())
        click.echo(f"removed {_count(found)}", err=True)


def _count(commands: Sequence[object]) -> str:
    return f"{len(commands)} retained command{'' if len(commands) == 1 else 's'}"


def _mqtt_settings(broker: str | None, config: Path | None) -> MqttSettings:
    """Return the settings of a bridge without a configuration."""
    if broker is None:
        return MqttSettings()
    if config is not None:
        raise click.UsageError("the broker is in the file of --config: leave out --broker")
    try:
        return MqttSettings(broker=BrokerUrl.parse(broker))
    except ValueError:
        raise click.BadParameter(
            "write a URL without a password, such as mqtt://localhost or mqtts://house@broker",
            param_hint="--broker",
        ) from None


def _chosen(
    config: Path | None, name: str | None, kind: str, default: BridgeSettings
) -> tuple[str, BridgeSettings]:
    """Return the name and the settings of the bridge to run."""
    if name is not None:
        _check_name(name)
    if config is None:
        return name or kind, default
    try:
        text = config.read_text(encoding="utf-8")
        reader = TableReader(text, config)
        content = parse_toml(text, config)
        bridges = read_bridges(reader, content)
        for table in misspelt(content):
            reader.unknown((table,), ["alias", "bridges"])
        if reader.problems:
            raise SettingsError(reader.problems)
    except (OSError, UnicodeDecodeError) as error:
        raise click.ClickException(f"can't read {config}: {error}") from None
    except SettingsError as error:
        raise click.ClickException(str(error)) from None
    found = {each: given for each, given in bridges.items() if given.type == kind}
    if name is None and len(found) == 1:
        return next(iter(found.items()))
    if name not in found:
        names = ", ".join(sorted(found)) or "none"
        raise click.UsageError(
            f"name a bridge of {config} with --name; the bridges of this type are: {names}"
        )
    return name, found[name]


def _check_name(name: str) -> None:
    if BRIDGE_NAME.fullmatch(name) is None:
        raise click.BadParameter("write a name of letters A-Z, digits and _", param_hint="--name")


def _run(server: ServerAddress, name: str, settings: BridgeSettings) -> None:
    async def work() -> None:
        async with Client(server=server, client_id=f"eshet bridge {name}") as client:
            await make_bridge(name, settings, client).run()

    _run_until_interrupted(work)


def _run_until_interrupted(work: Callable[[], Awaitable[None]]) -> None:
    logging.basicConfig(level=logging.INFO)
    for handler in logging.root.handlers:
        handler.setFormatter(_Formatter("%(asctime)s %(levelname)s %(message)s"))

    async def until_terminated() -> None:
        task = asyncio.current_task()
        assert task is not None  # noqa: S101 - this is a coroutine
        asyncio.get_running_loop().add_signal_handler(signal.SIGTERM, task.cancel)
        await work()

    try:
        run(until_terminated())
    except (KeyboardInterrupt, asyncio.CancelledError):
        click.echo("stopped", err=True)
