"""Another version of the rules: a folder, or a revision of git."""

import contextlib
import io
import subprocess
import tarfile
import tempfile
from collections.abc import Iterator
from pathlib import Path

from eshet_rules.exceptions import RulesError

__all__ = ["UnknownVersion", "rules_at"]


class UnknownVersion(RulesError):
    """There is no such version of the rules.

    Args:
        version: as the user has given it.
        problem: why it can't be used.
    """

    def __init__(self, version: str, problem: str) -> None:
        self.version = version
        self.problem = problem
        super().__init__(f"{version}: {problem}; name a folder, or a revision such as HEAD~1")


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
        _extract(folder, version, Path(place))
        yield Path(place)


def _extract(folder: Path, version: str, place: Path) -> None:
    # After `--end-of-options`, a version that begins with `-` is no option.
    archive = ["archive", "--format=tar", "--end-of-options", version, "."]
    try:
        done = subprocess.run(  # noqa: S603
            ["git", "-C", str(folder), *archive],  # noqa: S607
            capture_output=True,
            check=False,
        )
    except FileNotFoundError:
        raise UnknownVersion(version, "it is not a folder, and git is not installed") from None
    if done.returncode:
        problem = done.stderr.decode(errors="replace").strip().splitlines()
        raise UnknownVersion(version, problem[-1] if problem else "git can't read it")
    with tarfile.open(fileobj=io.BytesIO(done.stdout)) as files:
        files.extractall(place, filter="data")
