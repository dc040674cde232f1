"""Tokens of programs and users, and the private file that keeps their hashes.

    tokens = TokenFile(Path("tokens.json"))
    text = tokens.add("phone", Scope.ACT, now)      # shown once: the file has only its hash
    tokens.check(text)                              # Scope.ACT

The file is read again when it changes, so a token that is removed is refused at once.
"""

import enum
import hashlib
import json
import logging
import os
import re
import secrets
import stat
from dataclasses import asdict, dataclass
from datetime import UTC, datetime
from pathlib import Path
from typing import Final

from eshet.exceptions import EshetError
from eshet.private_files import open_private, write_privately

__all__ = ["Scope", "Token", "TokenFile", "TokenFileError"]

_log: Final = logging.getLogger("eshet.gateway")

_BYTES: Final = 32
_PREFIX: Final = "eshet_"
"""Begins each token, so that tools that search for secrets can find it."""
_NAME: Final = re.compile(r"[A-Za-z0-9_.-]{1,60}")
_DIGEST: Final = re.compile(r"[0-9a-f]{64}")
_VERSION: Final = 1
_MAX_SIZE: Final = 1 << 20
_MAX_TOKEN: Final = 200  # characters


class Scope(enum.StrEnum):
    """The rights that a token gives."""

    READ = "read"
    """Get, observe, listen and list."""
    ACT = "act"
    """Also set, call, emit, and provide nodes."""

    def includes(self, other: "Scope") -> bool:
        """Whether this scope gives all rights of the other one."""
        return self is Scope.ACT or other is Scope.READ


class TokenFileError(EshetError):
    """The file of tokens can't be used, or not changed as requested.

    Args:
        path: of the file.
        problem: describes the problem and the remedy.
    """

    def __init__(self, path: Path, problem: str) -> None:
        self.path = path
        self.problem = problem
        super().__init__(f"{path}: {problem}")


@dataclass(frozen=True)
class Token:
    """A token, without its text.

    Args:
        name: who has it, such as `phone`.
        scope: its rights.
        created: when it was made, as ISO 8601 in UTC.
        sha256: the hash of its text, in hexadecimal. It needs no salt, and no slow hash: unlike a
            password, the text has 256 random bits, and can't be guessed.
    """

    name: str
    scope: Scope
    created: str
    sha256: str


class TokenFile:
    """The tokens in a file with the mode 0600. A file that does not exist has no tokens.

    Args:
        path: of the file.
    """

    def __init__(self, path: Path) -> None:
        self.path: Final = path
        self._tokens: dict[str, Token] = {}
        self._seen: tuple[int, ...] | None = None  # identifies the content that was read
        self._problem = ""

    def add(self, name: str, scope: Scope, now: float) -> str:
        """Make a token, and return its text, which is not kept.

        Args:
            name: who will have it: up to 60 letters A-Z, digits, `_`, `.` and `-`.
            scope: its rights.
            now: the wall clock, in seconds since 1970-01-01 UTC.

        Raises:
            TokenFileError: a token has this name, the name is not valid, or the file can't be read
                or written.
        """
        tokens = self._load()
        if _NAME.fullmatch(name) is None:
            raise TokenFileError(
                self.path,
                f"the name {name!r} of a token is not valid: write up to 60 letters A-Z, digits, "
                "_, . and -",
            )
        if any(token.name == name for token in tokens.values()):
            raise TokenFileError(
                self.path, f"there is a token {name!r} already: remove it first, or choose a name"
            )
        text = _PREFIX + secrets.token_urlsafe(_BYTES)
        created = datetime.fromtimestamp(int(now), UTC).strftime("%Y-%m-%dT%H:%M:%SZ")
        token = Token(name, scope, created, _hash(text))
        _write(self.path, [*tokens.values(), token])
        return text

    def find(self, text: str) -> Token | None:
        """Return the token with this text; None if there is none, or the file can't be read.

        A file that can't be read is logged once.
        """
        if len(text) > _MAX_TOKEN:
            return None
        try:
            tokens = self._load()
        except TokenFileError as error:
            if self._problem != error.problem:
                self._problem = error.problem
                _log.error("no token is accepted: %s", error)
            return None
        self._problem = ""
        # A lookup by hash does not reveal by its duration how much of the text is right.
        return tokens.get(_hash(text))

    def check(self, text: str) -> Scope | None:
        """Return the scope of the token with this text; None as in `find`."""
        token = self.find(text)
        return None if token is None else token.scope

    def remove(self, name: str) -> None:
        """Remove a token, which is then refused.

        Raises:
            TokenFileError: the token does not exist, or the file can't be read or written.
        """
        tokens = self._load()
        rest = [token for token in tokens.values() if token.name != name]
        if len(rest) == len(tokens):
            names = ", ".join(token.name for token in rest) or "none"
            raise TokenFileError(self.path, f"there is no token {name!r}; there are: {names}")
        _write(self.path, rest)

    def _load(self) -> dict[str, Token]:
        """Return the tokens by hash; read the file only if it has changed."""
        try:
            found = self.path.stat()
        except FileNotFoundError:
            self._tokens, self._seen = {}, None
            return self._tokens
        except OSError as error:
            raise TokenFileError(self.path, f"can't be read: {error.strerror}") from None
        identity = (found.st_dev, found.st_ino, found.st_size, found.st_mtime_ns, found.st_mode)
        if identity != self._seen:
            self._tokens = {token.sha256: token for token in _read(self.path)}
            self._seen = identity
        return self._tokens

    def list(self) -> list[Token]:  # the last method: it shadows the type
        """Return all tokens, in the order in which they were made.

        Raises:
            TokenFileError: the file can't be read.
        """
        return [*self._load().values()]


_NOT_TOKENS: Final = "is not a file of tokens: choose another one, or make one with `eshet token`"


def _read(path: Path) -> list[Token]:
    try:
        # Without waiting: to open a pipe without a writer would block the event loop.
        descriptor = open_private(path, os.O_RDONLY | os.O_NONBLOCK)
        with os.fdopen(_checked(path, descriptor), "rb") as file:
            content = json.loads(file.read(_MAX_SIZE))
    except OSError as error:
        raise TokenFileError(path, f"can't be read: {error.strerror}") from None
    except (ValueError, RecursionError):
        raise TokenFileError(path, _NOT_TOKENS) from None
    try:
        if content["version"] != _VERSION:
            raise ValueError
        return [_token(**each) for each in content["tokens"]]
    except (KeyError, TypeError, ValueError):
        raise TokenFileError(path, _NOT_TOKENS) from None


def _checked(path: Path, descriptor: int) -> int:
    """Return the descriptor of a private regular file; close that of any other one."""
    mode = os.fstat(descriptor).st_mode
    problem = ""
    if not stat.S_ISREG(mode):
        problem = _NOT_TOKENS
    elif mode & 0o077:
        problem = f"others can access it: make it private with `chmod 600 {path}`"
    if problem:
        os.close(descriptor)
        raise TokenFileError(path, problem)
    return descriptor


def _write(path: Path, tokens: list[Token]) -> None:
    content = {"version": _VERSION, "tokens": [asdict(token) for token in tokens]}
    try:
        write_privately(path, json.dumps(content, indent=1).encode() + b"\n")
    except OSError as error:
        raise TokenFileError(path, f"can't be written: {error.strerror}") from None


def _token(*, name: str, scope: str, created: str, sha256: str) -> Token:
    if _NAME.fullmatch(name) is None or _DIGEST.fullmatch(sha256) is None:
        raise ValueError
    return Token(name, Scope(scope), str(created), sha256)


def _hash(text: str) -> str:
    return hashlib.sha256(text.encode("utf-8", "surrogatepass")).hexdigest()
