"""The process that evaluates templates with jinja2; run as a program by `jinja`.

It reads lines of JSON such as `{"value": "payload", "templates": ["{{ value }}"]}`, and writes a
line for each template: `{"text": ...}`, `{"missing": ...}` or `{"failed": ...}`. Its first line,
`{}`, means that it is ready. It imports nothing of this package, so that it starts quickly.
"""

import contextlib
import json
import resource
import signal
import sys
from typing import Any, Final

from jinja2 import Undefined
from jinja2.exceptions import UndefinedError
from jinja2.sandbox import ImmutableSandboxedEnvironment

__all__ = ["environment"]

DEADLINE: Final = 1.0
"""Seconds of processor time for a template; then the system ends this process."""

_MAX_MEMORY: Final = 512 * 2**20
"""Maximum size of the memory of this process, in bytes."""

_MAX_TEXT: Final = 65_536
"""The maximum length of a result, in characters, as for our own templates."""

_MAX_COMPILED: Final = 1_000

_RAISE: Final = object()


class _Missing(Undefined):
    """A value that the payload lacks: false in a condition, and an error in a text."""

    __slots__ = ()

    def __str__(self) -> str:
        raise UndefinedError(self._undefined_message)


def environment() -> ImmutableSandboxedEnvironment:
    """Return the environment of the templates, with filters as in Home Assistant."""
    made = ImmutableSandboxedEnvironment(undefined=_Missing)
    del made.globals["lipsum"], made.filters["random"]  # a result depends on the payload only
    made.filters |= {
        "bool": _bool,
        "float": _float,
        "from_json": json.loads,
        "iif": _iif,
        "int": _int,
        "is_defined": _is_defined,
        "to_json": json.dumps,
        "tojson": json.dumps,
    }
    return made


def _converted(convert: Any, value: Any, default: Any) -> Any:
    try:
        return convert(value)
    except (LookupError, OverflowError, TypeError, UndefinedError, ValueError):
        if default is _RAISE:
            raise
        return default


def _float(value: Any, default: Any = _RAISE) -> Any:
    return _converted(float, value, default)


def _int(value: Any, default: Any = _RAISE, base: int = 10) -> Any:
    def convert(given: Any) -> int:
        return int(given, base) if base != 10 else int(float(given))

    return _converted(convert, value, default)


def _bool(value: Any, default: Any = _RAISE) -> Any:
    words = dict.fromkeys(("true", "yes", "on", "1"), True)
    words |= dict.fromkeys(("false", "no", "off", "0"), False)
    return _converted(lambda given: words[str(given).lower()], value, default)


def _iif(value: Any, if_true: Any = True, if_false: Any = False, if_none: Any = _RAISE) -> Any:
    if value is None and if_none is not _RAISE:
        return if_none
    return if_true if value else if_false


def _is_defined(value: Any) -> Any:
    if isinstance(value, Undefined):
        str(value)  # raises the error
    return value


def _variables(value: str | float) -> dict[str, Any]:
    """Return the variables of a payload; `value_json` is missing if that is not JSON."""
    variables: dict[str, Any] = {"value": value, "value_json": value}
    if isinstance(value, str):
        try:
            variables["value_json"] = json.loads(value)
        except (RecursionError, ValueError):
            del variables["value_json"]
    return variables


class _Renderer:
    """Renders templates, and keeps them compiled."""

    def __init__(self) -> None:
        self._environment = environment()
        self._compiled: dict[str, Any] = {}

    def render(self, text: str, variables: dict[str, Any]) -> dict[str, str]:
        """Return the answer for a template."""
        try:
            template = self._compiled.get(text)
            if template is None:
                if len(self._compiled) >= _MAX_COMPILED:
                    self._compiled.clear()
                template = self._compiled[text] = self._environment.from_string(text)
            return {"text": template.render(variables)[:_MAX_TEXT].strip()}
        except UndefinedError as error:
            return {"missing": str(error)[:200]}
        except Exception as error:  # a template may raise anything
            return {"failed": f"{type(error).__name__}: {error}"[:200]}


def main() -> None:
    """Answer requests until the standard input ends."""
    with contextlib.suppress(OSError, ValueError):  # not every system has this limit
        resource.setrlimit(resource.RLIMIT_AS, (_MAX_MEMORY, _MAX_MEMORY))
    # The default action ends the process even within one long step of the interpreter.
    signal.signal(signal.SIGPROF, signal.SIG_DFL)
    renderer = _Renderer()
    _answer({})
    for line in sys.stdin:
        request = json.loads(line)
        variables = _variables(request["value"])
        for text in request["templates"]:
            signal.setitimer(signal.ITIMER_PROF, DEADLINE)
            answer = renderer.render(text, variables)
            signal.setitimer(signal.ITIMER_PROF, 0)
            _answer(answer)


def _answer(answer: dict[str, str]) -> None:
    sys.stdout.write(json.dumps(answer) + "\n")
    sys.stdout.flush()


if __name__ == "__main__":
    main()
