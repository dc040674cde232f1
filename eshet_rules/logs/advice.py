"""What to do about errors whose own words do not say it.

Python says that a 'coroutine' can't be compared, a server that a `path_already_exists`: neither
says what to write. Each entry here is a kind of error that new rules have, and its remedy.
"""

import re
from typing import Final

from eshet.exceptions import ErrorValue, ReactiveError, UnsupportedValue
from eshet.text import safe_str
from eshet.user_errors import plain_error

__all__ = ["advice_on", "with_advice"]

_AWAIT: Final = (
    "an `await` is missing: write it before the call that made the coroutine, as in "
    '`lux = await yarp.state_observe("/lux")`'
)
_ASYNC_VALUE: Final = (
    "a coroutine can't be sent: write `await` before the call that made it; a function under "
    "`yarp.fn` must be a plain `def`, since `fn` can't wait"
)
_PLAIN: Final = "write `value.value` to send what it holds now, or `yarp.set_value` to follow it"
_UNKNOWN: Final = (
    "the value is not known (yet): compare with `eshet.Unknown` first, or put "
    "`yarp.default(value, ...)` in its place"
)
_BRACKETS: Final = (
    "`&` and `|` bind tighter than comparisons: write brackets, as in `door & (lux < 40)`"
)

_OF_PYTHON: Final[tuple[tuple[type[BaseException], str, str], ...]] = (
    (UnsupportedValue, r"'coroutine' object", _ASYNC_VALUE),
    (UnsupportedValue, r"'(Value|Event)' object", _PLAIN),
    (TypeError, r"'?coroutine'?", _AWAIT),
    (AttributeError, r"'coroutine' object", _AWAIT),
    (TypeError, r"'(_?Unknown\w*|_?NoValue\w*)'", _UNKNOWN),
    (AttributeError, r"'(_?Unknown\w*|_?NoValue\w*)' object", _UNKNOWN),
    (
        TypeError,
        r"operand type\(s\) for [&|]: '(bool|float|int)' and '(bool|float|int)'",
        _BRACKETS,
    ),
)
"""A kind of error, what its text contains, and the advice."""

_OTHER_KIND: Final = "use what fits it: `yarp.state_observe`, `yarp.event_listen` or `action_call`"
_NOT_THERE: Final = (
    "nobody provides this path now: check how it is spelt, and that its device or rule runs"
)

_OF_SERVERS: Final[tuple[tuple[str, str, str], ...]] = (
    (
        "path_already_exists",
        r"(observe|listen)",
        f"what is at this path is of another kind: {_OTHER_KIND}",
    ),
    (
        "path_already_exists",
        r"",
        "somebody provides this path already, another rule or a device: `eshet-rules list` shows "
        "which rule writes it; let only one of them register it, or choose another path",
    ),
    (
        "not_a_directory",
        r"",
        "a part of this path is a state, event, action or property itself, so nothing can be "
        "below it: choose another path",
    ),
    (
        "path_is_directory",
        r"",
        "there are other paths below this one, so it can't be a state, event or action itself: "
        "choose another path",
    ),
    (
        "path_is_wrong_type",
        r"",
        f"what is at this path is of another kind: {_OTHER_KIND}, or `set_value` for a state",
    ),
    (
        "not_implemented",
        r"set ",
        "this state can't be set, only observed: whoever provides it must register it with "
        "`settable=True` or a `set_callback`",
    ),
    ("not_implemented", r"", "whoever provides this path does not offer that"),
    ("path_not_found", r"", _NOT_THERE),
    ("no_owner", r"", _NOT_THERE),
    ("client_exited", r"", "whoever provides this path went away before it answered"),
    ("invalid_path", r"", "a path is made of /, letters, digits and _, as in /hall/light"),
)
"""The error of a server, what begins the request, and the advice."""


def advice_on(error: BaseException) -> str | None:
    """Return what to do about an error; None if its own words say it, or nobody knows."""
    error = plain_error(error)
    if isinstance(error, ErrorValue):
        fitting = (
            advice
            for word, request, advice in _OF_SERVERS
            if error.value == word and re.match(request, error.request)
        )
        return next(fitting, None)
    if isinstance(error, ReactiveError):
        return None
    text = safe_str(error)
    if " write `" in text:  # our own errors say it
        return None
    fitting = (
        advice
        for kind, pattern, advice in _OF_PYTHON
        if isinstance(error, kind) and re.search(pattern, text)
    )
    return next(fitting, None)


def with_advice(words: str, error: BaseException) -> str:
    """Return the words of an error, and what to do about it."""
    advice = advice_on(error)
    return words if advice is None else f"{words} ({advice})"
