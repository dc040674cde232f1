"""What code that uses a client is annotated with.

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
"""What a message can carry. Lists and dicts hold the same again; a tuple arrives as a list."""

ActionCallback: TypeAlias = Callable[..., Any]
"""Answers calls: given the arguments, it returns the result, or an awaitable of it."""

GetCallback: TypeAlias = Callable[[], Any]
"""Answers gets of a property: it returns the value, or an awaitable of it."""

ValueCallback: TypeAlias = Callable[[Any], Any]
"""Is told a payload, or a value, which of an observed state may be `Unknown`."""
