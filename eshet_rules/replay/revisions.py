"""Another version of the rules: a folder, or a revision of git."""

import contextlib
import io
import subprocess
import tarfile
import tempfile
from collections.abc import Iterator
from pathlib import Path
from typing import NamedTuple

from eshet_rules.exceptions import RulesError

__all__ = ["Commit", "UnknownVersion", "commit_of", "revision_at", "rules_at"]


class UnknownVersion(RulesError):
    """The version of the rules does not exist, or can't be used.

    Args:
        version: as the user has given it.
        problem: why it can't be used.
        allowed: describes the versions that can be named.
    """

    def __init__(
        self, version: str, problem: str, allowed: str = "a revision such as HEAD~1"
    ) -> None:
        self.version = version
        self.problem = problem
        self.allowed = allowed
        super().__init__(f"{version}: {problem}; name {allowed}")


class Commit(NamedTuple):
    """A commit of a git repository.

    Args:
        revision: its hash.
        subject: the first line of its message.
        is_changed: whether the files in the rules folder differ from it.
    """

    revision: str
    subject: str
    is_changed: bool = False


@contextlib.contextmanager
def rules_at(folder: Path, version: str) -> Iterator[Path]:
    """Yield the folder of another version of the rules, until the end of a `with` statement.

    Args:
        folder: the rules folder.
        version: another folder, or a revision of the git repository that contains the rules folder.

    Raises:
        UnknownVersion: it is neither.
    """
    if Path(version).is_dir():
        yield Path(version).absolute()  # a module may change the present folder of the process
        return
    with tempfile.TemporaryDirectory(prefix="eshet-rules-") as place:
        try:
            _extract(folder, version, Path(place))
        except UnknownVersion as error:
            allowed = f"a folder, or {error.allowed}"
            raise UnknownVersion(version, error.problem, allowed) from None
        yield Path(place)


@contextlib.contextmanager
def revision_at(folder: Path, revision: str) -> Iterator[Path]:
    """Yield a folder with the rules of a revision of git, until the end of a `with` statement.

    Args:
        folder: the rules folder, in a working tree, which is not touched.
        revision: such as `HEAD~1`.

    Raises:
        UnknownVersion: the revision does not exist, or has links to outside of the folder.
    """
    with tempfile.TemporaryDirectory(prefix="eshet-rules-") as place:
        _extract(folder, revision, Path(place))
        yield Path(place)


def commit_of(folder: Path, revision: str | None = None) -> Commit | None:
    """Return a commit of the repository that has a rules folder; None if there is none.

    Args:
        folder: the rules folder.
        revision: such as `HEAD~1`; None for the one that is checked out, with its changes.
    """
    if revision is None and not _output(folder, "ls-files", "--", "."):
        return None  # the folder is in a working tree, but not in the repository
    show = ["log", "-1", "--no-show-signature", "--format=%H%n%s", "--end-of-options"]
    text = _output(folder, *show, revision or "HEAD", "--")
    if not text:
        return None
    commit, _, subject = text.rstrip("\n").partition("\n")
    changes = "" if revision else _output(folder, "status", "--porcelain", "--", ".")
    return Commit(commit, subject, is_changed=bool(changes))


def _output(folder: Path, *command: str) -> str:
    """Return the output of a command of git; empty if it fails."""
    try:
        done = subprocess.run(  # noqa: S603
            ["git", "-C", str(folder), *command],  # noqa: S607
            capture_output=True,
            check=False,
        )
    except FileNotFoundError:
        return ""
    return "" if done.returncode else done.stdout.decode(errors="replace")


def _extract(folder: Path, version: str, place: Path) -> None:
    # After `--end-of-options`, a version that begins with `-` is not an option.
    archive = ["archive", "--format=tar", "--end-of-options", version, "."]
    try:
        done = subprocess.run(  # noqa: S603
            ["git", "-C", str(folder), *archive],  # noqa: S607
            capture_output=True,
            check=False,
        )
    except FileNotFoundError:
        raise UnknownVersion(version, "git is not installed") from None
    if done.returncode:
        problem = done.stderr.decode(errors="replace").strip().splitlines()
        raise UnknownVersion(version, problem[-1] if problem else "git can't read it")
    with tarfile.open(fileobj=io.BytesIO(done.stdout)) as files:
        # Filters are new in Python 3.11.4, so the files are checked here.
        files.extraction_filter = getattr(tarfile, "fully_trusted_filter", None)
        for member in files:
            _check_inside(version, place, member)
            files.extract(member, place)


def _check_inside(version: str, place: Path, member: tarfile.TarInfo) -> None:
    """Check that a file, and its target if it is a link, is inside of the folder.

    Raises:
        UnknownVersion: it is not.
    """
    inside, target = place.resolve(), (place / member.name).resolve()
    if not target.is_relative_to(inside):
        raise UnknownVersion(version, f"{member.name} would be outside of the folder")
    if member.issym() and not (target.parent / member.linkname).resolve().is_relative_to(inside):
        raise UnknownVersion(version, f"{member.name} is a link to outside of the folder")
