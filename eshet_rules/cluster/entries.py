"""The entries by which the runners of a cluster agree, in two buckets of NATS.

    PREFIX_runners   CLUSTER.RUNNER.presence   a sign of life of the runner, renewed all the time
                     CLUSTER.RUNNER.modules    the modules that it may run, and their versions
    PREFIX_leases    CLUSTER.MODULE            who runs the module

A *presence* begins with the first entry of a runner that has joined, and ends when the entry is
deleted: by the runner, or by another one when the runner is gone. Its number is the revision of its
first entry. A *lease* is valid as long as the presence of its holder. So one entry for each runner
is renewed, not one for each module: 100 runners write 50 of them a second, but would write 5,000
for 10,000 modules, and each runner would receive all of these.

The *token* of a lease is the revision of the entry with which its holder has taken it, so that a
later holder has a higher one.
"""

import re
import zlib
from typing import Annotated, Final, NamedTuple, TypeVar

import msgspec

from eshet.nats.bucket import Entry

__all__ = [
    "RUNNERS",
    "LeaseEntry",
    "Modules",
    "ModulesEntry",
    "PresenceEntry",
    "RunnerKey",
    "modules_key",
    "pack",
    "pack_modules",
    "presence_key",
    "probe_subject",
    "role_of",
    "runner_key",
    "runner_of_trail",
    "trail_subject",
    "unpack",
    "unpack_modules",
]

_T = TypeVar("_T")

RUNNERS: Final = "runners"
"""The name of the bucket of runners, after the prefix of the tree."""

_MAX_BYTES: Final = 64 << 20
"""Maximum size of a list of modules."""


class PresenceEntry(msgspec.Struct, frozen=True, kw_only=True):
    """A sign of life of a runner.

    Args:
        runner: its name in the cluster.
        host: the name of its machine.
        server: the id of its ESHET server.
        number: of the presence; 0 in its first entry, whose revision is the number.
        ttl: seconds after which the presence ends without another sign of life.
        weight: its share of the modules, relative to that of other runners.
        is_draining: whether it is to run no modules.
    """

    runner: str
    host: str
    server: str
    number: int
    ttl: Annotated[float, msgspec.Meta(gt=0, le=86400)]
    weight: Annotated[float, msgspec.Meta(gt=0, le=1e6)]
    is_draining: bool = False


class Modules(msgspec.Struct, frozen=True, kw_only=True):
    """The modules in the rules folder of a runner, with their versions by name.

    Args:
        runs: those that it may run.
        excluded: those that it may not run, because of `[cluster.where]`, or because it has failed
            to run them.
        helpers: those that are only imported by others.
    """

    runs: dict[str, str]
    excluded: dict[str, str]
    helpers: dict[str, str]

    @property
    def versions(self) -> dict[str, str]:
        """The versions of all modules."""
        return {**self.runs, **self.excluded, **self.helpers}


class ModulesEntry(msgspec.Struct, frozen=True, kw_only=True):
    """The modules of a runner that is present.

    Args:
        presence: the number of its presence.
        modules: the modules.
    """

    presence: int
    modules: Modules


class LeaseEntry(msgspec.Struct, frozen=True, kw_only=True):
    """Who runs a module.

    Args:
        module: its name.
        token: see above; 0 in the entry with which the lease was taken.
        runner: the holder.
        server: the id of its ESHET server.
        presence: the number of its presence.
        version: the version of the module that it runs.
        released: whether it has given the lease up.
        to: the runner in whose favour; empty if any may take it.
    """

    module: str
    token: int
    runner: str
    server: str
    presence: int
    version: str = ""
    released: bool = False
    to: str = ""


def pack(entry: msgspec.Struct) -> bytes:
    """Return an entry as the value of a bucket."""
    return msgspec.msgpack.encode(entry)


def unpack(entry: Entry, kind: type[_T]) -> _T | None:
    """Return the content of an entry of a bucket; None if it is deleted, or of another kind."""
    if entry.is_deleted:
        return None
    try:
        return msgspec.msgpack.decode(entry.value, type=kind)
    except (msgspec.MsgspecError, ValueError, RecursionError):
        return None


def pack_modules(entry: ModulesEntry) -> bytes:
    """Return a list of modules as the value of a bucket: compressed, as there may be thousands."""
    return zlib.compress(pack(entry))


def unpack_modules(entry: Entry) -> ModulesEntry | None:
    """Return the list of modules in an entry of a bucket; see `unpack`."""
    if entry.is_deleted:
        return None
    decompressor = zlib.decompressobj()
    try:
        data = decompressor.decompress(entry.value, _MAX_BYTES)
    except zlib.error:
        return None
    if not decompressor.eof:  # it is cut off, or too long
        return None
    return unpack(entry._replace(value=data), ModulesEntry)


# --- keys -----------------------------------------------------------------------------------------


class RunnerKey(NamedTuple):
    """A key of the bucket of runners.

    Args:
        runner: the name of the runner.
        kind: `"presence"` or `"modules"`.
    """

    runner: str
    kind: str


def presence_key(cluster: str, runner: str) -> str:
    """Return the key of the presence of a runner."""
    return f"{cluster}.{_escaped(runner)}.presence"


def modules_key(cluster: str, runner: str) -> str:
    """Return the key of the modules of a runner."""
    return f"{cluster}.{_escaped(runner)}.modules"


def probe_subject(prefix: str, cluster: str, presence: int) -> str:
    """Return the subject on which a runner answers whether it is there.

    Args:
        prefix: the name of the tree.
        cluster: the name of the cluster.
        presence: the number of its presence.
    """
    return f"{prefix}.runner.{cluster}.{presence}"


def trail_subject(prefix: str, cluster: str, runner: str) -> str:
    """Return the subject of the records of a runner.

    Args:
        prefix: the name of the tree.
        cluster: the name of the cluster.
        runner: the name of the runner.
    """
    return f"{prefix}.trail.{cluster}.{_escaped(runner)}"


def runner_of_trail(subject: str) -> str:
    """Return the name of the runner of a subject of records."""
    return _unescaped(subject.rpartition(".")[2])


def runner_key(cluster: str, key: str) -> RunnerKey | None:
    """Return what a key of the bucket of runners stands for; None for another cluster."""
    match key.split("."):
        case [of, runner, ("presence" | "modules") as kind] if of == cluster:
            return RunnerKey(_unescaped(runner), kind)
    return None


def role_of(cluster: str, module: str) -> str:
    """Return the key of the lease of a module, which is also its role for the servers."""
    return ".".join([cluster, *map(_escaped, module.split("."))])


def _escaped(name: str) -> str:
    """Return a name as a part of a key: `=` begins the number of a byte; `=` alone is no name."""
    parts = re.split(r"([A-Za-z0-9_-]+)", name)
    escaped = (
        part if number % 2 else "".join(f"={byte:02X}" for byte in _bytes_of(part))
        for number, part in enumerate(parts)
    )
    return "".join(escaped) or "="


def _unescaped(part: str) -> str:
    """Return the name in a part of a key."""
    if part == "=":
        return ""
    pieces = re.split(r"=([0-9A-F]{2})", part)
    data = b"".join(
        bytes.fromhex(piece) if number % 2 else piece.encode()
        for number, piece in enumerate(pieces)
    )
    return data.decode(errors="surrogateescape")


def _bytes_of(text: str) -> bytes:
    return text.encode(errors="surrogateescape")
