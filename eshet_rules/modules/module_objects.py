"""Module objects of versions, which satisfy Python's import machinery.

A version has a unique name in `sys.modules`: `upstairs/bath@3f2a91bc#7`. The name has no dot, since
`pickle` and `importlib` would first import the part before it. The module object has `__spec__` and
`__package__`, so that `importlib.resources.files(__package__)` finds the files beside it, and
`importlib.import_module(".lamps", __package__)` returns the version that belongs to it.

The package of a module is a module object of its own, created when it is first imported.
"""

import itertools
import logging
import re
import sys
from collections.abc import Callable, Iterable, Sequence
from importlib.abc import Loader, MetaPathFinder
from importlib.machinery import ModuleSpec, SourceFileLoader
from pathlib import Path
from types import ModuleType
from typing import Any, Final

from eshet_rules.modules.discovery import Source

__all__ = [
    "PackageFinder",
    "folder_module",
    "forget_modules",
    "module_of_file",
    "new_module",
    "plain_name",
]

_PACKAGE: Final = ":package"
"""The name of the package of a version is the name of the version with this suffix."""

_VERSION: Final = re.compile(r"(.*)@[0-9a-f]{8}#\d+", re.DOTALL)

_serial: Final = itertools.count(1)


class _Spec(ModuleSpec):
    """A spec of a module whose package can't be derived from its name.

    Args:
        name: the name of the module object.
        file: the file of its source.
        package: the package of the module; None if it is itself a package.
    """

    def __init__(self, name: str, file: Path, package: str | None) -> None:
        super().__init__(name, _FileLoader(name, str(file)), origin=str(file))
        self._package = name if package is None else package
        if package is None:
            self.submodule_search_locations = [str(file.parent)]

    @property
    def parent(self) -> str:
        """The name of the package."""
        return self._package


def new_module(source: Source, name: str | None = None) -> ModuleType:
    """Create a module object for a new version, and add it to `sys.modules` under its own name.

    Args:
        source: the source of the version.
        name: its name in another process; None for a new, unique name.
    """
    if name is None:
        name = f"{source.name.replace('.', '/')}@{source.version}#{next(_serial)}"
    is_package = source.path.name == "__init__.py"
    module = _of_spec(_Spec(name, source.path, None if is_package else name + _PACKAGE))
    module.__file__ = str(source.path)
    sys.modules[name] = module
    return module


def plain_name(module: str) -> str | None:
    """Return the name of a module (`upstairs.bath`), given the name of a version's module object.

    Returns None for the name of any other module.
    """
    match = _VERSION.fullmatch(module)
    return match and match[1].replace("/", ".")


def module_of_file(file: str) -> str | None:
    """Return the name of the module of rules that was loaded from a file; None if there is none."""
    for name, module in list(sys.modules.items()):
        # Rules may have added keys and modules of any type.
        plain = plain_name(name) if type(name) is str else None
        if plain and issubclass(type(module), ModuleType) and vars(module).get("__file__") == file:
            return plain
    return None


def folder_module(name: str, folder: Path) -> ModuleType:
    """Create a module object for a folder without `__init__.py`, in which to bind its modules."""
    return _of_spec(_Spec(name, folder / "__init__.py", None))


def forget_modules(names: Iterable[str]) -> None:
    """Remove modules, their packages, and the loggers named after them from global tables.

    Args:
        names: their names in `sys.modules`.
    """
    removed = frozenset(names)
    tables: tuple[dict[str, Any], ...] = (sys.modules, logging.root.manager.loggerDict)
    for table in tables:
        # Rules may have added keys of any type.
        for each in [key for key in list(table) if type(key) is str]:
            if each.partition(".")[0].removesuffix(_PACKAGE) in removed:
                table.pop(each, None)


class _FileLoader(SourceFileLoader):
    """Provides the source and resources of a module; the importer executes it."""

    def exec_module(self, module: ModuleType) -> None:
        """Do nothing: a package that is created on demand has no code."""


class PackageFinder(MetaPathFinder):
    """Finds packages of versions, and modules in them, for `importlib`.

    Args:
        source_of: returns the source of a version by the name of its module object; None if there
            is none.
        import_for: imports a module for a version, given the name of the version's module object
            and the plain name of the module; returns None if the module does not exist.
    """

    def __init__(
        self,
        source_of: Callable[[str], Source | None],
        import_for: Callable[[str, str], ModuleType | None],
    ) -> None:
        self._source_of = source_of
        self._import_for = import_for

    def find_spec(
        self, fullname: str, path: Sequence[str] | None = None, target: ModuleType | None = None
    ) -> ModuleSpec | None:
        """See `importlib.abc.MetaPathFinder`."""
        head, _, rest = fullname.partition(".")
        name = head.removesuffix(_PACKAGE)
        source = self._source_of(name)
        if source is None:
            return None
        if not rest:
            return None if head == name else _Spec(head, source.path.with_name("__init__.py"), None)
        module = self._import_for(name, f"{source.package}.{rest}".removeprefix("."))
        return None if module is None else ModuleSpec(fullname, _Loaded(module))


class _Loaded(Loader):
    """Returns a module that is loaded already to importlib."""

    def __init__(self, module: ModuleType) -> None:
        self._module = module
        self._spec = module.__spec__

    def create_module(self, spec: ModuleSpec) -> ModuleType:
        return self._module

    def exec_module(self, module: ModuleType) -> None:
        module.__spec__ = self._spec  # importlib has replaced it


def _of_spec(spec: _Spec) -> ModuleType:
    module = ModuleType(spec.name)
    module.__spec__ = spec
    module.__loader__ = spec.loader
    module.__package__ = spec.parent
    if spec.submodule_search_locations is not None:
        module.__path__ = list(spec.submodule_search_locations)
    return module
