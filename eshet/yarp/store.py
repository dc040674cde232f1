"""Values saved in files, as JSON: written atomically, and never by pickle.

A *store* holds one value, with the version of its format. A *store configuration* is a place in a
tree of stores; `config / "hall" / "light"` is another place in the same tree:

    FileStoreConfig     one file per store, in folders
    FakeStoreConfig     in memory, for tests
    NullStoreConfig     saves nothing

A value that can't be loaded is reported, set aside and replaced by a default, so that a rule always
starts.
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
Convert = Callable[[int, Any], object]

_PICKLE_STARTS_WITH: Final = b"\x80"


class Stored(NamedTuple):
    """A value as stored, and the version of its format."""

    version: int
    value: Any


class Store(abc.ABC):
    """Stores one value.

    Args:
        version: the version of the format to store.
    """

    def __init__(self, *, version: int = 0) -> None:
        self.version = version

    @property
    @abc.abstractmethod
    def name(self) -> str:
        """The name of this store in messages."""

    @abc.abstractmethod
    def read(self) -> Stored | None:
        """Return the stored value; None if there is none.

        Raises:
            Exception: it can't be read.
        """

    @abc.abstractmethod
    def write(self, stored: Stored) -> None:
        """Replace the stored value; if this raises, the old one is kept."""

    @abc.abstractmethod
    def store_atexit(self, get_value: Callable[[], object]) -> None:
        """Store the result of a function when the program ends, or when this is closed."""

    def put_aside(self) -> None:  # noqa: B027 - only files can
        """Move stored data that can't be loaded to where it is not overwritten."""

    def close(self) -> None:  # noqa: B027 - most have nothing to do then
        """Close the store; call the functions passed to `store_atexit`, and store their results."""

    def load(
        self, default: object, validate: Validate | None = None, *, convert: Convert | None = None
    ) -> Any:
        """Return the stored value.

        Args:
            default: returned if there is none, or if it can't be loaded, which is reported.
            validate: called with the stored value; raises if that is not valid.
            convert: called with an old version and the value stored in it; returns the value in
                the present format. Without it, other versions can't be loaded.
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

    def store(self, value: object) -> None:
        """Store a value, or `NoValue`.

        Raises:
            ReactiveTypeError: JSON can't represent it. The old value is kept.
            OSError: it can't be written. The old value is kept.
        """
        self.write(Stored(self.version, value))

    def _new(self, stored: Stored, convert: Convert | None) -> object:
        if convert is None:
            raise ReactiveTypeError(
                f"it is of version {stored.version}, not {self.version}: pass `convert`"
            )
        return convert(stored.version, stored.value)


class StoreConfig(abc.ABC):
    """A place in a tree of stores.

    Args:
        path: the names along the path to it.
    """

    def __init__(self, path: Iterable[str] = ()) -> None:
        self.path: tuple[str, ...] = tuple(path)

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
        initial_value: object = NoValue,
        inputs: Iterable[PlainValue] = (),
        *,
        store_initial: bool = False,
        validate: Validate | None = None,
        convert: Convert | None = None,
        version: int = 0,
    ) -> Value[Any]:
        """Return a Value that is loaded from here, and stored here at each change.

        Args:
            initial_value: its value if nothing can be loaded.
            inputs: see `Value`.
            store_initial: whether to store the initial value as well.
            validate: see `Store.load`.
            convert: see `Store.load`.
            version: see `Store`.
        """
        store = self.build(version=version)
        value: Value[Any] = Value(store.load(initial_value, validate, convert=convert), inputs)
        on_value(value, store.store, current=store_initial)
        return value


class FileStore(Store):
    """A value in a JSON file."""

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
        """Return the content of the file."""
        try:
            content = self._file.read_bytes()
        except FileNotFoundError:
            return None
        if content.startswith(_PICKLE_STARTS_WITH):
            return Stored(self.version, self._unpickled(content))
        entry = json.loads(content)
        return Stored(entry["version"], entry.get("value", NoValue))

    def write(self, stored: Stored) -> None:
        """Write a new file, and rename it over the old one, so that there is always one."""
        entry = {"version": stored.version}
        if stored.value is not NoValue:
            entry["value"] = stored.value
        try:
            content = json.dumps(entry, ensure_ascii=False, allow_nan=False)
        except (TypeError, ValueError) as error:
            raise ReactiveTypeError(f"{self.name} is JSON: it can't hold it: {error}") from None
        make_private_folder(self._file.parent)
        write_privately(self._file, f"{content}\n".encode())

    def put_aside(self) -> None:
        """Rename the file, if it exists."""
        if self._file.exists():
            self._file.replace(self._file.with_name(self._file.name + ".unreadable"))

    def store_atexit(self, get_value: Callable[[], object]) -> None:
        """Store the result of a function when the program ends, or when this is closed."""

        def store() -> None:
            self.store(get_value())

        self._at_exit.append(store)
        atexit.register(store)

    def close(self) -> None:
        """Close the store; call the functions passed to `store_atexit`, and store their results."""
        for store in self._at_exit:
            atexit.unregister(store)
            store()
        self._at_exit.clear()

    def _unpickled(self, content: bytes) -> object:
        if not self._reads_pickle:
            raise ReactiveTypeError(
                "it is a pickle, which can run any code: if you trust the file, read it once "
                "with `file_backed_value(..., read_pickle=True)`; from then on it is JSON"
            )
        return pickle.loads(content)  # noqa: S301 - the user has explicitly asked for it


class FileStoreConfig(StoreConfig):
    """A tree of stores in folders: the value of a path is in `base_dir/path/state.json`."""

    def __init__(self, path: Iterable[str] = (), base_dir: str | os.PathLike[str] = ".") -> None:
        super().__init__(path)
        self.base_dir: Path = Path(base_dir)

    def at(self, path: tuple[str, ...]) -> "FileStoreConfig":
        """Return another place below the same folder."""
        return FileStoreConfig(path, self.base_dir)

    def build(self, *, version: int = 0) -> FileStore:
        """Return the store of the file here."""
        return FileStore(self.base_dir.joinpath(*self.path, "state.json"), version=version)


class FakeData:
    """The contents of a `FakeStoreConfig`."""

    def __init__(self) -> None:
        self.stored: dict[tuple[str, ...], Stored] = {}
        self.atexits: list[Callable[[], None]] = []

    def __deepcopy__(self, memo: dict[int, Any]) -> "FakeData":
        data = FakeData()
        data.stored = copy.deepcopy(self.stored, memo)
        return data

    def run_atexits(self) -> None:
        """Do the work that is registered for the end of the program."""
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

    def store_atexit(self, get_value: Callable[[], object]) -> None:
        self._data.atexits.append(lambda: self.store(get_value()))


class FakeStoreConfig(StoreConfig):
    """A tree of stores in memory. A deep copy of it is another tree, with the same contents."""

    def __init__(self, path: Iterable[str] = (), data: FakeData | None = None) -> None:
        super().__init__(path)
        self.data: FakeData = FakeData() if data is None else data

    def at(self, path: tuple[str, ...]) -> "FakeStoreConfig":
        """Return another place in the same memory."""
        return FakeStoreConfig(path, self.data)

    def build(self, *, version: int = 0) -> Store:
        """Return the store of this place."""
        return _FakeStore(self.path, self.data, version=version)


class _NullStore(Store):
    @property
    def name(self) -> str:
        return "the store that saves nothing"

    def read(self) -> Stored | None:
        return None

    def write(self, stored: Stored) -> None:
        pass

    def store_atexit(self, get_value: Callable[[], object]) -> None:
        pass


class NullStoreConfig(StoreConfig):
    """A tree of stores that save nothing."""

    def at(self, path: tuple[str, ...]) -> "NullStoreConfig":
        """Return another place, which saves nothing either."""
        return NullStoreConfig(path)

    def build(self, *, version: int = 0) -> Store:
        """Return a store that saves nothing."""
        return _NullStore(version=version)


null_store: Final = NullStoreConfig()

default_store: Final = FileStoreConfig(base_dir=os.environ.get("YARP_STORE_PATH", "."))
"""The stores in the folder named by `$YARP_STORE_PATH`, or else in the current one."""


def file_backed_value(
    filename: str | os.PathLike[str], initial_value: object = NoValue, *, read_pickle: bool = False
) -> Value[Any]:
    """Return a Value that is loaded from a JSON file, and stored there now and at each change.

    Args:
        filename: the path of the file. If the file does not exist, or can't be read, which is
            reported, the Value starts with `initial_value`. A file that can't be read is renamed,
            with `.unreadable` at the end of its name.
        initial_value: the value without a file.
        read_pickle: whether to read files of plain yarp, which are pickles. A pickle can run any
            code: use this only for a file that no other user can have written. It is JSON from
            then on.
    """
    store = FileStore(Path(filename), reads_pickle=read_pickle)
    value: Value[Any] = Value(store.load(initial_value))
    on_value(value, store.store)
    return value
