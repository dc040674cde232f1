"""What becomes of objects whose classes are of an old version of their module."""

from collections import OrderedDict, defaultdict, deque

import pytest

from eshet.reactive.handover.handover import Lost
from eshet_rules.modules.importer import Importer
from eshet_rules.reload.class_mapping import ClassMapping
from tests.support.hostile import EXPANDING, HOSTILE

CLASSES = """
    import enum
    from collections import namedtuple
    from dataclasses import dataclass, field

    NUMBER = {number}

    class Level(enum.Enum):
        LOW = 1
        HIGH = 2

    class Kind(enum.IntEnum):
        A = 1

    class Right(enum.Flag):
        READ = enum.auto()
        WRITE = enum.auto()

    @dataclass
    class Lamp:
        level: Level
        more: list = field(default_factory=list)

    @dataclass(frozen=True, slots=True)
    class Place:
        x: int
        y: int

    Pair = namedtuple("Pair", "a b")

    class Plain:
        class Nested(enum.Enum):
            ONE = 1

    class Ending(Exception):
        pass

    def function():
        return NUMBER
    """


@pytest.fixture(params=["hall", "up.hall"])
def versions(folder, request):
    """Two versions of a module with classes, the new one being current."""
    importer = Importer(folder.path)

    def load(text):
        folder.write(request.param.replace(".", "/") + ".py", text)
        importer.sources = folder.sources()
        return importer.load(request.param)

    yield load(CLASSES.format(number=1)), load(CLASSES.format(number=2)), load
    importer.sources = {}
    importer.keep_only([])


MAKE = {
    "member": lambda m: m.Level.HIGH,
    "nested member": lambda m: m.Plain.Nested.ONE,
    "number": lambda m: m.Kind.A,
    "flags": lambda m: m.Right.READ | m.Right.WRITE,
    "no flag": lambda m: m.Right(0),
    "dataclass": lambda m: m.Lamp(m.Level.LOW, [m.Place(1, 2)]),
    "slots": lambda m: m.Place(3, 4),
    "named tuple": lambda m: m.Pair(m.Level.LOW, 2),
    "class": lambda m: m.Lamp,
    "function": lambda m: m.function,
    "list": lambda m: [[1.5, m.Level.LOW], [2.5, m.Level.HIGH]],
    "tuple": lambda m: (m.Level.LOW, (m.Level.HIGH,)),
    "dict": lambda m: {m.Level.LOW: {"is": m.Place(1, 1)}, "x": 1},
    "set": lambda m: {m.Level.LOW, m.Place(1, 1)},
    "frozenset": lambda m: frozenset([m.Kind.A]),
    "deque": lambda m: deque([m.Level.LOW], 3),
    "ordered": lambda m: OrderedDict(a=m.Level.LOW),
    "default": lambda m: defaultdict(list, a=[m.Level.LOW]),
    "deep": lambda m: [[[[[[[[m.Level.LOW]]]]]]]],
}


def shown(value):
    """Return the repr of a value, or of the items of a set, whose order depends on their hashes."""
    return sorted(map(repr, value)) if isinstance(value, set | frozenset) else repr(value)


@pytest.mark.parametrize("kind", MAKE)
def test_classes_are_replaced_by_those_of_the_same_name(versions, kind):
    old, new, _ = versions
    before, wanted = MAKE[kind](old.module), MAKE[kind](new.module)
    mapped = ClassMapping(new)(before)
    assert mapped == wanted
    assert type(mapped) is type(wanted)
    assert shown(mapped) == shown(wanted) or kind == "function"
    if kind not in ("number", "list"):
        assert mapped != before or kind in ("frozenset", "no flag")
    assert getattr(mapped, "maxlen", None) == getattr(wanted, "maxlen", None)


@pytest.mark.parametrize("kind", MAKE)
def test_what_is_of_the_new_version_already_is_left_alone(versions, kind):
    _, new, _ = versions
    value = MAKE[kind](new.module)
    assert ClassMapping(new)(value) is value


def test_an_attribute_that_is_no_field_goes_along(versions):
    old, new, _ = versions
    lamp = old.module.Lamp(1)
    lamp.note = old.module.Level.LOW
    assert ClassMapping(new)(lamp).note is new.module.Level.LOW


LOST = {
    "plain object": (lambda m: m.Plain(), "an object of the old"),
    "exception": (lambda m: m.Ending(), "an object of the old"),
    "in a list": (lambda m: [m.Level.LOW, m.Plain()], "an object of the old"),
    "local class": (lambda m: (lambda: type("Local", (), {"__module__": m.__name__}))(), "lacks"),
}


@pytest.mark.parametrize("kind", LOST)
def test_what_has_no_counterpart_is_lost_with_the_reason(versions, kind):
    old, new, _ = versions
    make, why = LOST[kind]
    lost = ClassMapping(new)(make(old.module))
    assert type(lost) is Lost
    assert why in lost.why
    assert "@" not in lost.why


CHANGED = {
    "member removed": ("HIGH = 2", "TOP = 2", lambda m: m.Level.HIGH, "Level lacks"),
    "enum removed": ("class Kind", "class Other", lambda m: m.Kind.A, "Kind"),
    "field added": ("y: int", "y: int; z: int = 0", lambda m: m.Place(1, 2), "other fields"),
    "field renamed": ("more: list", "rest: list", lambda m: m.Lamp(1), "other fields"),
    "tuple changed": ('"a b"', '"a b c"', lambda m: m.Pair(1, 2), "other fields"),
    "function removed": ("def function", "def other", lambda m: m.function, "function"),
    "now a function": ("class Ending(Exception)", "def Ending()", lambda m: m.Ending, "Ending"),
    "no dataclass any more": (
        "@dataclass(frozen=True, slots=True)", "", lambda m: m.Place(1, 2), "other fields"),
}  # fmt: skip


@pytest.mark.parametrize("kind", CHANGED)
def test_a_class_that_has_changed_too_much_loses_its_objects(versions, kind):
    old, _, load = versions
    before, after, make, why = CHANGED[kind]
    new = load(CLASSES.replace(before, after).format(number=3))
    lost = ClassMapping(new)(make(old.module))
    assert type(lost) is Lost
    assert why in lost.why


def test_classes_of_a_helper_that_is_imported_are_replaced_too(folder):
    importer = Importer(folder.path)
    folder.write("_levels.py", CLASSES.format(number=1))
    folder.write("hall.py", "from _levels import Level")
    importer.sources = folder.sources()
    old = importer.load("hall")
    folder.write("_levels.py", CLASSES.format(number=2))
    importer.sources = folder.sources()
    new = importer.load("hall")
    assert ClassMapping(new)([old.module.Level.LOW]) == [new.module.Level.LOW]
    folder.write("hall.py", "")
    importer.sources = folder.sources()
    without = importer.load("hall")
    assert "_levels.Level" in ClassMapping(without)(old.module.Level.LOW).why
    importer.sources = {}
    importer.keep_only([])


@pytest.mark.parametrize("kind", HOSTILE | EXPANDING)
@pytest.mark.parametrize("is_beside_old", [False, True])
def test_values_of_any_kind_are_handed_over_or_lost(versions, kind, is_beside_old):
    old, new, _ = versions
    thing = (HOSTILE | EXPANDING)[kind]()
    value = [thing, old.module.Level.LOW] if is_beside_old else [thing]
    mapped = ClassMapping(new)(value)
    if type(mapped) is Lost:
        assert len(mapped.why) < 2000
    elif is_beside_old:
        assert mapped[1] is new.module.Level.LOW
    else:
        assert mapped is value
