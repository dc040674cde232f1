"""`Unknown`: the value of a state that is not known.

It is not a value and not "none": a state is unknown if it has no owner, if its owner declared it
unknown, and while the connection is lost.
"""

import enum
from typing import Final


class UnknownType(enum.Enum):
    """The type of `Unknown`, for annotations: `def show(lux: float | UnknownType)`.

    An enumeration with one member, so that type checkers narrow `value is Unknown`, and there is
    only one object in a process, also after copying or unpickling.
    """

    Unknown = "Unknown"

    def __bool__(self) -> bool:
        return False

    def __repr__(self) -> str:
        return "Unknown"

    def __str__(self) -> str:
        return "Unknown"


Unknown: Final = UnknownType.Unknown
