"""The errors that a house raises in a test."""

from collections.abc import Sequence
from typing import Final

from eshet_rules.exceptions import RulesError

__all__ = ["NeverAtRest", "NoSuchPath", "NotSetUp", "RuleExits"]


class NotSetUp(RulesError):
    """A rule of a test could not be loaded or set up.

    Args:
        what: the file or the function.
        errors: of its rules, as text.
    """

    def __init__(self, what: str, errors: Sequence[str]) -> None:
        self.what = what
        self.errors: Final = list(errors)
        super().__init__("\n".join([f"{what} could not be set up:", *self.errors]))


class NeverAtRest(RulesError):
    """Rules keep running while the clock stands still, so `advance` would never return.

    Args:
        at: the time, in seconds since the start of the test.
    """

    def __init__(self, at: float) -> None:
        super().__init__(
            f"at {at:g} s the rules never come to rest: one of them has a loop without an `await "
            "asyncio.sleep(...)` of some time, or they trigger each other without end"
        )


class NoSuchPath(RulesError, LookupError):
    """A test names a path that differs by one letter from the one that rules or devices use.

    Args:
        path: the path.
        near: the paths that it may stand for.
    """

    def __init__(self, path: str, near: Sequence[str]) -> None:
        super().__init__(f"nothing uses {path}: did you mean {' or '.join(near)}?")


class RuleExits(RulesError):
    """A task has raised `SystemExit`, which would end the whole runner.

    Args:
        code: its exit code.
        rule: the rule that has received the last input; None if there was none.
    """

    def __init__(self, code: object, rule: str | None) -> None:
        last = f"; the last input was that of {rule}" if rule else ""
        super().__init__(f"a task has raised SystemExit({code!r}), as `sys.exit` does{last}")
