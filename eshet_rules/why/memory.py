"""What a running runner remembers of a path, as plain data for a message, and back."""

from collections import deque
from collections.abc import Mapping
from typing import Any, Final

import msgspec

from eshet import codec
from eshet.text import safe_repr
from eshet_rules.audit.last_records import LastRecords
from eshet_rules.audit.lines import encode_json
from eshet_rules.why.sources import RecentRecords, Record, Records

__all__ = ["inputs_of", "recall", "recent_records", "shortened"]

_PAGE: Final = 48_000
"""Maximum size of the records in one message, in bytes."""

_LONGEST: Final = 4_000
"""Size of a record above which its values are shortened, in bytes."""


def recall(last: LastRecords, path: str) -> dict[str, Any]:
    """Return the last records of a path, and of the paths from whose values its value came.

    Paths that are further away are left out if there are too many of them for one message.

    Args:
        last: the records.
        path: the path.
    """
    found: dict[str, Any] = {"inputs": {}, "outputs": {}, "skipped": {}}
    size = 0
    following, known = deque([path]), {path}
    while following and size < _PAGE:
        each = following.popleft()
        for kind, records in (("inputs", last.inputs), ("outputs", last.outputs)):
            if each in records:
                found[kind][each] = record = _plain(records[each])
                size += len(codec.pack(record))
        if each in last.skipped:
            found["skipped"][each] = dict(last.skipped[each])
        for name in inputs_of(found["outputs"].get(each, {})):
            if name not in known:
                known.add(name)
                following.append(name)
    return found


def inputs_of(output: Record) -> list[str]:
    """Return the paths from whose values the value of an output came, and that which led to it."""
    names = [*(output.get("inputs") or ()), *(output.get("unknown_inputs") or ())]
    names.append((output.get("after_input") or "").partition(" ")[2])
    return [name for name in names if name.startswith("/")]


def recent_records(recalled: Mapping[str, Any], earlier: Records) -> RecentRecords:
    """Return the records that a runner has recalled.

    Args:
        recalled: the result of `recall`.
        earlier: all others.
    """
    return RecentRecords(recalled["inputs"], recalled["outputs"], recalled["skipped"], earlier)


def _plain(record: Any) -> dict[str, Any]:
    """Return a record with values that can be sent, and are not too long."""
    line = encode_json(record)
    plain: dict[str, Any] = msgspec.json.decode(line)
    if len(line) > _LONGEST:
        for name in ("value", "result"):
            if name in plain:
                plain[name] = shortened(plain[name])
    return plain


def shortened(value: object) -> str:
    """Return the text that a runner recalls in place of a value in a long record."""
    return safe_repr(value, 200)
