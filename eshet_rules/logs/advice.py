"""Advice on errors that do not name a remedy themselves.

Python reports that a 'coroutine' can't be compared, a server reports `path_already_exists`: neither
says what to write instead. Each entry here is a common kind of error in new rules, and its remedy.
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
_PLAIN: Final = "write `value.value` to send its present value, or `yarp.set_value` to follow it"
_UNKNOWN: Final = (
    "the value is not known (yet): compare with `eshet.Unknown` first, or replace it by "
    "`yarp.default(value, ...)`"
)
_BRACKETS: Final = (
    "`&` and `|` bind tighter than comparisons: use parentheses, as in `door & (lux < 40)`"
)

_EVENT_AND_VALUE: Final = (
    "for the emissions of an Event while a Value is true, write `yarp.when(event, value)`"
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
    (TypeError, r"operand type\(s\) for &: '\w+' and 'bool'", _EVENT_AND_VALUE),
    (TypeError, r"operand type\(s\) for &: 'bool' and '\w+'", _EVENT_AND_VALUE),
)
"""The class of an error, a pattern in its text, and the advice."""

_OTHER_KIND: Final = (
    "the node at this path is of another kind: use the function for that kind, "
    "`yarp.state_observe`, `yarp.event_listen` or `action_call`"
)
_NOT_THERE: Final = (
    "no client provides this path now: check its spelling, and that its device or rule is running"
)

_OF_SERVERS: Final[tuple[tuple[str, str, str], ...]] = (
    (
        "path_already_exists",
        r"(observe|listen)",
        _OTHER_KIND,
    ),
    (
        "path_already_exists",
        r"",
        "another rule or a device provides this path already: `eshet-rules list` shows which rule "
        "writes it; register it only once, or choose another path",
    ),
    (
        "not_a_directory",
        r"",
        "a parent of this path is a state, event, action or property, so nothing can be below it: "
        "choose another path",
    ),
    (
        "path_is_directory",
        r"",
        "there are other paths below this one, so it can't be a state, event or action: choose "
        "another path",
    ),
    (
        "path_is_wrong_type",
        r"",
        f"{_OTHER_KIND}, or `set_value` for a state",
    ),
    (
        "not_implemented",
        r"set ",
        "this state can't be set, only observed: its owner must register it with `settable=True` "
        "or a `set_callback`",
    ),
    ("not_implemented", r"", "the owner of this path does not support this request"),
    ("path_not_found", r"", _NOT_THERE),
    ("no_owner", r"", _NOT_THERE),
    ("client_exited", r"", "the owner of this path disconnected before it answered"),
    ("invalid_path", r"", "a path consists of /, letters, digits and _, as in /hall/light"),
)
"""The error of a server, a pattern for the start of the request, and the advice."""


def advice_on(error: BaseException) -> str | None:
    """Return advice on an error; None if its message has one, or if there is none."""
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
    if " write `" in text:  # our own errors contain their advice
        return None
    fitting = (
        advice
        for kind, pattern, advice in _OF_PYTHON
        if isinstance(error, kind) and re.search(pattern, text)
    )
    return next(fitting, None)


def with_advice(text: str, error: BaseException) -> str:
    """Return the text of an error, followed by the advice on it."""
    advice = advice_on(error)
    return text if advice is None else f"{text} ({advice})"
