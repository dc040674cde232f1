"""Topics and filters of MQTT: which are valid, and which filter matches which topic."""

import functools
import re
from typing import Final

__all__ = ["check_filter", "check_topic", "matches"]

_MAX_BYTES: Final = 65_535

_MAX_LEVELS: Final = 128
"""The maximum number of levels; mosquitto allows 200, and others are appended to some topics."""

_NOT_ALLOWED: Final = re.compile(
    "[\x01-\x1f\x7f-\x9f\ufdd0-\ufdef"
    + "".join(chr(plane << 16 | last) for plane in range(17) for last in (0xFFFE, 0xFFFF))
    + "]"
)
"""Characters for which a broker may end the connection (MQTT 5.0, section 1.5.4).

Mosquitto does: one device with such a name would keep the bridge from all others.
"""


def check_topic(topic: str) -> None:
    """Check a topic to publish to.

    Raises:
        ValueError: it is not valid; the message says why.
    """
    _check_text("topic", topic)
    if "+" in topic or "#" in topic:
        raise ValueError(f"topic {topic!r}: + and # are for subscriptions only")


def check_filter(pattern: str) -> None:
    """Check a filter of topics.

    Raises:
        ValueError: it is not valid; the message says why.
    """
    _check_text("filter", pattern)
    levels = pattern.split("/")
    for index, level in enumerate(levels):
        if ("+" in level or "#" in level) and len(level) > 1:
            raise ValueError(
                f"filter {pattern!r}: + and # replace a whole level, as in lamps/+/state or lamps/#"
            )
        if level == "#" and index != len(levels) - 1:
            raise ValueError(f"filter {pattern!r}: # must be the last level, as in lamps/#")


def _check_text(kind: str, text: str) -> None:
    if not text:
        raise ValueError(f"the {kind} is empty")
    if "\0" in text:
        raise ValueError(f"{kind} {text!r} contains a null character")
    if (found := _NOT_ALLOWED.search(text)) is not None:
        character = ascii(found[0])
        raise ValueError(f"{kind} {text!r} contains the control character {character}")
    if text.count("/") >= _MAX_LEVELS:
        raise ValueError(f"the {kind} {text[:80]!r}… has more than {_MAX_LEVELS} levels")
    if text.partition("/")[0] == "$share":
        raise ValueError(f"{kind} {text!r}: shared subscriptions can't be used")
    try:
        length = len(text.encode())
    except UnicodeEncodeError:
        raise ValueError(f"{kind} {text!r} can't be encoded as UTF-8") from None
    if length > _MAX_BYTES:
        raise ValueError(f"the {kind} has {length} bytes: at most {_MAX_BYTES} are allowed")


def matches(pattern: str, topic: str) -> bool:
    """Whether a filter matches a topic.

    A filter that begins with a wildcard matches no topic that begins with `$`, such as `$SYS/…`
    (MQTT 5.0, section 4.7.2); `lamps/#` matches `lamps`, too.
    """
    if pattern == topic:
        return True
    levels = _levels(pattern)
    parts = topic.split("/")
    if topic.startswith("$") and levels[0] in ("+", "#"):
        return False
    for index, level in enumerate(levels):
        if level == "#":
            return True
        if index >= len(parts) or level not in ("+", parts[index]):
            return False
    return len(levels) == len(parts)


@functools.lru_cache(maxsize=1024)
def _levels(pattern: str) -> tuple[str, ...]:
    return tuple(pattern.split("/"))
