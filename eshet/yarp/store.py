"""Values that are kept in files, as JSON: written atomically, and never by pickle.

A *store* holds one value, with the version of its format. A *store configuration* is a place in a
tree of stores, of which `config / "hall" / "light"` is another one:

    FileStoreConfig     a file for each, in folders
    FakeStoreConfig     in memory, for tests
    NullStoreConfig     nothing is kept

What can't be loaded is reported, put aside and replaced by a default, so that a rule always starts.
"""

import abc
import atexit
import copy
import json
import os
import pickle
from collections.abc import Callable, Iterable
from pathlib import Path
from typing import Any, Final, NamedTuple

from eshet.exceptions import ReactiveTypeError
from eshet.private_files import make_private_folder, write_privately
from eshet.reactive.conversions import on_value
from eshet.reactive.core.markers import NoValue, PlainValue
from eshet.reactive.core.value import Value
from eshet.scope import report_error

__all__ = [
    "FakeData",
    "FakeStoreConfig",
    "FileStoreConfig",
    "NullStoreConfig",
    "Store",
    "StoreConfig",
    "Stored",
    "default_store",
    "file_backed_value",
    "null_store",
]

Validate = Callable[[Any], object]
Convert = Callable[[int, Any], Any]

_PICKLE_STARTS_WITH: Final = b"\x80"


class Stored(NamedTuple):
    """A value as it is kept, and the version of its format."""

    version: int
    value: Any


class Store(abc.ABC):
    """One value that is kept.

    Args:
        version: of the format that it is stored in from now on.
    """

    def __init__(self, *, version: int = 0) -> None:
        self.version = version

    @property
    @abc.abstractmethod
    def name(self) -> str:
        """What people are told that this is."""

    @abc.abstractmethod
    def read(self) -> Stored | None:
        """Return what is kept; None if nothing ever was.

        Raises:
            Exception: what is there can't be read.
        """

    @abc.abstractmethod
    def write(self, stored: Stored) -> None:
        """Keep this instead; if it raises, what was kept still is."""

    @abc.abstractmethod
    def store_atexit(self, get_value: Callable[[], Any]) -> None:
        """Store what a function returns when the program ends, or this is closed."""

    def put_aside(self) -> None:  # noqa: B027 - only files can
        """Keep what can't be loaded where it is not written over."""

    def close(self) -> None:  # noqa: B027 - most have nothing to do then
        """End this; what was given to `store_atexit` is stored now."""

    def load(
        self, default: Any, validate: Validate | None = None, convert: Convert | None = None
    ) -> Any:
        """Return what was stored.

        Args:
            default: what to return if nothing was, or if it can't be loaded, which is reported.
            validate: called with what was stored; raises if that is of no use.
            convert: called with another version and what was stored in that, for what that is in
                this one. Without it, another version can't be loaded.
        """
        try:
            stored = self.read()
            if stored is None:
                return default
            value = stored.value if stored.version == self.version else self._new(stored, convert)
            if validate is not None:
                validate(value)
        except Exception as error:
            report_error(error, f"loading {self.name}")
            self.put_aside()
            return default
        return value

    def store(self, value: Any) -> None:
        """Keep a value; `NoValue` is one, too.

        Raises:
            ReactiveTypeError: JSON has no such value. What was kept still is.
            OSError: it can't be written. What was kept still is.
        """
        self.write(Stored(self.version, value))

    def _new(self, stored: Stored, convert: Convert | None) -> Any:
        if convert is None:
            raise ReactiveTypeError(
                f"it is of version {stored.version}, not {self.version}: give `convert`"
            )
        return convert(stored.version, stored.value)


class StoreConfig(abc.ABC):
    """A place in a tree of stores.

    Args:
        path: the names on the way to it.
    """

    def __init__(self, path: Iterable[str] = ()) -> None:
        self.path = tuple(path)

    def __truediv__(self, name: str) -> "StoreConfig":
        return self.at((*self.path, name))

    @abc.abstractmethod
    def at(self, path: tuple[str, ...]) -> "StoreConfig":
        """Return another place of the same tree."""

    @abc.abstractmethod
    def build(self, *, version: int = 0) -> Store:
        """Return the store of this place."""

    def build_value(
        self,
        initial_value: Any = NoValue,
        inputs: Iterable[PlainValue] = (),
        store_initial: bool = False,
        validate: Validate | None = None,
        convert: Convert | None = None,
        *,
        version: int = 0,
    ) -> Value[Any]:
        """Return a Value that is loaded from here, and stored here at each change.

        Args:
            initial_value: what it is if nothing can be loaded.
            inputs: see `Value`.
            store_initial: whether that is stored, too.
            validate: see `Store.load`.
            convert: see `Store.load`.
            version: see `Store`.
        """
        store = self.build(version=version)
        value: Value[Any] = Value(store.load(initial_value, validate, convert), inputs)
        on_value(value, store.store, current=store_initial)
        return value


class FileStore(Store):
    """A value in a file of JSON."""

    def __init__(self, file: Path, *, version: int = 0, reads_pickle: bool = False) -> None:
        super().__init__(version=version)
        self._file = file
        self._reads_pickle = reads_pickle
        self._at_exit: list[Callable[[], None]] = []

    @property
    def name(self) -> str:
        """The path of the file."""
        return str(self._file)

    def read(self) -> Stored | None:
        """Return what is in the file."""
        try:
            content = self._file.read_bytes()
        except FileNotFoundError:
            return None
        if content.startswith(_PICKLE_STARTS_WITH):
            return Stored(self.version, self._unpickled(content))
        entry = json.loads(content)
        return Stored(entry["version"], entry.get("value", NoValue))

    def write(self, stored: Stored) -> None:
        """Write the file beside the old one, and then put it in its place: there is always one."""
        entry = {"version": stored.version}
        if stored.value is not NoValue:
            entry["value"] = stored.value
        try:
            content = json.dumps(entry, ensure_ascii=False, allow_nan=False)
        except (TypeError, ValueError) as error:
            raise ReactiveTypeError(f"{self.name} is of JSON, and can't hold it: {error}") from None
        make_private_folder(self._file.parent)
        write_privately(self._file, f"{content}\n".encode())

    def put_aside(self) -> None:
        """Rename the file, if it is there."""
        if self._file.exists():
            self._file.replace(self._file.with_name(self._file.name + ".unreadable"))

    def store_atexit(self, get_value: Callable[[], Any]) -> None:
        """Store what a function returns when the program ends, or this is closed."""

        def store() -> None:
            self.store(get_value())

        self._at_exit.append(store)
        atexit.register(store)

    def close(self) -> None:
        """End this; what was given to `store_atexit` is stored now."""
        for store in self._at_exit:
            atexit.unregister(store)
            store()
        self._at_exit.clear()

    def _unpickled(self, content: bytes) -> Any:
        if not self._reads_pickle:
            raise ReactiveTypeError(
                "it is a pickle, which runs what is in it: if you trust the file, read it once "
                "with `file_backed_value(..., read_pickle=True)`; from then on it is JSON"
            )
        return pickle.loads(content)  # noqa: S301 - which the user has asked for, in these words


class FileStoreConfig(StoreConfig):
    """A tree of stores in folders: the value of a path is in `base_dir/path/state.json`."""

    def __init__(self, path: Iterable[str] = (), base_dir: str | os.PathLike[str] = ".") -> None:
        super().__init__(path)
        self.base_dir = Path(base_dir)

    def at(self, path: tuple[str, ...]) -> "FileStoreConfig":
        """Return another place below the same folder."""
        return FileStoreConfig(path, self.base_dir)

    def build(self, *, version: int = 0) -> FileStore:
        """Return the store of the file here."""
        return FileStore(self.base_dir.joinpath(*self.path, "state.json"), version=version)


class FakeData:
    """What the stores of a `FakeStoreConfig` keep."""

    def __init__(self) -> None:
        self.stored: dict[tuple[str, ...], Stored] = {}
        self.atexits: list[Callable[[], None]] = []

    def __deepcopy__(self, memo: dict[int, Any]) -> "FakeData":
        data = FakeData()
        data.stored = copy.deepcopy(self.stored, memo)
        return data

    def run_atexits(self) -> None:
        """Do what the end of the program would."""
        while self.atexits:
            self.atexits.pop()()


class _FakeStore(Store):
    def __init__(self, path: tuple[str, ...], data: FakeData, *, version: int) -> None:
        super().__init__(version=version)
        self._path = path
        self._data = data

    @property
    def name(self) -> str:
        return "/".join(self._path)

    def read(self) -> Stored | None:
        return copy.deepcopy(self._data.stored.get(self._path))

    def write(self, stored: Stored) -> None:
        self._data.stored[self._path] = copy.deepcopy(stored)

    def store_atexit(self, get_value: Callable[[], Any]) -> None:
        self._data.atexits.append(lambda: self.store(get_value()))


class FakeStoreConfig(StoreConfig):
    """A tree of stores in memory. A deep copy of it is another tree, with the same in it."""

    def __init__(self, path: Iterable[str] = (), data: FakeData | None = None) -> None:
        super().__init__(path)
        self.data = FakeData() if data is None else data

    def at(self, path: tuple[str, ...]) -> "FakeStoreConfig":
        """Return another place in the same memory."""
        return FakeStoreConfig(path, self.data)

    def build(self, *, version: int = 0) -> Store:
        """Return the store of this place."""
        return _FakeStore(self.path, self.data, version=version)


class _NullStore(Store):
    @property
    def name(self) -> str:
        return "the store that keeps nothing"

    def read(self) -> Stored | None:
        return None

    def write(self, stored: Stored) -> None:
        pass

    def store_atexit(self, get_value: Callable[[], Any]) -> None:
        pass


class NullStoreConfig(StoreConfig):
    """A tree of stores that keep nothing."""

    def at(self, path: tuple[str, ...]) -> "NullStoreConfig":
        """Return another one that keeps nothing."""
        return NullStoreConfig(path)

    def build(self, *, version: int = 0) -> Store:
        """Return a store that keeps nothing."""
        return _NullStore(version=version)


null_store: Final = NullStoreConfig()

default_store: Final = FileStoreConfig(base_dir=os.environ.get("YARP_STORE_PATH", "."))
"""The stores in the folder that `$YARP_STORE_PATH` names, or else in the current one."""


def file_backed_value(
    filename: str | os.PathLike[str], initial_value: Any = NoValue, *, read_pickle: bool = False
) -> Value[Any]:
    """Return a Value that is loaded from a file of JSON, and stored there now and at each change.

    Args:
        filename: the path of the file. Without it, or if it can't be read, which is reported, the
            Value begins with `initial_value`; what can't be read is kept beside it, with
            `.unreadable` at the end of its name.
        initial_value: what it is without a file.
        read_pickle: whether to read what plain yarp has written. A pickle runs what is in it: say
            so only of a file that nobody else can have written. It is JSON from then on.
    """
    store = FileStore(Path(filename), reads_pickle=read_pickle)
    value: Value[Any] = Value(store.load(initial_value))
    on_value(value, store.store)
    return value
