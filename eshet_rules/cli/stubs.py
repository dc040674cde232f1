"""Generates a Python module with the paths of devices.

    from house import mqtt

    lamp = mqtt.z2m.Hall_lamp
    await yarp.set_value(lamp.brightness, level)

Each directory is a class and each node a constant with its path, so editors complete the names, and
type checkers report those that do not exist.
"""

import keyword
from collections.abc import Iterable, Mapping
from typing import Any

from eshet_rules.cli.device_table import describe

__all__ = ["stubs_of"]

_HEAD = '''"""The paths of all devices, written by `eshet-rules devices --stubs`."""

from typing import Final
'''


def stubs_of(devices: Iterable[Mapping[str, Any]]) -> str:
    """Return the source of the module."""
    root: dict[str, Any] = {}
    for device in devices:
        for path, kind in device["states"].items():
            settable = "; can be set" if kind.get("settable") else ""
            _put(root, path, f"{describe(kind)}{settable}")
        for path in device["events"]:
            _put(root, path, "event")
        for path in device["actions"]:
            _put(root, path, "action")
    return "\n".join([_HEAD, *_lines(root, 0)]).rstrip() + "\n"


def _put(root: dict[str, Any], path: str, text: str) -> None:
    directory = root
    *parents, name = path.strip("/").split("/")
    for parent in parents:
        inner = directory.setdefault(parent, {})
        if not isinstance(inner, dict):  # a node that is a directory as well
            inner = directory.setdefault(f"{parent}_", {})
        directory = inner
    taken = isinstance(directory.get(name), dict)
    directory[f"{name}_" if taken else name] = (path, text)


def _lines(directory: Mapping[str, Any], depth: int) -> list[str]:
    indent = "    " * depth
    lines: list[str] = []
    for name, inner in sorted(directory.items()):
        if isinstance(inner, dict):
            lines += ["", f"{indent}class {_identifier(name)}:", *_lines(inner, depth + 1)]
        else:
            path, text = inner
            lines += [f'{indent}{_identifier(name)}: Final = "{path}"', f'{indent}"""{text}"""']
    return lines


def _identifier(name: str) -> str:
    """Return a name as an identifier of Python."""
    if name[0].isdigit():
        return f"_{name}"
    return f"{name}_" if keyword.iskeyword(name) else name
