"""Imports versions of modules beside each other, and tracks which version imports which.

Every version of a module is a module object of its own with a unique name: `hall@3f2a91bc#7`. So an
old version keeps running undisturbed while a new one is imported, and a version that fails leaves
nothing behind. Modules of the rules folder import each other by their plain names, absolute or
relative, and get the versions that belong together: Python's `import` statement calls the
`__import__` in the builtins of a module, and rule modules have one that looks into the rules folder
first. A file never hides a module of the standard library or one of our packages by its name.

Invariants: `current` holds, for each name, the newest version that could be imported; a version
and those that it imports are in `sys.modules`, under their own names, until a call of `keep_only`
leaves them out.
"""

import builtins
import difflib
import functools
import importlib.util
import linecache
import re
import sys
import traceback
from collections.abc import Callable, Iterable, Mapping, Sequence
from importlib.abc import MetaPathFinder
from pathlib import Path
from types import CodeType, ModuleType
from typing import Any, Final, overload

from eshet.scope import Scope
from eshet.text import safe_str
from eshet.user_errors import error_text, plain_error
from eshet_rules.exceptions import ImportFailed
from eshet_rules.modules.discovery import Source
from eshet_rules.modules.exclusion import OUR_PACKAGES
from eshet_rules.modules.module_objects import (
    PackageFinder,
    folder_module,
    forget_modules,
    new_module,
)
from eshet_rules.modules.module_version import ModuleVersion
from eshet_rules.rule import Rule, collect_rules, main_rule

__all__ = ["Importer", "ModuleVersion", "check_syntax"]


_VERSIONS: Final = re.compile(r"@[0-9a-f]{8}#\d+")
"""The suffix of a version in the names of module objects; error texts omit it."""


_NEVER_HIDDEN: Final = sys.stdlib_module_names | OUR_PACKAGES
"""Modules that no file of the rules folder replaces in an import."""

_NOT_IN_MODULE: Final = re.compile(r"cannot import name '(?P<name>[^']*)'")


class Importer:
    """Imports the modules of one rules folder.

    Args:
        folder: the rules folder.
        make_scope: creates the scope of a version, given the module's name.
    """

    def __init__(self, folder: Path, make_scope: Callable[[str], Scope] = Scope) -> None:
        self.folder = folder
        self._make_scope = make_scope
        self._sources: Mapping[str, Source] = {}
        self._folders: set[str] = set()
        self.current: dict[str, ModuleVersion] = {}
        self._loaded: dict[str, ModuleVersion] = {}  # by the names of their module objects
        self._builtins = {**vars(builtins), "__import__": self._import}
        self._batch: dict[str, ModuleVersion] | None = None
        self._bound: list[tuple[ModuleVersion, ModuleVersion]] = []  # package, module: this batch
        self._requested: set[str] = set()  # names that the batch has imported, found or not
        # For each module with a failed last import: the fingerprints of all names it requested.
        self._failed: dict[str, dict[str, str]] = {}
        self._finder = PackageFinder(self._source_of, self._import_for)

    @property
    def sources(self) -> Mapping[str, Source]:
        """The content of the rules folder, by the names of modules."""
        return self._sources

    @sources.setter
    def sources(self, sources: Mapping[str, Source]) -> None:
        self._sources = sources
        self._folders = {
            name[:end]
            for name in sources
            if "." in name
            for end, char in enumerate(name)
            if char == "."
        }

    @property
    def loaded(self) -> list[ModuleVersion]:
        """All versions that are loaded, the newest last."""
        return list(self._loaded.values())

    def load(self, name: str) -> ModuleVersion:
        """Import a new version of a module, and of those modules it imports that have changed.

        Raises:
            ImportFailed: the module, or one that it imports, can't be imported. Nothing has changed
                then.
        """
        self._batch = {}
        self._bound, self._requested = [], set()
        self._failed.pop(name, None)
        try:
            version = self._version(name)
        except BaseException as error:
            failure = self._describe(name, error)
            self._failed[name] = {each: self._fingerprint(each) for each in self._requested}
            for package, bound in self._bound:
                self._unbind(package, bound)
            self._drop(*self._batch.values())
            raise failure from error
        else:
            self.current |= self._batch
            return version
        finally:
            self._batch = None

    def outdate(self, name: str) -> None:
        """Make the next import of a module create a new version, even if its file is unchanged."""
        self.current.pop(name, None)
        self._failed.pop(name, None)

    def is_known_to_fail(self, name: str) -> bool:
        """Whether the last import of a module failed, and no file involved has changed since."""
        found = self._failed.get(name, {})
        return bool(found) and all(self._fingerprint(each) == found[each] for each in found)

    def is_up_to_date(self, version: ModuleVersion) -> bool:
        """Whether a new import of the module would give an equal version."""
        if not version.imports:
            return self._has_same_source(version)
        return all(
            self._has_same_source(each)
            and all(self.current.get(name) is used for name, used in each.imports.items())
            for each in version.with_imports()
        )

    def _has_same_source(self, version: ModuleVersion) -> bool:
        source = self._sources.get(version.source.name)
        return source is not None and source.version == version.source.version

    def keep_only(self, needed: Iterable[ModuleVersion]) -> None:
        """Drop all versions except for these, the current ones of files and all imports of both."""
        for versions in (self.current, self._failed):
            for name in versions.keys() - self.sources.keys():
                del versions[name]
        keep = {*needed, *self.current.values()}
        for version in list(keep):
            if version.imports:
                keep |= version.with_imports()
        self._drop(*(set(self._loaded.values()) - keep))

    def show_source(self, version: ModuleVersion) -> None:
        """Make tracebacks quote the lines of this version, even if its file has changed."""
        file, data = str(version.source.path), version.source.data
        # Without a modification time, linecache does not compare the entry with the file.
        any_lines: Any = _Lines(data)
        linecache.cache[file] = (len(data), None, any_lines, file)

    # --- one version --------------------------------------------------------------------------

    def _version(self, name: str) -> ModuleVersion:
        """Return the version of a module that belongs to the batch: a new one where needed."""
        self._requested.add(name)
        if self._batch is not None and name in self._batch:
            return self._batch[name]
        current = self.current.get(name)
        if current is not None and self.is_up_to_date(current):
            self._requested.update(each.name for each in current.with_imports())
            return current
        if self._batch is None:  # an import statement in a function, after its module's import
            return self.load(name)
        return self._make(name, self._batch)

    def _make(self, name: str, batch: dict[str, ModuleVersion]) -> ModuleVersion:
        source = self.sources.get(name)
        if source is None:
            raise ModuleNotFoundError(f"there is no module {name!r} in the rules folder", name=name)
        version = ModuleVersion(source, new_module(source), self._make_scope(name))
        # Added before it is executed, as in sys.modules, since modules may import each other.
        batch[name] = version
        self._prepare(version)
        try:
            self._execute(version)
        except BaseException:
            del batch[name]
            self._drop(version)
            raise
        return version

    def _prepare(self, version: ModuleVersion) -> None:
        """Register a version before it is executed."""
        version.namespace["__builtins__"] = self._builtins
        if not self._loaded:
            sys.meta_path.insert(0, self._finder)
        self._loaded[version.module_name] = version
        self.show_source(version)

    def _execute(self, version: ModuleVersion) -> None:
        if version.source.problem:
            raise OSError(f"{version.source.path.name} {version.source.problem}")
        code = _compiled(version.source)
        with version.scope.active(), collect_rules() as rules:
            exec(code, version.namespace)  # noqa: S102 - an import executes code
        version.rules = rules or self._main_rule(version)
        version.is_executed = True

    def _main_rule(self, version: ModuleVersion) -> dict[str, Rule]:
        if version.source.is_helper:
            return {}
        main = main_rule(version.namespace, version.module_name)
        return {} if main is None else {main.name: main}

    def _drop(self, *versions: ModuleVersion) -> None:
        if not versions:
            return
        for version in versions:
            if self._loaded.pop(version.module_name, None) is not None and not self._loaded:
                _remove(self._finder, sys.meta_path)
        forget_modules([version.module_name for version in versions])
        for version in versions:
            version.scope.dispose()
            current = self.current.get(version.name)
            if current is not None and current is not version:
                self.show_source(current)
            else:
                linecache.cache.pop(str(version.source.path), None)

    # --- the import statement -----------------------------------------------------------------

    def _import(
        self,
        name: str,
        namespace: Mapping[str, Any] | None = None,
        local: Mapping[str, Any] | None = None,
        fromlist: Sequence[str] | None = (),
        level: int = 0,
    ) -> ModuleType:
        """Replace `__import__` in the modules of the rules folder; see there."""
        importing = self._loaded.get((namespace or {}).get("__name__", ""))
        if importing is None or (level == 0 and not self._is_ours(name)):
            self._requested.add(name.partition(".")[0])
            try:
                return builtins.__import__(name, namespace, local, fromlist, level)
            except ModuleNotFoundError as error:
                self._suggest_name(error, name)
                raise
        full_name = _absolute(importing.source, name, level)
        if not fromlist:
            return self._import_dotted(importing, full_name)
        module = self._import_one(importing, full_name)
        items = [*fromlist, *getattr(module, "__all__", ())] if "*" in fromlist else fromlist
        for item in items:
            part = f"{full_name}.{item}" if full_name else item
            self._requested.add(part)
            if not hasattr(module, item) and self._exists(part):
                setattr(module, item, self._import_one(importing, part))
        return module

    def _import_dotted(self, importing: ModuleVersion, name: str) -> ModuleType:
        """Import `a.b.c` as the statement `import a.b.c` does: bind the parts, return `a`."""
        top, *rest = name.split(".")
        module = result = self._import_one(importing, top)
        for part in rest:
            top = f"{top}.{part}"
            child = self._import_one(importing, top)
            if not hasattr(module, part):
                setattr(module, part, child)
            module = child
        return result

    def _import_one(self, importing: ModuleVersion, name: str) -> ModuleType:
        if name not in self.sources and (not name or self._exists(name)):
            return self._import_folder(importing, name)
        version = importing.imports.get(name) if importing.is_executed else None
        version = self._version_for(importing, name) if version is None else version
        importing.imports[name] = version
        self._bind_submodules(importing, version)
        return version.module

    def _version_for(self, importing: ModuleVersion, name: str) -> ModuleVersion:
        """Return the version of a module that another version gets when it imports it."""
        return self._version(name)

    def _import_folder(self, importing: ModuleVersion, name: str) -> ModuleType:
        """Return a module object for a folder without `__init__.py`, with the version's imports."""
        folder = importing.folders.get(name)
        if folder is None:
            path = self.folder.joinpath(*name.split("."))
            folder = importing.folders[name] = folder_module(name, path)
            for child, version in _directly_in(name, importing.imports):
                setattr(folder, child, version.module)
        return folder

    def _bind_submodules(self, importing: ModuleVersion, version: ModuleVersion) -> None:
        """Bind an imported module in its package, if the importer has imported that as well.

        So a package depends on the submodules that others have bound in it: with another version of
        a submodule, its importers get another version of the package. (Python itself binds a
        submodule in its package in any case.)
        """
        package, _, attribute = version.name.rpartition(".")
        if importing.name == package:
            self._bind(importing, version)
        elif package in importing.imports:
            self._bind(importing.imports[package], version)
        elif package in importing.folders:
            setattr(importing.folders[package], attribute, version.module)
        for _, child in _directly_in(version.name, importing.imports):
            self._bind(version, child)

    def _bind(self, package: ModuleVersion, version: ModuleVersion) -> None:
        attribute = version.name.rpartition(".")[2]
        if attribute in package.namespace:
            return
        package.namespace[attribute] = version.module
        package.imports[version.name] = version
        if self._batch is not None:
            self._bound.append((package, version))

    def _unbind(self, package: ModuleVersion, version: ModuleVersion) -> None:
        package.namespace.pop(version.name.rpartition(".")[2], None)
        package.imports.pop(version.name, None)

    def _source_of(self, module_name: str) -> Source | None:
        version = self._loaded.get(module_name)
        return None if version is None else version.source

    def _import_for(self, module_name: str, name: str) -> ModuleType | None:
        if not self._exists(name):
            return None
        return self._import_one(self._loaded[module_name], name)

    def _is_ours(self, name: str) -> bool:
        top = name.partition(".")[0]
        return top not in _NEVER_HIDDEN and self._exists(top)

    def _fingerprint(self, name: str) -> str:
        """Return the version of a module's source; "folder" for a folder, empty for neither."""
        source = self._sources.get(name)
        return ("folder" if name in self._folders else "") if source is None else source.version

    def _exists(self, name: str) -> bool:
        return name in self._sources or name in self._folders

    # --- errors -------------------------------------------------------------------------------

    def _describe(self, name: str, error: BaseException) -> ImportFailed:
        """Describe why and where an import failed: at the last line that is in the rules folder."""
        error = plain_error(error)
        problem = _VERSIONS.sub("", error_text(error).splitlines()[-1])
        if isinstance(error, SyntaxError) and isinstance(error.filename, str):
            return _describe_syntax(name, Path(error.filename), error, problem)
        frames = traceback.walk_tb(error.__traceback__)
        places = [(Path(frame.f_code.co_filename), line) for frame, line in frames]
        ours = [(file, line) for file, line in places if file.is_relative_to(self.folder)]
        if (cycle := self._cycle(error, [file for file, _ in ours])) is not None:
            problem += f" ({cycle}: move the code that both need into a third file)"
        elif (near := self._near_name(error)) is not None and "did you mean" not in problem.lower():
            problem += f": did you mean {near}?"
        if ours:
            file, line = ours[-1]
            return ImportFailed(name, file, line, self._line(file, line), problem)
        known = self.sources.get(name)
        return ImportFailed(name, known.path if known else self.folder, 0, "", problem)

    def _cycle(self, error: BaseException, files: Sequence[Path]) -> str | None:
        """Return which modules import each other, if an import failed because of that.

        Args:
            error: the error of the import.
            files: the files of the modules that were being imported, from the first on.
        """
        match error:
            case ImportError(name=str(name)):
                pass
            case AttributeError(obj=ModuleType(__name__=str(name))):
                pass
            case _:
                return None
        names = {source.path: each for each, source in self.sources.items()}
        importing = [names[file] for file in dict.fromkeys(files) if file in names]
        name = _VERSIONS.sub("", name).replace("/", ".")
        if name not in importing:
            return None
        *others, last = importing[importing.index(name) :]
        return f"{', '.join(others)} and {last} import each other" if others else None

    def _near_name(self, error: BaseException) -> str | None:
        """Return the name that was meant, if an import failed because of a misspelt one."""
        match error:
            case ModuleNotFoundError(name=str(wrong)):
                names = {*self._sources, *self._folders}
            case ImportError(name=str(module)) if found := _NOT_IN_MODULE.search(safe_str(error)):
                wrong, known = found["name"], sys.modules.get(module)
                package = _VERSIONS.sub("", module).replace("/", ".")
                inside = f"{package}." if package else ""
                names = {n.removeprefix(inside) for n in self._sources if n.startswith(inside)}
                if isinstance(known, ModuleType):  # a rule may have given it keys of any type
                    names.update(each for each in list(vars(known)) if type(each) is str)
            case _:
                return None
        near = difflib.get_close_matches(wrong, sorted(names - {wrong}), n=1, cutoff=0.8)
        return near[0] if near else None

    def _suggest_name(self, error: ModuleNotFoundError, name: str) -> None:
        """Add a near name to the error of an import statement, which may be in a function."""
        if error.name == name and (near := self._near_name(error)) is not None:
            error.msg = f"{error.msg}: did you mean {near}?"

    def _line(self, file: Path, number: int) -> str:
        """Return a line of the imported source: linecache has the old version again by now."""
        data = next((each.data for each in self.sources.values() if each.path == file), b"")
        return dict(enumerate(_lines(data), start=1)).get(number, "").rstrip("\n")


def check_syntax(source: Source) -> ImportFailed | None:
    """Return why a source is not valid Python; None if it is. Nothing of it is executed."""
    if source.problem:
        problem = f"{source.path.name} {source.problem}"
        return ImportFailed(source.name, source.path, 0, "", problem)
    try:
        _compiled(source)
    except SyntaxError as error:
        problem = error_text(error).splitlines()[-1]
        return _describe_syntax(source.name, source.path, error, problem)
    except (ValueError, RecursionError, MemoryError) as error:
        return ImportFailed(source.name, source.path, 0, "", error_text(error).splitlines()[-1])
    return None


def _compiled(source: Source) -> CodeType:
    return compile(source.data, str(source.path), "exec", dont_inherit=True)


def _describe_syntax(name: str, file: Path, error: SyntaxError, problem: str) -> ImportFailed:
    text = safe_str(error.text or "").rstrip("\n")
    line = error.lineno if isinstance(error.lineno, int) else 0
    return ImportFailed(name, file, line, text, problem)


def _remove(finder: MetaPathFinder, finders: list[Any]) -> None:
    """Remove a finder from a list, which rules may have changed."""
    finders[:] = [each for each in finders if each is not finder]


def _directly_in(
    package: str, versions: Mapping[str, ModuleVersion]
) -> list[tuple[str, ModuleVersion]]:
    """Return the direct submodules of a package, with the last parts of their names."""
    inside = f"{package}."
    parts = [(n.removeprefix(inside), v) for n, v in versions.items() if n.startswith(inside)]
    return [(part, version) for part, version in parts if "." not in part]


class _Lines(Sequence[str]):
    """The lines of a source, split when they are first read: most sources are never quoted."""

    def __init__(self, data: bytes) -> None:
        self._data = data

    @functools.cached_property
    def _lines(self) -> list[str]:
        return _lines(self._data)

    @overload
    def __getitem__(self, index: int) -> str: ...
    @overload
    def __getitem__(self, index: slice) -> list[str]: ...
    def __getitem__(self, index: int | slice) -> str | list[str]:
        return self._lines[index]

    def __len__(self) -> int:
        return len(self._lines)


def _lines(data: bytes) -> list[str]:
    try:
        text = importlib.util.decode_source(data)
    except (SyntaxError, UnicodeDecodeError):
        text = data.decode(errors="replace")
    return text.splitlines(keepends=True)


def _absolute(source: Source, name: str, level: int) -> str:
    """Return the full name of a module that another imports; empty for the rules folder."""
    if level == 0:
        return name
    package = source.package.split(".") if source.package else []
    if level - 1 > len(package):
        raise ImportError("attempted relative import beyond the rules folder")
    base = package[: len(package) - (level - 1)]
    return ".".join([*base, name] if name else base)
