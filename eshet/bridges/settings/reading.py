"""Reads the tables of bridges, and collects all mistakes in them."""

import difflib
import re
from collections.abc import Iterable, Mapping
from typing import Any, Final

from eshet.bridges.names import Alias
from eshet.bridges.settings.tables import TYPES, BridgeSettings, MqttSettings, PublishedPath
from eshet.bridges.settings.values import TYPE
from eshet.paths import is_path
from eshet.settings.kinds import show
from eshet.settings.table import Table, TableReader, kinds_of

__all__ = ["BRIDGE_NAME", "misspelt", "read_bridges"]

BRIDGE_NAME: Final = re.compile(r"[A-Za-z0-9_]+")
"""The names that bridges may have, as parts of paths."""


def read_bridges(reader: TableReader, content: Table) -> dict[str, BridgeSettings]:
    """Return the settings of all bridges in a file, by name.

    Args:
        reader: collects the mistakes.
        content: of the file.
    """
    tables = reader.table(("bridges",), content.get("bridges", {}))
    aliases = _read_aliases(reader, content, tables)
    bridges: dict[str, BridgeSettings] = {}
    for name, table in tables.items():
        keys = ("bridges", name)
        if BRIDGE_NAME.fullmatch(name) is None:
            reader.problem(keys, "write a name of letters A-Z, digits and _")
            continue
        given = dict(reader.table(keys, table))
        secrets = ("password", "token", *(["url"] if given.get("type") == "notify" else []))
        for secret in secrets:
            if given.pop(secret, None) is not None:
                reader.problem(
                    (*keys, secret),
                    f"a {secret} in this file could be read by everybody who may read the rules; "
                    f"write it in another file, {secret}_file, or in the environment variable "
                    f"ESHET_{name.upper()}_{secret.upper()}",
                )
        type_ = given.get("type")
        of = TYPES.get(type_) if isinstance(type_, str) else None
        if of is None:
            found = f"found {show(given['type'])}" if "type" in given else "there is no type"
            reader.problem((*keys, "type"), f"{found}; write type = {TYPE.allowed}")
            continue
        kinds = kinds_of(of)
        del kinds["aliases"]
        more: dict[str, Any] = {"aliases": aliases.get(name, {})}
        if "publish" in kinds:
            del kinds["publish"]
            more["publish"] = {
                glob: _read_published(reader, (*keys, "publish", glob), how)
                for glob, how in reader.table((*keys, "publish"), given.pop("publish", {})).items()
            }
        others = ["publish"] if "publish" in more else []
        bridges[name] = of(**reader.values(kinds, keys, given, others), **more)
    _check_client_ids(reader, bridges)
    return bridges


def _read_published(reader: TableReader, keys: tuple[str, ...], how: Any) -> PublishedPath:
    published = reader.settings(PublishedPath, keys, how)
    if not keys[-1].startswith("/"):
        reader.problem(keys, 'no path matches: write a glob of paths, such as "/house/*/left_open"')
    least, most = published.min, published.max
    if least is not None and most is not None and least >= most:
        problem = f"found {show(least)}, but max is {show(most)}: write a smaller number than that"
        reader.problem((*keys, "min"), problem)
    return published


def misspelt(content: Table) -> list[str]:
    """Return the names of the tables of a file that were probably meant to be `bridges`."""
    others = content.keys() - {"bridges", "alias"}
    return difflib.get_close_matches("bridges", sorted(others))


def _check_client_ids(reader: TableReader, bridges: Mapping[str, BridgeSettings]) -> None:
    """Add a problem for each bridge with the client id of another one at the same broker."""
    found: dict[tuple[str, int, str], str] = {}
    for name, given in bridges.items():
        if isinstance(given, MqttSettings) and given.client_id is not None:
            key = given.broker.host, given.broker.port, given.client_id
            other = found.setdefault(key, name)
            if other != name:
                reader.problem(
                    ("bridges", name, "client_id"),
                    f"found {show(given.client_id)}, which is the client id of the bridge {other}; "
                    "write another one, as a broker allows only one client with an id",
                )


def _read_aliases(
    reader: TableReader, content: Table, bridges: Table
) -> dict[str, dict[str, Alias]]:
    """Return the aliases of each bridge."""
    found: dict[str, dict[str, Alias]] = {}
    # The misspelt table is one mistake; aliases of its bridges are not reported.
    misplaced = {name for table in misspelt(content) for name in _names(content[table])}
    for path, target in reader.table(("alias",), content.get("alias", {})).items():
        keys = ("alias", path)
        if not is_path(path):
            reader.problem(keys, 'write a path before the =, such as "/house/hall/lamp"')
        elif not isinstance(target, str) or not target.partition("/")[2]:
            reader.problem(
                keys,
                f"found {show(target)}; write the bridge and the device, with a property or "
                'without, such as "z2m/Hall lamp" or "z2m/Hall lamp/brightness"',
            )
        else:
            is_negated = target.startswith("not ")
            bridge, _, device = target.removeprefix("not ").partition("/")
            others = found.setdefault(bridge, {})
            if is_negated and "/" not in device:
                reader.problem(
                    keys,
                    f'found {show(target)}; "not" exchanges true and false of a property: write '
                    f"its name as well, such as {show(f'{target}/state')}",
                )
            elif bridge in bridges and device in others:
                reader.problem(
                    keys, f"{show(target)} is {others[device].path} already; keep one of both"
                )
            elif bridge in bridges:
                others[device] = Alias(path, is_negated)
            elif bridge not in misplaced:
                names = ", ".join(sorted(bridges)) or "none"
                reader.problem(
                    keys, f"there is no bridge {bridge!r}; the bridges of this file are: {names}"
                )
    return found


def _names(table: object) -> Iterable[str]:
    return table if isinstance(table, Mapping) else ()
