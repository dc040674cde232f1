"""The table of devices: a line for each device, and its nodes below."""

from collections.abc import Iterable, Iterator, Mapping
from datetime import datetime
from typing import Any, Final

import click

from eshet.clock import wall_now
from eshet_rules.logs import escape

__all__ = ["device_table"]

_HEAD: Final = ("DEVICE", "KIND", "MODEL", "ONLINE", "SEEN", "BATTERY")
_ONLINE: Final = {True: "yes", False: "no", None: "?"}


def device_table(devices: Iterable[Mapping[str, Any]]) -> str:
    """Return the table, with colours; `click.echo` removes them where necessary."""
    devices = list(devices)
    rows = [_HEAD, *map(_row, devices)]
    widths = [max(map(len, column)) for column in zip(*rows, strict=True)]
    lines = [click.style(_line(rows[0], widths), bold=True)]
    for device, row in zip(devices, rows[1:], strict=True):
        lines.append(_line(row, widths))
        lines += [click.style(f"    {escape(text)}", dim=True) for text in _nodes(device)]
    return "\n".join(lines)


def _row(device: Mapping[str, Any]) -> tuple[str, ...]:
    battery = device["battery"]
    texts = (
        device["directory"],
        device["kind"] or "",
        device["model"] or "",
        _ONLINE.get(device["online"], "?"),
        _seen(device["seen"]),
        "" if battery is None else f"{battery:g} %" if isinstance(battery, float) else str(battery),
    )
    return tuple(escape(str(text)) for text in texts)


def _line(row: Iterable[str], widths: Iterable[int]) -> str:
    return "  ".join(cell.ljust(width) for cell, width in zip(row, widths, strict=True)).rstrip()


def _nodes(device: Mapping[str, Any]) -> Iterator[str]:
    directory = f"{device['directory']}/"
    for path, kind in device["states"].items():
        mark = " =" if kind.get("settable") else ""
        yield f"{path.removeprefix(directory)}{mark}  {describe(kind)}"
    for path in device["events"]:
        yield f"{path.removeprefix(directory)} !"
    for path in device["actions"]:
        yield f"{path.removeprefix(directory)}()"


def describe(kind: Mapping[str, Any]) -> str:
    """Return the type of a state in words, such as `float from 0 to 1`."""
    text = str(kind.get("type", ""))
    if "choices" in kind:
        text = " | ".join(map(repr, kind["choices"]))
    if "min" in kind or "max" in kind:
        text += f" from {kind.get('min', '-∞')} to {kind.get('max', '∞')}"
    if "step" in kind:
        text += f" by {kind['step']}"
    if "unit" in kind:
        text += f" {kind['unit']}"
    if "fields" in kind:
        text += f" of {', '.join(kind['fields'])}"
    return text


def _seen(seconds: float | None) -> str:
    if seconds is None:
        return "never"
    then = datetime.fromtimestamp(seconds).astimezone()
    today = then.date() == wall_now().date()
    return then.strftime("%H:%M:%S" if today else "%Y-%m-%d %H:%M")
