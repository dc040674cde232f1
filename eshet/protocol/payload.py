"""The layout of payloads: a byte for the kind of message, perhaps an id, a path, perhaps a value.

A path ends with a zero byte. `eshet.messages` packs and unpacks whole messages; code that forwards
thousands of values reads only the part that it needs, by these functions.
"""

from eshet.exceptions import ProtocolError

__all__ = ["only_path"]


def only_path(rest: bytes) -> bytes:
    """Return the path of a message in which it is the last field.

    Args:
        rest: of the payload, from the path on.

    Raises:
        ProtocolError: the path does not end with the only zero byte.
    """
    end = rest.find(b"\0")
    if end != len(rest) - 1 or not rest:
        raise ProtocolError("a message whose path does not end with its only zero byte")
    return rest[:-1]
