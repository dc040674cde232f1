"""What is published for a cluster: its publications, and the files of each. No I/O.

A publication is known by a hash over all of its files: the SHA-256 of their list, which has the
path, the size and the SHA-256 of each. So whoever knows the hash can check every byte.
"""

import hashlib
from collections.abc import Mapping, Sequence
from typing import Annotated, Final, NamedTuple

import msgspec
from msgspec import Meta

from eshet_rules.config import FILE_NAME
from eshet_rules.exceptions import PublicationNotFound
from eshet_rules.modules.discovery import MAX_SOURCE_BYTES

__all__ = [
    "KEPT",
    "MAX_TOTAL_BYTES",
    "Changes",
    "FileList",
    "Publication",
    "PublishedFile",
    "changes_between",
    "digest_of",
    "find_publication",
    "problem_with_path",
    "publications_in",
    "short_hash",
    "with_current",
]

KEPT: Final = 10
"""Number of publications that stay available."""

MAX_TOTAL_BYTES: Final = 256 << 20
"""Maximum size of all files of a publication together, in bytes."""

_MAX_FILES: Final = 20_000
"""Maximum number of files of a publication."""

_MAX_LIST_BYTES: Final = 32 << 20
"""Maximum size of the list of files."""

_MAX_NAME: Final = 255
"""Maximum length of the name of a file or folder in bytes, as on most file systems."""

_MAX_PATH: Final = 1024
"""Maximum length of a path in bytes."""

_SHOWN: Final = 8
"""Number of digits of a hash that are shown."""

_Hash = Annotated[str, Meta(pattern="^[0-9a-f]{64}$")]


class Publication(msgspec.Struct, frozen=True, kw_only=True):
    """A publication, and who has made it.

    Args:
        hash: over all files; see above.
        size: the length of the list of files, in bytes.
        files: the number of files.
        revision: the git commit of the files; empty if they are in no repository.
        subject: the first line of the message of that commit.
        is_changed: whether the files differ from that commit.
        by: who has published it, as USER@HOST.
        time: when, in UTC, as ISO 8601.
    """

    hash: _Hash
    size: Annotated[int, Meta(ge=0, le=_MAX_LIST_BYTES)]
    files: int
    revision: str = ""
    subject: str = ""
    is_changed: bool = False
    by: str
    time: str


class PublishedFile(msgspec.Struct, frozen=True, array_like=True):
    """A file of a publication.

    Args:
        size: its length in bytes.
        digest: SHA-256 of its content, in hexadecimal digits.
    """

    size: Annotated[int, Meta(ge=0, le=MAX_SOURCE_BYTES)]
    digest: _Hash


class FileList(msgspec.Struct, frozen=True):
    """The files of a publication.

    Args:
        files: by path, relative to the rules folder, with `/`.
    """

    files: dict[str, PublishedFile]

    @classmethod
    def of(cls, contents: Mapping[str, bytes]) -> "FileList":
        """Return the list of files with these contents, by path."""
        return cls(
            {
                path: PublishedFile(len(contents[path]), digest_of(contents[path]))
                for path in sorted(contents)
            }
        )

    @classmethod
    def decode(cls, data: bytes) -> "FileList":
        """Return the list in these bytes.

        Raises:
            ValueError: they are no list, or a path in it must not be written; the text says why.
        """
        try:
            found = msgspec.msgpack.decode(data, type=cls)
        except (msgspec.MsgspecError, RecursionError) as error:
            raise ValueError(f"the list of files is damaged: {error}") from None
        found.check()
        return found

    def encode(self) -> bytes:
        """Return the list as bytes, always the same for the same files."""
        return msgspec.msgpack.encode(self)

    def check(self) -> None:
        """Check that all files can be written into one folder, and nowhere else.

        Raises:
            ValueError: a path is not acceptable, which the text names, or they are too many.
        """
        if not 0 < len(self.files) <= _MAX_FILES:
            raise ValueError(
                f"there are {len(self.files):,} files; 1 to {_MAX_FILES:,} are possible"
            )
        for path in self.files:
            if problem := problem_with_path(path):
                raise ValueError(f"{path!r} {problem}")
            parts = path.split("/")
            for depth in range(1, len(parts)):
                if (folder := "/".join(parts[:depth])) in self.files:
                    raise ValueError(f"{folder!r} is both a file and a folder")
        if sum(file.size for file in self.files.values()) > MAX_TOTAL_BYTES:
            raise ValueError(f"all files are larger than {MAX_TOTAL_BYTES >> 20} MiB together")


class Changes(NamedTuple):
    """What is different between two lists of files: paths, in order.

    Args:
        added: those that only the second one has.
        changed: those with another content.
        removed: those that only the first one has.
    """

    added: list[str]
    changed: list[str]
    removed: list[str]


def changes_between(before: FileList, after: FileList) -> Changes:
    """Return what changes from one list of files to another one."""
    old, new = before.files, after.files
    return Changes(
        sorted(new.keys() - old.keys()),
        sorted(path for path in new.keys() & old.keys() if new[path] != old[path]),
        sorted(old.keys() - new.keys()),
    )


def problem_with_path(path: str) -> str:
    """Return why a path can't be published; empty if it can.

    Args:
        path: relative to the rules folder, with `/`.
    """
    try:
        encoded = path.encode()
    except UnicodeEncodeError:
        return "has a name that is not UTF-8: rename it"
    parts = path.split("/")
    if path.startswith("/") or ".." in parts:
        return "is outside of the rules folder: publish only what is in it"
    if not all(parts) or "\0" in path:
        return "is no path of a file"
    if any(part.startswith(".") for part in parts):
        return "is hidden, as its path has a name with a dot at the beginning: rename it"
    if path == FILE_NAME:
        return "is the configuration of one runner: each has its own"
    if len(encoded) > _MAX_PATH or any(len(part.encode()) > _MAX_NAME for part in parts):
        return "has a name that is too long: shorten it"
    return ""


def digest_of(data: bytes) -> str:
    """Return the SHA-256 of a content, in hexadecimal digits."""
    return hashlib.sha256(data).hexdigest()


def short_hash(digest: str) -> str:
    """Return the first digits of a hash, as they are shown."""
    return digest[:_SHOWN]


def publications_in(value: bytes) -> tuple[Publication, ...]:
    """Return the publications of a cluster, the present one last.

    Args:
        value: of the entry in NATS.

    Raises:
        ValueError: it is damaged.
    """
    try:
        return msgspec.msgpack.decode(value, type=tuple[Publication, ...])
    except (msgspec.MsgspecError, RecursionError) as error:
        raise ValueError(str(error)) from None


def with_current(publications: Sequence[Publication], new: Publication) -> tuple[Publication, ...]:
    """Return the publications to keep, of which each hash is there once, and the new one last."""
    others = [each for each in publications if each.hash != new.hash]
    return (*others, new)[-KEPT:]


def find_publication(publications: Sequence[Publication], digits: str) -> Publication:
    """Return the publication whose hash begins with some digits.

    Raises:
        PublicationNotFound: there is none, or there are several.
    """
    found = [each for each in publications if each.hash.startswith(digits.lower())]
    if len(found) != 1:
        raise PublicationNotFound(digits, [short_hash(e.hash) for e in found or publications])
    return found[0]
