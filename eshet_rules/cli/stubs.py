"""Generates a Python module with the paths of devices.

    from house import mqtt

    lamp = mqtt.z2m.Hall_lamp
    await yarp.set_value(lamp.brightness, level)

Each directory is a class and each node a constant with its path, so editors complete the names, and
type checkers report names that do not exist.
"""

import keyword
from collections.abc import Container, Iterable, Mapping
from typing import Any

from eshet_rules.cli.device_table import describe

__all__ = ["stubs_of"]

_HEAD = '''"""The paths of all devices, written by `eshet-rules devices --stubs`."""

from typing import Final as _Final
'''


def stubs_of(devices: Iterable[Mapping[str, Any]]) -> str:
    """Return the source of the module."""
    root: dict[str, Any] = {}
    for device in devices:
        directory = device["directory"]
        _put(root, f"{directory}/info", "map: name, model, vendor and other facts")
        _put(root, f"{directory}/online", "bool")
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
    taken: set[str] = set()
    for name, inner in sorted(directory.items()):
        identifier = _identifier(name, taken)
        taken.add(identifier)
        if isinstance(inner, dict):
            lines += ["", f"{indent}class {identifier}:", *_lines(inner, depth + 1)]
        else:
            path, text = inner
            # As a literal: a device may have anything in its units and choices.
            lines += [f"{indent}{identifier}: _Final = {path!r}", f"{indent}{text!r}"]
    return lines


def _identifier(name: str, taken: Container[str]) -> str:
    """Return a name as an identifier of Python that is not taken."""
    if name.startswith("__"):
        name = f"n{name}"  # in a class, Python gives such names another meaning
    if name[0].isdigit():
        name = f"_{name}"
    while keyword.iskeyword(name) or name == "_Final" or name in taken:
        name += "_"
    return name
