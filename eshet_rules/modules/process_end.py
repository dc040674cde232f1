"""Reports code of rules that ends or replaces the process at once, with an exit code of its own.

A command that imports rules would end with that exit code, which may be 0, and without a word.
"""

import os
from collections.abc import Callable, Iterator
from contextlib import contextmanager
from typing import Any, Final, NoReturn

from eshet.interpreter import get_frame

__all__ = ["reporting_exits"]

_NAMES: Final = ("_exit", "execv", "execve")
"""Functions of `os`; all others that replace a process call one of these."""


@contextmanager
def reporting_exits(code: int) -> Iterator[None]:
    """Report calls of functions such as `os._exit` on standard error, in a `with` statement.

    Child processes of this one may call them.

    Args:
        code: the exit code with which the process then ends.
    """
    real = {name: getattr(os, name) for name in _NAMES}
    for name in _NAMES:
        setattr(os, name, _reporter(name, real[name], os.getpid(), code, real["_exit"]))
    try:
        yield
    finally:
        for name, function in real.items():
            setattr(os, name, function)


def _reporter(
    name: str, real: Callable[..., NoReturn], process: int, code: int, end: Callable[[int], object]
) -> Callable[..., object]:
    def report(*args: Any, **options: Any) -> object:
        if os.getpid() != process:
            return real(*args, **options)
        frame = get_frame(1)
        while frame.f_globals is vars(os) and frame.f_back is not None:
            frame = frame.f_back
        place = f"{frame.f_code.co_filename}:{frame.f_lineno}"
        does = "ends" if name == "_exit" else "replaces"
        text = f"{place}: error: os.{name} {does} the process, and that of the runner as well\n"
        os.write(2, text.encode(errors="backslashreplace"))  # rules may have replaced sys.stderr
        return end(code)

    return report
