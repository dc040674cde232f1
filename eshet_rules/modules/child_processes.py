"""Makes rule modules available in processes that rules start with `multiprocessing`.

A forked process has all modules. A spawned one has none, and objects that are sent to it name
versions such as `hall@3f2a91bc#7`, which no import finds. So each process of `multiprocessing` gets
the sources of all versions that are loaded when it starts, and imports those that it needs, under
the same names.

The sources are sent in the process configuration of `multiprocessing`, which children inherit and
read before all other data.
"""

import importlib
import sys
from collections.abc import Iterator, Mapping, Sequence
from contextlib import contextmanager
from dataclasses import dataclass
from importlib.abc import Loader, MetaPathFinder
from importlib.machinery import ModuleSpec
from multiprocessing.process import current_process
from pathlib import Path
from types import ModuleType
from typing import Any, Final

from eshet.scope import Scope
from eshet_rules.modules.discovery import Source
from eshet_rules.modules.importer import Importer, ModuleVersion
from eshet_rules.modules.module_objects import new_module, plain_name

__all__ = ["carried_to_children"]


@contextmanager
def carried_to_children(importer: Importer) -> Iterator[None]:
    """Make an importer's modules available in processes started within a `with` statement."""
    configuration: dict[str, Any] = vars(current_process())["_config"]
    key = f"eshet_rules {id(importer)}"
    configuration[key] = _Carrier(importer)
    try:
        yield
    finally:
        del configuration[key]


@dataclass(frozen=True)
class _Carried:
    """A version of a module, in the form in which it is sent to a process.

    Args:
        name: the name of its module object.
        source: its source.
        imports: the names of the module objects that it has imported, by the names of modules.
    """

    name: str
    source: Source
    imports: dict[str, str]


class _Carrier:
    """Pickles as all versions that are loaded at that time."""

    def __init__(self, importer: Importer) -> None:
        self._importer = importer

    def __reduce__(self) -> tuple[Any, ...]:
        carried = [
            _Carried(
                version.module_name,
                version.source,
                {name: each.module_name for name, each in version.imports.items()},
            )
            for version in self._importer.loaded
        ]
        return _receive, (self._importer.folder, carried)


class _Received:
    """Pickles as the versions that were received, for processes that the child starts."""

    def __init__(self, folder: Path, carried: Sequence[_Carried]) -> None:
        self._args = (folder, carried)

    def __reduce__(self) -> tuple[Any, ...]:
        return _receive, self._args


def _receive(folder: Path, carried: Sequence[_Carried]) -> _Received:
    importer = _ChildImporter(folder, {each.name: each for each in carried})
    sys.meta_path.insert(0, _CarriedFinder(importer))
    return _Received(folder, carried)


class _ChildImporter(Importer):
    """Imports the versions of the parent process in a child process."""

    def __init__(self, folder: Path, carried: Mapping[str, _Carried]) -> None:
        super().__init__(folder)
        self.carried: Final = carried
        self.sources = {each.source.name: each.source for each in carried.values()}
        self._newest = {each.source.name: each.name for each in carried.values()}

    def new_version(self, name: str) -> ModuleVersion:
        """Return a new version, which is not executed yet, by the name of its module object."""
        source = self.carried[name].source
        version = ModuleVersion(source, new_module(source, name), Scope(source.name))
        self._prepare(version)
        return version

    def execute(self, version: ModuleVersion) -> None:
        """Execute a version."""
        self._execute(version)

    def _version_for(self, importing: ModuleVersion, name: str) -> ModuleVersion:
        imports = self.carried[importing.module_name].imports
        module = importlib.import_module(imports.get(name) or self._newest[name])
        return self._loaded[module.__name__]


class _CarriedFinder(MetaPathFinder, Loader):
    """Finds the modules of a child importer for `importlib`."""

    def __init__(self, importer: _ChildImporter) -> None:
        self._importer = importer
        self._executing: dict[str, ModuleVersion] = {}

    def find_spec(
        self, fullname: str, path: Sequence[str] | None = None, target: ModuleType | None = None
    ) -> ModuleSpec | None:
        """See `importlib.abc.MetaPathFinder`."""
        if fullname in self._importer.carried:
            return ModuleSpec(fullname, self)
        if (name := plain_name(fullname)) is not None:
            raise ModuleNotFoundError(
                f"module {name!r} was loaded after this process was started; "
                "start processes and create pools in the rule that uses them",
                name=fullname,
            )
        return None

    def create_module(self, spec: ModuleSpec) -> ModuleType:
        """Create the module object."""
        version = self._importer.new_version(spec.name)
        self._executing[spec.name] = version
        self._spec = version.module.__spec__
        return version.module

    def exec_module(self, module: ModuleType) -> None:
        """Execute the module."""
        version = self._executing.pop(module.__name__)
        module.__spec__ = self._spec  # importlib has replaced it
        self._importer.execute(version)
