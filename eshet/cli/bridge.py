"""`eshet bridge`."""

import asyncio
import logging
from pathlib import Path

import click

from eshet.address import Address
from eshet.bridges.bridge import make_bridge
from eshet.bridges.settings import (
    BridgeSettings,
    BrokerUrl,
    HomeAssistantSettings,
    MqttSettings,
    NotifySettings,
    read_bridges,
)
from eshet.cli.running import run
from eshet.client import Client
from eshet.settings.problem import SettingsError
from eshet.settings.table import TableReader
from eshet.settings.toml import parse_toml

__all__ = ["bridge"]

_CONFIG = click.option(
    "--config",
    type=click.Path(exists=True, dir_okay=False, path_type=Path),
    help="A configuration file with [bridges.NAME].",
)
_NAME = click.option("--name", help="The name of the bridge. [default: the only one of the file]")


@click.group("bridge")
def bridge() -> None:
    """Show devices that speak another protocol as nodes of the server."""


@bridge.command()
@_CONFIG
@_NAME
@click.option("--broker", help="The broker's URL, such as mqtt://localhost; without --config.")
@click.pass_context
def mqtt(ctx: click.Context, config: Path | None, name: str | None, broker: str | None) -> None:
    """Show the devices of an MQTT broker, until it is interrupted.

    Without --config, all defaults apply: zigbee2mqtt, Tasmota, Shelly and Home Assistant's
    discovery. The password is in ESHET_MQTT_PASSWORD, or with the name of the bridge in capitals.
    """
    settings: BridgeSettings = MqttSettings()
    if broker is not None:
        try:
            settings = MqttSettings(broker=BrokerUrl.parse(broker))
        except ValueError:
            raise click.BadParameter(
                "write a URL without a password, such as mqtt://localhost or mqtts://house@broker"
            ) from None
    _run(ctx.obj, *_chosen(config, name, "mqtt", settings))


@bridge.command()
@_CONFIG
@_NAME
@click.option("--url", default=HomeAssistantSettings.url, show_default=True, help="Its address.")
@click.pass_context
def homeassistant(ctx: click.Context, config: Path | None, name: str | None, url: str) -> None:
    """Show the entities of a Home Assistant, until it is interrupted.

    The long-lived access token is in ESHET_HOMEASSISTANT_TOKEN, or with the name of the bridge in
    capitals.
    """
    settings = HomeAssistantSettings(url=url)
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


def _chosen(
    config: Path | None, name: str | None, kind: str, default: BridgeSettings
) -> tuple[str, BridgeSettings]:
    """Return the name and the settings of the bridge to run."""
    if config is None:
        return name or kind, default
    try:
        text = config.read_text()
        reader = TableReader(text, config)
        bridges = read_bridges(reader, parse_toml(text, config))
        if reader.problems:
            raise SettingsError(reader.problems)
    except SettingsError as error:
        raise click.ClickException(str(error)) from None
    found = {each: given for each, given in bridges.items() if given.type == kind}
    if name is None and len(found) == 1:
        return next(iter(found.items()))
    if name not in found:
        names = ", ".join(sorted(found)) or "none"
        raise click.UsageError(f"name a bridge of {config} with --name; of this type are: {names}")
    return name, found[name]


def _run(server: Address, name: str, settings: BridgeSettings) -> None:
    logging.basicConfig(format="%(asctime)s %(levelname)s %(message)s", level=logging.INFO)

    async def work() -> None:
        async with Client(server=str(server), client_id=f"eshet bridge {name}") as client:
            await make_bridge(name, settings, client).run()

    try:
        run(work())
    except (KeyboardInterrupt, asyncio.CancelledError):
        click.echo("stopped", err=True)
