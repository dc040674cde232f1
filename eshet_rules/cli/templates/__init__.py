"""What `eshet-rules init` writes: the files beside this one, without the ending `.txt`."""

from importlib.resources import files
from pathlib import Path
from typing import Final

from eshet_rules.exceptions import NotWritten

__all__ = ["NAMES", "template", "write_templates"]

NAMES: Final = ("eshet-rules.toml", "hall.py", "test_hall.py")


def template(name: str) -> str:
    """Return the text of a file."""
    return files(__name__).joinpath(f"{name}.txt").read_text("utf-8")


def write_templates(folder: Path) -> list[Path]:
    """Write all files into a folder, which is made if it is not there.

    Returns:
        Their paths.

    Raises:
        NotWritten: one of them is there already, and nothing was written; or can't be written.
    """
    written = [folder / name for name in NAMES]
    try:
        folder.mkdir(parents=True, exist_ok=True)
        for path in written:
            if path.exists() or path.is_symlink():
                raise NotWritten(path, "is there already; give a folder without it, or move it")
        for path in written:
            path.write_text(template(path.name), "utf-8")
    except OSError as error:
        problem = f"can't be written, {error.strerror}; give a folder that you may write to"
        raise NotWritten(Path(error.filename or folder), problem) from None
    return written
