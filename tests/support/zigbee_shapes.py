"""Writes the list of shapes of values that Zigbee devices have, which the tests read.

    .venv/bin/python -m tests.support.zigbee_shapes [FOLDER]

FOLDER has the npm package zigbee-herdsman-converters in it; without one, npm installs it in a
temporary folder. This is the only part of the project that needs node and npm. It also reads the
values of all devices of the package, and prints how many there are, and which can't be read.

A shape has the keys and types of a description, but no names and texts except those with a meaning.
"""

import json
import subprocess
import sys
import tempfile
from collections import Counter
from collections.abc import Iterable, Iterator
from pathlib import Path
from typing import Any, Final

from eshet.bridges.mqtt.exposes import read_exposes

OUTPUT: Final = Path(__file__).parents[1] / "eshet/bridges/mqtt/exposes.json"

_PACKAGE: Final = "zigbee-herdsman-converters"

_PRINT_EXPOSES: Final = """
const converters = require('zigbee-herdsman-converters');
const fs = require('fs'), path = require('path');
const folder = path.join(process.cwd(), 'node_modules/zigbee-herdsman-converters/dist/devices');
const bases = fs.readdirSync(folder)
  .filter((name) => name.endsWith('.js') && name !== 'index.js')
  .flatMap((name) => require(path.join(folder, name)).definitions || []);
const all = [];
for (const base of bases) {
  let exposes = converters.prepareDefinition(base).exposes;
  if (typeof exposes === 'function') exposes = exposes({isDummyDevice: true}, {});
  all.push(exposes);
}
fs.writeSync(1, JSON.stringify(all));
"""

_READ: Final = frozenset(
    {
        "access",
        "features",
        "item_type",
        "name",
        "property",
        "type",
        "unit",
        "value_max",
        "value_min",
        "value_off",
        "value_on",
        "value_step",
        "values",
    }
)
"""The keys of descriptions that say what values there are."""

_MEANINGFUL: Final = frozenset(
    {"action", "brightness", "color", "color_hs", "color_temp", "color_temp_startup", "color_xy"}
)
"""Names by which a value is read in another way."""


def exposes_in(folder: Path) -> list[Any]:
    """Return the descriptions of the values of all devices of the package."""
    command = ["node", "-e", _PRINT_EXPOSES]
    printed = subprocess.run(command, cwd=folder, check=True, capture_output=True)  # noqa: S603
    return json.loads(printed.stdout)


def shapes_of(feature: dict[str, Any]) -> Iterator[dict[str, Any]]:
    """Yield the shape of a feature; of one that groups others, such as a light, one for each."""
    shape = shape_of(feature)
    if "property" in shape:
        yield shape
    else:
        for each in shape["features"]:
            yield {**shape, "features": [{**each, **_renamed(each)}]}


def _renamed(feature: dict[str, Any]) -> dict[str, str]:
    """Return the name of a feature that is the only one."""
    return {key: "value" for key in ("name", "property") if feature[key] not in _MEANINGFUL}


def shape_of(feature: dict[str, Any], number: int = 0) -> dict[str, Any]:
    """Return what a feature has in common with others that are read alike."""
    shape: dict[str, Any] = {}
    for key in sorted(feature):
        value = feature[key]
        if key not in _READ:
            continue
        if key in ("name", "property"):
            shape[key] = value if value in _MEANINGFUL else f"value{number or ''}"
        elif key == "unit":
            shape[key] = "W"
        elif key == "values":
            shape[key] = list({type(each): each for each in _plain(value)}.values())
        elif key in ("value_max", "value_min", "value_step"):
            shape[key] = _limit(key, value)
        elif key == "features":
            shape[key] = _features(value)
        elif key == "item_type":
            shape[key] = shape_of(value) if isinstance(value, dict) else "text"
        elif key.startswith("value_") and isinstance(value, str):
            shape[key] = key.removeprefix("value_").upper()
        else:
            shape[key] = value
    return shape


def _plain(values: Iterable[Any]) -> Iterator[Any]:
    """Yield texts as one text, and numbers as they are."""
    for each in values:
        yield "choice" if isinstance(each, str) else each


def _limit(key: str, value: Any) -> Any:
    if key == "value_step":
        return 1 if isinstance(value, int) else 0.5
    if key == "value_min":
        return min(value, 0) and -10
    return 254 if isinstance(value, int) else 99.5


def _features(features: list[dict[str, Any]]) -> list[dict[str, Any]]:
    """Return the different shapes of features, each with a name of its own."""
    distinct = {json.dumps(shape_of(each), sort_keys=True): each for each in features}
    return [shape_of(each, number) for number, each in enumerate(distinct.values(), 1)]


def main() -> None:
    """Write the list of shapes."""
    with tempfile.TemporaryDirectory() as temporary:
        folder = Path(sys.argv[1] if len(sys.argv) > 1 else temporary)
        if not (folder / "node_modules" / _PACKAGE).is_dir():
            subprocess.run(["npm", "install", "--no-fund", _PACKAGE], cwd=folder, check=True)  # noqa: S603, S607
        devices = exposes_in(folder)
        version = json.loads((folder / "node_modules" / _PACKAGE / "package.json").read_text())
    values, unread = 0, Counter[str]()
    shapes: dict[str, dict[str, Any]] = {}
    for exposes in devices:
        read, not_read = read_exposes(exposes)
        values += len(read)
        unread.update(not_read)
        for each in exposes:
            for shape in shapes_of(each):
                shapes[json.dumps(shape, sort_keys=True)] = shape
    lines = ",\n".join(sorted(shapes))
    OUTPUT.write_text(
        f'{{"made_from": "{_PACKAGE} {version["version"]}", "shapes": [\n{lines}\n]}}\n'
    )
    print(f"{len(devices)} devices, {values} values, {len(shapes)} shapes; not read: {unread}")


if __name__ == "__main__":
    main()
