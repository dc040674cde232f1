"""Type aliases for annotating code that uses a client.

from eshet.types import UnknownType, Value

def on_lux(lux: Value | UnknownType) -> None: ...
"""

from collections.abc import Callable
from typing import Any, TypeAlias

from eshet.unknown import Unknown, UnknownType

__all__ = ["ActionCallback", "GetCallback", "Unknown", "UnknownType", "Value", "ValueCallback"]

Value: TypeAlias = (
    bool | int | float | str | bytes | list[Any] | tuple[Any, ...] | dict[Any, Any] | None
)
"""The values that a message can carry. Lists and dicts contain values; tuples arrive as lists."""

ActionCallback: TypeAlias = Callable[..., object]
"""Called with the arguments of a call; returns the result, or an awaitable of it."""

GetCallback: TypeAlias = Callable[[], object]
"""Called for a get of a property; returns the value, or an awaitable of it."""

ValueCallback: TypeAlias = Callable[[Any], object]
"""Called with a payload, or a value; the value of an observed state may be `Unknown`."""
