"""Everything that the runner raises on purpose: what is wrong, where, and what to do.

    RulesError
    ├── RuleMisuse           (also TypeError) `@rule` was used in a way that has no meaning
    ├── ImportFailed         a version of a module can't be imported
    ├── RulesFolderError     the rules folder is not there, or is none
    │   └── NoRules          there is no rule in it
    ├── StrategySettingsError  (also ValueError) the configuration describes no strategy
    └── NotAnEshetServer     something else listens at the address of the server

Facts are attributes; the text is built from them.
"""

from pathlib import Path

__all__ = [
    "ImportFailed",
    "NoRules",
    "NotAnEshetServer",
    "RuleMisuse",
    "RulesError",
    "RulesFolderError",
    "StrategySettingsError",
]


class RulesError(Exception):
    """The base of every error of the runner.

    `exit_code` is that of the command which ends with the error: 2 if it was told something that
    can't be, 1 otherwise.
    """

    exit_code = 1


class RuleMisuse(RulesError, TypeError):
    """`@rule` was used in a way that has no meaning; the message says what to write."""


class ImportFailed(RulesError):
    """A version of a module can't be imported.

    Args:
        module: its name, as `upstairs.bath`.
        file: where the error is, which may be a helper that the module imports.
        line: its number; 0 if it is in no line.
        source: the line itself.
        problem: the error, as `"NameError: name 'lux' is not defined"`.
    """

    def __init__(self, module: str, file: Path, line: int, source: str, problem: str) -> None:
        self.module = module
        self.file = file
        self.line = line
        self.source = source
        self.problem = problem
        super().__init__(f"{file}:{line}: {problem}" if line else f"{file}: {problem}")


class RulesFolderError(RulesError):
    """The rules folder can't be used.

    Args:
        folder: what was given.
        problem: what is wrong with it, and what to do.
    """

    exit_code = 2

    def __init__(self, folder: Path, problem: str) -> None:
        self.folder = folder
        self.problem = problem
        super().__init__(f"{folder}: {problem}")


class NoRules(RulesFolderError):
    """There is no rule in the folder."""

    exit_code = 1

    def __init__(self, folder: Path) -> None:
        super().__init__(
            folder,
            "there is no rule in this folder; write one into a file of it, "
            "such as hall.py: an `async def` function under `@rule`",
        )


class NotAnEshetServer(RulesError):
    """Something listens at the address of the server, but does not answer as one.

    Args:
        address: as `"127.0.0.1:11236"`.
    """

    def __init__(self, address: str) -> None:
        self.address = address
        super().__init__(
            f"{address} is in use by something that is no ESHET server; "
            "stop it, or name your server with --server HOST:PORT or ESHET_SERVER"
        )


class StrategySettingsError(RulesError, ValueError):
    """The configuration describes no strategy.

    Args:
        key: of the setting that is wrong.
        problem: what is wrong with it, and what to write.
    """

    exit_code = 2

    def __init__(self, key: str, problem: str) -> None:
        self.key = key
        self.problem = problem
        super().__init__(f"{key}: {problem}")
