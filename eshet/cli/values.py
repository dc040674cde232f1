"""Argument types and output formats of the commands: paths, addresses, and values as JSON."""

import json
from typing import Any

import click
from click.shell_completion import CompletionItem

from eshet import paths
from eshet.address import Address
from eshet.exceptions import InvalidPath
from eshet.nats.address import NatsAddress
from eshet.protocol import DEFAULT_PORT
from eshet.server_address import ServerAddress, parse_server_address
from eshet.text import shorten
from eshet.unknown import Unknown

__all__ = ["AddressType", "JsonType", "NatsType", "PathType", "ServerType", "from_json", "to_json"]


class PathType(click.ParamType[str]):
    """An absolute path of a node; with `directory`, also of a directory.

    Args:
        *kinds: the kinds of nodes that the shell completes; see `paths_below`.
        directory: whether the path may be that of a directory.
    """

    name = "path"

    def __init__(self, *kinds: str, directory: bool = False) -> None:
        self._kinds = kinds
        self._directory = directory

    def convert(self, value: Any, param: click.Parameter | None, ctx: click.Context | None) -> str:
        """See `click.ParamType`."""
        try:
            if self._directory:
                return paths.check_base(value) or "/"
            return paths.resolve("", value)
        except InvalidPath as error:
            self.fail(str(error), param, ctx)

    def shell_complete(
        self, ctx: click.Context, param: click.Parameter, incomplete: str
    ) -> list[CompletionItem]:
        """See `click.ParamType`."""
        from eshet.cli.completion import paths_of

        server = ctx.find_root().params.get("server")
        if not isinstance(server, ServerAddress):
            return []
        return [CompletionItem(path) for path in paths_of(server, incomplete, self._kinds)]


class JsonType(click.ParamType[Any]):
    """A value, written as JSON."""

    name = "json"

    def convert(self, value: Any, param: click.Parameter | None, ctx: click.Context | None) -> Any:
        """See `click.ParamType`."""
        try:
            return from_json(value)
        except ValueError as error:
            self.fail(str(error), param, ctx)


class AddressType(click.ParamType[Address]):
    """A host and a port; see `Address.parse` for the arguments."""

    name = "host:port"

    def __init__(self, lowest_port: int = 1, default_port: int = DEFAULT_PORT) -> None:
        self._lowest_port = lowest_port
        self._default_port = default_port

    def convert(
        self, value: Any, param: click.Parameter | None, ctx: click.Context | None
    ) -> Address:
        """See `click.ParamType`."""
        try:
            return Address.parse(value, self._lowest_port, self._default_port)
        except ValueError as error:
            self.fail(str(error), param, ctx)


class ServerType(click.ParamType[ServerAddress]):
    """The address of a server; see `parse_server_address`."""

    name = "address"

    def convert(
        self, value: Any, param: click.Parameter | None, ctx: click.Context | None
    ) -> ServerAddress:
        """See `click.ParamType`."""
        try:
            return parse_server_address(value)
        except ValueError as error:
            self.fail(str(error), param, ctx)


class NatsType(click.ParamType[NatsAddress]):
    """The URL of NATS servers; see `NatsAddress.parse`."""

    name = "url"

    def convert(
        self, value: Any, param: click.Parameter | None, ctx: click.Context | None
    ) -> NatsAddress:
        """See `click.ParamType`."""
        try:
            return NatsAddress.parse(value)
        except ValueError as error:
            self.fail(str(error), param, ctx)


def from_json(text: str) -> Any:
    """Return the value of a JSON text.

    Raises:
        ValueError: it is not JSON; the message says what to write.
    """
    try:
        return json.loads(text)
    except ValueError as error:
        raise ValueError(
            f"{text!r} is not JSON ({error}); text has double quotes inside the shell's, "
            f"such as '\"on\"'"
        ) from None
    except RecursionError:
        raise ValueError(
            f"{shorten(text, 40)!r} is nested too deeply; nest lists and maps less deep"
        ) from None


def to_json(value: object) -> str:
    """Return a value as one line of JSON that can't control a terminal."""
    if value is Unknown:
        return "unknown"
    text = json.dumps(_jsonable(value), ensure_ascii=False)
    return "".join(c if c.isprintable() else json.dumps(c)[1:-1] for c in text)


def _jsonable(value: object) -> object:
    """Convert values that JSON does not have: bytes to hexadecimal text, map keys to text."""
    match value:
        case bytes():
            return value.hex()
        case list() | tuple():
            return [_jsonable(item) for item in value]
        case dict():
            return {_key(key): _jsonable(item) for key, item in value.items()}
        case _:
            return value


def _key(key: object) -> str:
    return key if isinstance(key, str) else json.dumps(_jsonable(key))
