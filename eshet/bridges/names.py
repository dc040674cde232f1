"""The paths of the nodes of devices: device names as path segments, and aliases."""

import logging
import re
import unicodedata
from collections.abc import Container, Mapping
from typing import Final, NamedTuple

__all__ = ["Alias", "Aliases", "DistinctPaths", "segment", "segments"]

_log: Final = logging.getLogger("eshet.bridges")

_MAX_LENGTH: Final = 64
"""The maximum length of a segment, in characters; a device may have any name."""
_MAX_SEGMENTS: Final = 8
"""The maximum number of segments of a name."""
_MAX_MARKS: Final = 8
"""The maximum number of `_` that are appended to a name; beyond it, a number is appended."""

_NOT_ALLOWED: Final = re.compile(r"\W+", re.ASCII)
_SPELLED: Final = str.maketrans({"ß": "ss", "ø": "o", "Ø": "O", "æ": "ae", "Æ": "Ae", "ł": "l"})
"""Letters that do not decompose into an ASCII letter and a mark."""


def segment(name: str) -> str:
    """Return a name as one segment of a path, which has only letters A-Z, digits and `_`.

    `"Küche, links"` gives `"Kuche_links"`. The result is empty if nothing is left.
    """
    decomposed = unicodedata.normalize("NFKD", name.translate(_SPELLED))
    letters = "".join(each for each in decomposed if not unicodedata.combining(each))
    return _NOT_ALLOWED.sub("_", letters).strip("_")[:_MAX_LENGTH]


def segments(name: str) -> str:
    """Return a name as a relative path; a slash in it separates segments."""
    return "/".join([each for each in map(segment, name.split("/")) if each][:_MAX_SEGMENTS])


class Alias(NamedTuple):
    """A path that the configuration gives to a device or a property.

    Args:
        path: the path.
        is_negated: whether true and false of the property are exchanged.
    """

    path: str
    is_negated: bool = False


class DistinctPaths:
    """Assigns a path to each node that differs from all other paths and from their directories."""

    def __init__(self) -> None:
        self._nodes: set[str] = set()
        self._directories: set[str] = set()
        self._numbers: dict[str, int] = {}  # the last appended number, by path

    def take(self, path: str) -> str:
        """Return the path, with `_` appended to each name that is taken.

        A name that is taken very often gets a number: names in Chinese or Cyrillic letters all
        become the same path.
        """
        *parents, last = path.split("/")
        directory = ""
        for parent in filter(None, parents):
            directory = self._free(f"{directory}/{parent}", self._nodes)
            self._directories.add(directory)
        node = self._free(f"{directory}/{last}", self._nodes, self._directories)
        self._nodes.add(node)
        return node

    def _free(self, path: str, *taken: Container[str]) -> str:
        """Return the path, changed until it is in none of the sets of taken ones."""

        def is_taken(changed: str) -> bool:
            return any(changed in each for each in taken)

        for marks in range(_MAX_MARKS + 1):
            if not is_taken(marked := path + "_" * marks):
                return marked
        while is_taken(numbered := f"{path}_{self._numbers.get(path, _MAX_MARKS) + 1}"):
            self._numbers[path] = self._numbers.get(path, _MAX_MARKS) + 1
        return numbered


class Aliases:
    """The paths that the configuration gives to devices and properties of one bridge.

    Args:
        aliases: by target: `"DEVICE"` or `"DEVICE/NAME"`, where DEVICE is the name or id of a
            device, and NAME is the name of a property, event or action.
    """

    def __init__(self, aliases: Mapping[str, Alias]) -> None:
        self._aliases: Final = dict(aliases)
        self._used: set[str] = set()
        self._logged: set[str] = set()

    @property
    def unused(self) -> list[str]:
        """The targets of aliases without a known device or property, as they were written."""
        return [target for target in self._aliases if target not in self._used]

    def below(self, prefix: str) -> list[str]:
        """Return the rest of each target that begins with this text, such as `"lamp/attr/"`."""
        return [each.removeprefix(prefix) for each in self._aliases if each.startswith(prefix)]

    def find(self, *targets: str) -> Alias | None:
        """Return the alias of the first of these targets that has one.

        Args:
            targets: the names of one device or node; an alias of another of them is logged once.
        """
        found = [each for each in targets if each in self._aliases]
        if not found:
            return None
        self._used.update(found)
        first, *others = found
        for other in others:
            path = self._aliases[other].path
            if other != first and path not in self._logged:
                self._logged.add(path)
                _log.warning(
                    "%s has no effect: %r is %r, which is %s already; keep one of both aliases",
                    path,
                    other,
                    first,
                    self._aliases[first].path,
                )
        return self._aliases[first]

    def directory(self, *targets: str) -> str | None:
        """Return the path for the device with one of these names; None without an alias.

        An alias with `not` is logged, once: a device itself is neither true nor false. That can't
        be known before, as names of devices may have slashes.
        """
        alias = self.find(*targets)
        if alias is None:
            return None
        if alias.is_negated and alias.path not in self._logged:
            self._logged.add(alias.path)
            _log.warning(
                '%s: "not" has no effect for a whole device: write the name of a property as well',
                alias.path,
            )
        return alias.path
