"""`Unknown`: what a state is when nobody can say what it is.

It is not a value and not "none": a state without an owner, an owner that said so, and every state
while the connection is away are unknown.
"""

import enum
from typing import Final


class UnknownType(enum.Enum):
    """The type of `Unknown`, for annotations: `def show(lux: float | UnknownType)`.

    An enumeration with one member, so that type checkers narrow `value is Unknown`, and there is
    one object in a process whatever copies or unpickles it.
    """

    Unknown = "Unknown"

    def __bool__(self) -> bool:
        return False

    def __repr__(self) -> str:
        return "Unknown"

    def __str__(self) -> str:
        return "Unknown"


Unknown: Final = UnknownType.Unknown
