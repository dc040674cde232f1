"""Decides which files and folders of a rules folder are left out, although they look like modules.

Tools leave copies beside a file: merge tools, synchronisation, backups, file managers. If a copy of
a rule ran, it would do everything a second time. Folders of installed packages contain thousands of
modules, none of which is a rule. A file with the name of one of our packages would hide that from
all rules.
"""

import os
import re
from collections.abc import Sequence
from fnmatch import fnmatchcase
from typing import Final

__all__ = ["OUR_PACKAGES", "why_excluded", "why_folder_excluded"]

_COPIES: Final = (
    (r"\.sync-conflict-", "a conflict that Syncthing left"),
    (r"_(LOCAL|REMOTE|BASE|BACKUP)_\d+$", "a temporary file of git mergetool"),
    (r"\((.* )?conflicted copy.*\)|conflicted copy", "a conflict that a cloud drive left"),
    (r" \(case conflict.*\)$|_conflict-\d{4}", "a conflict that a cloud drive left"),
    (r" - Copy( \(\d+\))?$|^Copy( \(\d+\))? of ", "a copy of a file manager"),
    (r" \((\d+(st|nd|rd|th)|another|third)? ?copy( \d+)?\)$", "a copy of a file manager"),
    (r" copy( \d+)?$| \(\d+\)$", "a copy of a file manager"),
    (r"[.~-](bak|backup|orig|old|rej|tmp|swp|save)\d*$|~\d*$", "a backup"),
)
_MAY_BE_COPY: Final = re.compile(r"[^\w]|_(LOCAL|REMOTE|BASE|BACKUP)_").search
"""A quick test that most names of modules fail, so that they need no further matching."""

_COPY: Final = [(re.compile(pattern), what) for pattern, what in _COPIES]

_PACKAGES: Final = frozenset({"node_modules", "site-packages", "__MACOSX", "@eaDir", "lost+found"})


OUR_PACKAGES: Final = frozenset({"eshet", "eshet_rules"})
"""The packages that rules import; nothing in the rules folder may hide them."""


def why_excluded(path: str, exclude: Sequence[str] = ()) -> str | None:
    """Return why a file is left out; None if it is not.

    Args:
        path: path relative to the rules folder, with `/`; it ends with `.py`.
        exclude: configured globs: of names, or of paths if they contain a `/`.
    """
    if exclude and (why := _configured(path, exclude)) is not None:
        return why
    if path.removesuffix(".py") in OUR_PACKAGES:
        return _hides(path.removesuffix(".py"))
    stem = path[path.rfind("/") + 1 :].removesuffix(".py")
    if _MAY_BE_COPY(stem) is None:
        return None
    return next((f"it is {what}" for pattern, what in _COPY if pattern.search(stem)), None)


def why_folder_excluded(path: str, names: set[str], exclude: Sequence[str] = ()) -> str | None:
    """Return why a folder is left out; None if it is not.

    Args:
        path: see `why_excluded`.
        names: the names of its entries.
        exclude: see `why_excluded`.
    """
    if (why := _configured(path, exclude)) is not None:
        return why
    if path in OUR_PACKAGES:
        return _hides(path)
    if "pyvenv.cfg" in names:
        return "it is a virtual environment"
    if os.path.basename(path) in _PACKAGES:  # noqa: PTH119
        return "it is a folder of packages, or of the system"
    return None


def _hides(package: str) -> str:
    return f"it has the name of the package `{package}`, which rules import: rename it"


def _configured(path: str, exclude: Sequence[str]) -> str | None:
    name = os.path.basename(path)  # noqa: PTH119
    for glob in exclude:
        if fnmatchcase(path if "/" in glob else name, glob.removesuffix("/")):
            return f"[watch] exclude has {glob!r}"
    return None
