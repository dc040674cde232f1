"""Templates of `eshet-rules init`: the files in this folder, without the suffix `.txt`."""

from importlib.resources import files
from pathlib import Path
from typing import Final

from eshet_rules.exceptions import NotWritten

__all__ = ["NAMES", "template", "write_templates"]

NAMES: Final = ("eshet-rules.toml", "hall.py", "test_hall.py")


def template(name: str) -> str:
    """Return the text of a template."""
    return files(__name__).joinpath(f"{name}.txt").read_text("utf-8")


def write_templates(folder: Path) -> list[Path]:
    """Write all files into a folder, creating it if necessary.

    Returns:
        The paths of the files.

    Raises:
        NotWritten: a file exists already (then nothing was written), or can't be written.
    """
    written = [folder / name for name in NAMES]
    try:
        folder.mkdir(parents=True, exist_ok=True)
        for path in written:
            if path.exists() or path.is_symlink():
                raise NotWritten(path, "exists already; choose another folder, or move the file")
        for path in written:
            path.write_text(template(path.name), "utf-8")
    except OSError as error:
        problem = f"can't be written, {error.strerror}; choose a folder that you may write to"
        raise NotWritten(Path(error.filename or folder), problem) from None
    return written
