"""Maps objects of an old version's classes to the classes of the new version.

Each version of a module defines its own classes. An old member of an enum is not equal to the new
one of the same name, and an old object has the old methods. So when state is handed over, classes
of the old version are replaced by those of the same name in the new one. If that is not possible,
the state is `Lost`, with the reason.
"""

import copy
import dataclasses
import enum
import functools
import operator
from collections import deque
from collections.abc import Callable, Iterable, Iterator
from types import FunctionType
from typing import Any, Final

from eshet.reactive.handover.handover import Lost
from eshet.text import safe_repr
from eshet_rules.modules.importer import ModuleVersion
from eshet_rules.modules.module_objects import plain_name

__all__ = ["ClassMapping"]

_SCALARS: Final = frozenset({type(None), bool, int, float, complex, str, bytes})
_SEQUENCES: Final = (list, tuple, set, frozenset, deque)
_CONTAINERS: Final = frozenset({*_SEQUENCES, dict})
_MAX_DEPTH: Final = 64


class ClassMapping:
    """Replaces classes of old versions by those of a new one.

    Args:
        version: the new version; the classes of the modules that it imports are mapped as well.
    """

    def __init__(self, version: ModuleVersion) -> None:
        self._modules: Final = {each.name: each for each in version.with_imports()}

    def __call__(self, value: Any) -> Any:
        """Return the value with classes of the new version, or `Lost`; never raises.

        Returns the same object if it contains nothing of an old version.
        """
        try:
            # No map() here or below: an object that raises StopIteration would cut it short.
            if not any(self._is_old(each) for each in _objects_in(value)):
                return value
            return self._mapped(value, 0, {})
        except _NotMappableError as error:
            return Lost(str(error))
        except BaseException as error:  # methods of user objects may raise any exception
            return Lost(f"its state can't be handed over: {safe_repr(error)}")

    def copied(self, value: Any) -> Any:
        """Return a copy that does not change when the value is changed in place; never raises.

        Containers, dataclasses and named tuples in it are copied, other objects are not. If that
        is not possible, as in a list that contains itself, the result is the value itself.
        """
        try:
            return self._mapped(value, 0, {})
        except BaseException:  # methods of user objects may raise any exception
            return value

    def _is_old(self, value: Any) -> bool:
        """Whether a value is a class or function, or an instance of a class, of an old version."""
        if type(value) in _CONTAINERS:
            return False
        defined = value if isinstance(value, type | FunctionType) else type(value)
        module = _module_of(defined)
        name = plain_name(module)
        if name is None:
            return False
        newest = self._modules.get(name)
        return newest is None or newest.module_name != module

    def _mapped(self, value: Any, depth: int, done: dict[int, tuple[Any, Any]]) -> Any:
        """Return a value with classes of the new version.

        Args:
            value: a value of the old version.
            depth: the depth of its nesting.
            done: old and new values, by the ids of the old ones, so that an object that occurs
                twice is mapped to one object. The old values are kept so that ids stay unique.
        """
        if type(value) in _SCALARS:
            return value
        if id(value) not in done:
            done[id(value)] = value, self._made(value, depth, done)
        return done[id(value)][1]

    def _made(self, value: Any, depth: int, done: dict[int, tuple[Any, Any]]) -> Any:
        if depth > _MAX_DEPTH:
            raise _NotMappableError(
                f"it contains objects of the old version, and is nested over {_MAX_DEPTH} deep"
            )
        if isinstance(value, type | FunctionType):
            return self._namesake(value) if self._is_old(value) else value
        map_value = functools.partial(self._mapped, depth=depth + 1, done=done)
        if isinstance(value, enum.Enum):
            return self._member(value) if self._is_old(value) else value
        if dataclasses.is_dataclass(value):
            return self._dataclass(value, map_value)
        if isinstance(value, tuple) and hasattr(value, "_fields"):
            return self._named_tuple(value, map_value)
        if self._is_old(value):
            raise _NotMappableError(
                f"it contains an object of the old {_name_of(type(value))}: "
                "make that class a dataclass or an enum, so that it can be handed over"
            )
        return _rebuilt(value, map_value)

    def _namesake(self, old: Any) -> Any:
        """Return the class or function of the same name in the new version."""
        version = self._modules.get(plain_name(_module_of(old)) or "")
        first, *rest = old.__qualname__.split(".")
        found: Any = None if version is None else version.namespace.get(first)
        for part in rest:
            found = getattr(found, part, None)
        if not isinstance(found, type if isinstance(old, type) else FunctionType):
            raise _NotMappableError(f"it contains {_name_of(old)}, which the new version lacks")
        return found

    def _member(self, old: Any) -> Any:
        new: Any = self._namesake(type(old))
        names = [each.name for each in old] if isinstance(old, enum.Flag) else [old.name]
        if not issubclass(new, enum.Enum) or any(name not in new.__members__ for name in names):
            raise _NotMappableError(
                f"it contains {safe_repr(old, 100)}, which the new {new.__qualname__} lacks"
            )
        members = [new[name] for name in names]
        return functools.reduce(operator.or_, members) if members else new(0)

    def _dataclass(self, old: Any, map_value: Callable[[Any], Any]) -> Any:
        new: type[Any] = self._namesake(type(old)) if self._is_old(old) else type(old)
        names = [each.name for each in dataclasses.fields(old)]
        if not dataclasses.is_dataclass(new) or names != [
            each.name for each in dataclasses.fields(new)
        ]:
            raise _NotMappableError(f"{_name_of(type(old))} has other fields than before")
        made: Any = object.__new__(new)
        values = {name: getattr(old, name) for name in names if hasattr(old, name)}
        for name, each in (values | getattr(old, "__dict__", {})).items():
            object.__setattr__(made, name, map_value(each))
        return made

    def _named_tuple(self, old: Any, map_value: Callable[[Any], Any]) -> Any:
        new: Any = self._namesake(type(old)) if self._is_old(old) else type(old)
        if getattr(new, "_fields", None) != old._fields:
            raise _NotMappableError(f"{_name_of(type(old))} has other fields than before")
        return new._make([map_value(each) for each in old])


class _NotMappableError(Exception):
    """An object has no counterpart in the new version; the text names it."""


def _objects_in(value: Any) -> Iterator[Any]:
    """Iterate over a value and everything in it, at any depth, except for scalars."""
    seen: set[int] = set()
    todo = [value]
    while todo:
        each = todo.pop()
        if type(each) in _SCALARS or id(each) in seen:
            continue
        seen.add(id(each))
        yield each
        todo.extend(_parts_of(each))


def _parts_of(value: Any) -> Iterable[Any]:
    if isinstance(value, dict):
        return [*value.keys(), *value.values()]
    if isinstance(value, _SEQUENCES):
        return list(value)
    if dataclasses.is_dataclass(value) and not isinstance(value, type):
        fields = dataclasses.fields(value)
        return [getattr(value, each.name) for each in fields if hasattr(value, each.name)]
    return ()


def _rebuilt(value: Any, map_value: Callable[[Any], Any]) -> Any:
    """Return a container of the same kind with mapped items; any other object unchanged."""
    if isinstance(value, dict):
        items = {map_value(key): map_value(each) for key, each in value.items()}
        if type(value) is dict:
            return items
        made = copy.copy(value)  # keeps further attributes of a subclass of dict
        made.clear()
        made.update(items)
        return made
    if type(value) is deque:
        return deque([map_value(each) for each in value], value.maxlen)
    if type(value) in _SEQUENCES:
        return type(value)([map_value(each) for each in value])
    return value


def _module_of(defined: Any) -> str:
    module = defined.__module__
    return module if isinstance(module, str) else ""


def _name_of(defined: Any) -> str:
    """Return the full name of a class or function, with the plain name of its module."""
    module = _module_of(defined)
    return f"{plain_name(module) or module}.{defined.__qualname__}"
