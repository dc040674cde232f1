"""Reads the files of a rules folder that are to be published: its modules, and what is named."""

from collections.abc import Iterable, Iterator, Sequence
from pathlib import Path
from typing import NamedTuple

from eshet.text import encodable
from eshet_rules.cluster.publication import FileList, problem_with_path
from eshet_rules.exceptions import NotPublishable
from eshet_rules.modules.discovery import MAX_SOURCE_BYTES, Discovery, Source
from eshet_rules.modules.importer import check_syntax
from eshet_rules.modules.strangers import find_strangers
from eshet_rules.regular_files import UnusableFile, read_regular

__all__ = ["RuleFiles", "read_rule_files"]


class RuleFiles(NamedTuple):
    """The files of a rules folder that are to be published.

    Args:
        contents: by path, relative to the folder, with `/`.
        excluded: the files that look like modules and are left out, and why, by path.
        strangers: the paths of modules that have nothing to do with rules; see `find_strangers`.
        modules: the number of all modules.
    """

    contents: dict[str, bytes]
    excluded: dict[str, str]
    strangers: list[str]
    modules: int


def read_rule_files(
    folder: Path, exclude: Sequence[str] = (), others: Sequence[str] = ()
) -> RuleFiles:
    """Read the modules of a rules folder, helpers included, and other files.

    Args:
        folder: the rules folder.
        exclude: globs of files and folders that are no modules.
        others: globs of further files, relative to the folder, such as `data/*.json`.

    Raises:
        NotPublishable: a file can't be read, is too large, is outside of the folder, or is not
            valid Python; or there are no modules. The error lists all problems.
    """
    discovery = Discovery(folder, exclude)
    sources = discovery()
    excluded = {_path_in(folder, path): why for path, why in discovery.newly_excluded().items()}
    contents: dict[str, bytes] = {}
    problems: list[str] = []
    for source in sources.values():
        path = _path_in(folder, source.path)
        if problem := _problem_of(source, folder, path):
            problems.append(problem)
        contents[path] = source.data
    for path, content in _others(folder, others):
        if isinstance(content, str):
            problems.append(f"{encodable(path)} {content}")
        else:
            contents[path] = content
    if not sources:
        problems = [f"{folder} has no modules: name the folder with your rules"]
    if not problems:
        try:
            FileList.of(contents).check()
        except ValueError as error:
            problems = [str(error)]
    if problems:
        raise NotPublishable(problems)
    strangers = [_path_in(folder, sources[name].path) for name in find_strangers(sources)]
    return RuleFiles(contents, excluded, strangers, len(sources))


def _problem_of(source: Source, folder: Path, path: str) -> str:
    if source.problem:
        return f"{path} {source.problem}"
    if problem := _outside(source.path, folder) or problem_with_path(path):
        return f"{path} {problem}"
    failure = check_syntax(source)
    if failure is None:
        return ""
    place = f"{path}:{failure.line}" if failure.line else path
    return f"{place}: {failure.problem}"


def _others(folder: Path, globs: Iterable[str]) -> Iterator[tuple[str, bytes | str]]:
    """Yield the path of each further file, and its content, or why it can't be published."""
    for glob in globs:
        try:
            found = sorted(each for each in folder.glob(glob) if not each.is_dir())
        except (NotImplementedError, ValueError, IndexError):  # such as `/x`, or `.`
            found = []
        if not found:
            yield glob, f"matches no file in {folder}: write it relative to that folder"
        for file in found:
            path = file.relative_to(folder).as_posix()
            if problem := problem_with_path(path) or _outside(file, folder):
                yield path, problem
                continue
            try:
                yield path, read_regular(file, MAX_SOURCE_BYTES)[0]
            except UnusableFile as error:
                yield path, f"{error}: replace it, or leave it out"
            except OSError as error:
                yield path, f"can't be read, {error.strerror}: check its owner and permissions"


def _path_in(folder: Path, path: Path) -> str:
    return path.relative_to(folder).as_posix() if path.is_relative_to(folder) else str(path)


def _outside(file: Path, folder: Path) -> str:
    """Return that a file is outside of the folder, because of a link; empty if it is inside."""
    try:
        target = file.resolve()
    except (OSError, RuntimeError):
        return "is a link to itself: replace it by a file"
    if target.is_relative_to(folder.resolve()):
        return ""
    return f"is a link to {target}, outside of the rules folder: replace it by a copy"
