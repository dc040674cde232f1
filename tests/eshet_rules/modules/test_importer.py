import linecache
import logging
import multiprocessing
import pickle
import sys
import warnings
from concurrent.futures import ProcessPoolExecutor

import pytest

from eshet_rules.exceptions import ImportFailed
from eshet_rules.modules.child_processes import carried_to_children
from eshet_rules.modules.importer import Importer


class Rules:
    """A folder and its importer, scanned before each import."""

    def __init__(self, folder):
        self.folder = folder
        self.write = folder.write
        self.remove = folder.remove
        self.importer = Importer(folder.path)

    def load(self, name):
        self.importer.sources = self.folder.sources()
        return self.importer.load(name)

    def fails(self, name):
        before = {*sys.modules, "_suggestions"}  # which Python 3.13 imports for an AttributeError
        with pytest.raises(ImportFailed) as raised:
            self.load(name)
        assert {*sys.modules, "_suggestions"} == before
        return raised.value


@pytest.fixture
def rules(folder):
    rules = Rules(folder)
    yield rules
    rules.importer.sources = {}
    rules.importer.keep_only([])


def test_importing_gives_the_module_and_its_rules(rules):
    rules.write(
        "hall.py",
        """
        from eshet_rules import rule

        LIMIT = 40

        @rule
        async def light(): ...

        @rule(name="other")
        async def heater(): ...
        """,
    )
    version = rules.load("hall")
    assert version.module.LIMIT == 40
    assert list(version.rules) == ["light", "other"]


def test_two_versions_live_beside_each_other(rules):
    rules.write("hall.py", "LIMIT = 1\ndef limit(): return LIMIT")
    old = rules.load("hall")
    rules.write("hall.py", "LIMIT = 2\ndef limit(): return LIMIT")
    new = rules.load("hall")
    assert (old.module.limit(), new.module.limit()) == (1, 2)
    assert sys.modules[old.module.__name__] is old.module
    assert sys.modules[new.module.__name__] is new.module


def test_a_module_has_its_file_and_a_name_that_nothing_else_can_have(rules):
    file = rules.write("hall.py", "")
    version = rules.load("hall")
    assert version.module.__file__ == str(file)
    assert version.module.__name__.startswith(f"hall@{version.source.version}#")


@pytest.mark.parametrize(
    "statement",
    [
        "from _lights import warm",
        "from ._lights import warm",
        "import _lights; warm = _lights.warm",
        "from . import _lights; warm = _lights.warm",
        "from _lights import *",
        "import _lights as lights; warm = lights.warm",
    ],
)
def test_a_helper_is_imported_by_its_plain_name(rules, statement):
    rules.write("_lights.py", "warm = 2700")
    rules.write("hall.py", statement)
    version = rules.load("hall")
    assert version.module.warm == 2700
    assert list(version.imports) == ["_lights"]


@pytest.mark.parametrize(
    "statement",
    [
        "from .lamps import warm",
        "from . import lamps; warm = lamps.warm",
        "from ..upstairs.lamps import warm",
        "from .. import _house; warm = _house.warm",
        "from upstairs.lamps import warm",
        "import upstairs.lamps; warm = upstairs.lamps.warm",
        "import upstairs.lamps as lamps; warm = lamps.warm",
        "from upstairs import lamps; warm = lamps.warm",
    ],
)
@pytest.mark.parametrize("is_package", [True, False])
def test_modules_in_folders_are_imported_absolute_and_relative(rules, statement, is_package):
    if is_package:
        rules.write("upstairs/__init__.py", "")
    rules.write("upstairs/lamps.py", "warm = 2700")
    rules.write("_house.py", "warm = 2700")
    rules.write("upstairs/bath.py", statement)
    assert rules.load("upstairs.bath").module.warm == 2700


def test_a_package_gives_what_its_init_has(rules):
    rules.write("_lib/__init__.py", "from .lamps import warm")
    rules.write("_lib/lamps.py", "warm = 2700")
    rules.write("hall.py", "from _lib import warm")
    assert rules.load("hall").module.warm == 2700


def test_what_two_modules_import_is_one_object(rules):
    rules.write("_shared.py", "thing = object()")
    rules.write("a.py", "from _shared import thing")
    rules.write("b.py", "from _shared import thing")
    assert rules.load("a").module.thing is rules.load("b").module.thing


def test_modules_may_import_each_other(rules):
    rules.write("a.py", "import b\nname = 'a'\ndef other(): return b.name")
    rules.write("b.py", "import a\nname = 'b'\ndef other(): return a.name")
    a = rules.load("a")
    assert (a.module.other(), a.module.b.other()) == ("b", "a")


def test_a_file_does_not_hide_the_standard_library(rules):
    rules.write("calendar.py", "mine = True")
    rules.write("hall.py", "import calendar, random\nfrom . import calendar as ours")
    module = rules.load("hall").module
    assert module.calendar is sys.modules["calendar"]
    assert module.ours.mine


def test_an_import_in_a_function_gives_what_is_current_then(rules):
    rules.write("_lights.py", "warm = 1")
    rules.write("hall.py", "def warm():\n    from _lights import warm\n    return warm")
    version = rules.load("hall")
    assert version.module.warm() == 1
    assert list(version.imports) == ["_lights"]


def test_what_a_module_makes_can_be_pickled_and_be_a_dataclass(rules):
    rules.write(
        "hall.py",
        """
        from __future__ import annotations
        from dataclasses import dataclass
        from typing import ClassVar

        @dataclass
        class Lamp:
            kind: ClassVar[str] = "lamp"
            on: bool = False
        """,
    )
    lamp = rules.load("hall").module.Lamp(on=True)
    assert pickle.loads(pickle.dumps(lamp)) == lamp  # noqa: S301


IN_A_FOLDER = """
    import enum
    from collections import namedtuple
    from dataclasses import dataclass
    from . import _lamps

    class Level(enum.Enum):
        LOW = 1

    @dataclass
    class Lamp:
        level: Level = Level.LOW

    Pair = namedtuple("Pair", "a b")

    class Boiler:
        class Part:
            pass

    def double(lamp):
        return [lamp, _lamps.double(2)]
    """


@pytest.fixture
def bath(rules):
    rules.write("up/_lamps.py", "def double(x): return 2 * x")
    rules.write("up/bath.py", IN_A_FOLDER)
    return rules.load("up.bath").module


@pytest.mark.parametrize("protocol", range(pickle.HIGHEST_PROTOCOL + 1))
def test_classes_and_functions_of_modules_in_folders_can_be_pickled(bath, protocol):
    things = [bath.Level.LOW, bath.Lamp(), bath.Pair(1, 2), bath.Level, bath.double]
    if protocol >= 4:  # by which nested classes can be pickled
        things.append(bath.Boiler.Part)
    assert pickle.loads(pickle.dumps(things, protocol)) == things  # noqa: S301


@pytest.mark.parametrize("method", ["fork", "spawn", "forkserver"])
def test_a_process_pool_runs_functions_of_rules(rules, bath, method):
    rules.write("hall.py", "def triple(x): return 3 * x")
    hall = rules.load("hall").module
    context = multiprocessing.get_context(method)
    with warnings.catch_warnings():
        warnings.simplefilter("ignore", DeprecationWarning)  # of fork beside threads
        with carried_to_children(rules.importer), ProcessPoolExecutor(1, context) as pool:
            assert pool.submit(hall.triple, 2).result() == 6
            assert pool.submit(bath.double, bath.Lamp()).result() == [bath.Lamp(), 4]


# --- packages -----------------------------------------------------------------------------------


@pytest.mark.parametrize("is_package", [True, False])
@pytest.mark.parametrize(
    "text",
    [
        "import up.bath; import up.hall; found = up.bath.name + up.hall.name",
        "import up.bath, up.hall; found = up.bath.name + up.hall.name",
        "import up.bath; from up.hall import name; import up; found = up.bath.name + name",
        "from up.bath import name; import up; import up.hall; found = up.bath.name + up.hall.name",
        "from up import bath; import up.hall; found = up.bath.name + bath.name[:0] + up.hall.name",
        "import up.bath as b; import up.hall as h; found = b.name + h.name",
        "import up.deep.cellar; import up.bath; import up.hall; up.deep.cellar\n"
        "found = up.bath.name + up.hall.name",
        "import importlib as i; found = i.import_module('.up.bath', __package__).name + 'hall'",
        "def f():\n import up.bath, up.hall; return up\nfound = f().bath.name + f().hall.name",
    ],
)
def test_submodules_are_bound_in_their_package(rules, is_package, text):
    if is_package:
        rules.write("up/__init__.py", "")
    for name in ("bath", "hall"):
        rules.write(f"up/{name}.py", f"name = {name!r}")
    rules.write("up/deep/cellar.py", "")
    rules.write("a.py", text)
    assert rules.load("a").module.found == "bathhall"


def test_a_package_that_imports_its_submodule_has_it_as_an_attribute(rules):
    rules.write("up/__init__.py", "from .bath import name")
    rules.write("up/bath.py", "name = 'bath'")
    rules.write("a.py", "import up; found = up.bath.name")
    assert rules.load("a").module.found == "bath"


def test_a_star_import_of_a_package_imports_the_submodules_that_it_names(rules):
    rules.write("up/__init__.py", "__all__ = ['bath', 'colour']; colour = 'red'")
    rules.write("up/bath.py", "name = 'bath'")
    rules.write("a.py", "from up import *")
    module = rules.load("a").module
    assert (module.bath.name, module.colour) == ("bath", "red")


def test_a_changed_submodule_is_bound_in_a_new_version_of_its_package(rules):
    rules.write("up/__init__.py", "")
    rules.write("up/bath.py", "name = 1")
    rules.write("a.py", "import up.bath\ndef found(): return up.bath.name")
    old = rules.load("a")
    rules.write("up/bath.py", "name = 2")
    new = rules.load("a")
    assert (old.module.found(), new.module.found()) == (1, 2)


def test_a_submodule_whose_importer_fails_is_not_bound(rules):
    rules.write("up/__init__.py", "")
    rules.write("up/bath.py", "")
    package = rules.load("up")
    rules.write("a.py", "import up.bath; 1 / 0")
    rules.fails("a")
    assert not hasattr(package.module, "bath")
    assert rules.importer.is_up_to_date(package)


@pytest.mark.parametrize("file", ["hall.py", "up/bath.py", "up/__init__.py"])
def test_resources_beside_a_module_are_found_by_its_package(rules, file):
    text = """
        import importlib.resources, pkgutil
        files = importlib.resources.files(__package__)
        found = files.joinpath("text.txt").read_text()
        bytes_ = pkgutil.get_data(__name__, "text.txt")
        parent = __spec__.parent
        """
    path = rules.write(file, text)
    path.with_name("text.txt").write_text("beside")
    module = rules.load(
        ".".join(path.relative_to(rules.folder.path).parts)[:-3].removesuffix(".__init__")
    ).module
    assert (module.found, module.bytes_) == ("beside", b"beside")
    assert module.__package__ == module.parent


def test_a_package_finds_its_modules_and_imports_them_by_name(rules):
    rules.write(
        "up/__init__.py",
        """
        import importlib, pkgutil
        found = [
            importlib.import_module(f".{each.name}", __package__).name
            for each in pkgutil.iter_modules(__path__)
        ]
        """,
    )
    rules.write("up/bath.py", "name = 'bath'")
    rules.write("up/hall.py", "name = 'hall'")
    version = rules.load("up")
    assert version.module.found == ["bath", "hall"]
    assert version.module.bath is version.imports["up.bath"].module
    rules.write("up/bath.py", "name = 'other'")
    assert rules.load("up").module.found == ["other", "hall"]


# --- what is up to date -------------------------------------------------------------------------


def test_a_new_version_imports_in_a_function_what_has_changed(rules):
    rules.write("_lights.py", "warm = 1")
    text = "def warm():\n    from _lights import warm\n    return warm"
    rules.write("hall.py", text)
    old = rules.load("hall")
    assert old.module.warm() == 1
    rules.write("_lights.py", "warm = 2")
    rules.importer.sources = rules.folder.sources()
    assert not rules.importer.is_up_to_date(old)
    new = rules.load("hall")
    assert (old.module.warm(), new.module.warm()) == (1, 2)


def test_what_another_module_imported_before_it_changed_is_not_imported_in_a_function(rules):
    rules.write("_lights.py", "warm = 1")
    rules.write("bath.py", "import _lights")
    rules.write("hall.py", "def warm():\n    from _lights import warm\n    return warm")
    rules.load("bath")
    hall = rules.load("hall")
    rules.write("_lights.py", "warm = 2")
    rules.importer.sources = rules.folder.sources()
    assert hall.module.warm() == 2


def test_loggers_of_versions_that_are_forgotten_are_forgotten(rules):
    text = """
        import logging
        log = logging.getLogger(__name__)
        child = logging.getLogger(__name__ + ".deep.er")
        number = {}
        """
    before = set(logging.root.manager.loggerDict)
    for number in range(50):
        rules.write("up/hall.py", text.format(number))
        version = rules.load("up.hall")
        rules.importer.keep_only([version])
    assert len(set(logging.root.manager.loggerDict) - before) == 3
    rules.importer.sources = {}
    rules.importer.keep_only([])
    assert set(logging.root.manager.loggerDict) == before


def test_a_version_is_up_to_date_until_its_file_changes(rules):
    rules.write("hall.py", "a = 1")
    version = rules.load("hall")
    assert rules.importer.is_up_to_date(version)
    rules.write("hall.py", "a = 2")
    rules.importer.sources = rules.folder.sources()
    assert not rules.importer.is_up_to_date(version)


@pytest.mark.parametrize("change", ["edit", "remove"])
def test_a_version_is_outdated_when_a_helper_of_its_helper_has_changed(rules, change):
    rules.write("_base.py", "a = 1")
    rules.write("_lights.py", "from _base import a")
    rules.write("hall.py", "from _lights import a")
    rules.write("bath.py", "")
    hall, bath = rules.load("hall"), rules.load("bath")
    if change == "edit":
        rules.write("_base.py", "a = 2")
    else:
        rules.remove("_base.py")
    rules.importer.sources = rules.folder.sources()
    assert not rules.importer.is_up_to_date(hall)
    assert rules.importer.is_up_to_date(bath)


def test_a_changed_helper_is_imported_anew_once_for_all(rules):
    rules.write("_shared.py", "thing = object()")
    rules.write("a.py", "from _shared import thing")
    rules.write("b.py", "from _shared import thing")
    old_a, old_b = rules.load("a"), rules.load("b")
    rules.write("_shared.py", "thing = object()  # new")
    new_a = rules.load("a")
    assert new_a.module.thing is not old_a.module.thing
    assert not rules.importer.is_up_to_date(old_b)
    assert rules.load("b").module.thing is new_a.module.thing


def test_an_unchanged_helper_is_not_imported_again(rules):
    rules.write("_shared.py", "thing = object()")
    rules.write("hall.py", "from _shared import thing")
    old = rules.load("hall")
    rules.write("hall.py", "from _shared import thing  # new")
    assert rules.load("hall").module.thing is old.module.thing


def test_keep_only_forgets_what_nobody_needs(rules):
    before = set(sys.modules)
    rules.write("_shared.py", "a = 1")
    rules.write("hall.py", "from _shared import a")
    old = rules.load("hall")
    rules.write("_shared.py", "a = 2")
    new = rules.load("hall")
    rules.importer.keep_only([old])
    for version in old.with_imports() | new.with_imports():
        assert version.module.__name__ in sys.modules
    rules.importer.keep_only([new])
    for version in old.with_imports():
        assert version.module.__name__ not in sys.modules
    rules.importer.sources = {}
    rules.importer.keep_only([])
    assert set(sys.modules) == before
    assert str(new.source.path) not in linecache.cache


def test_what_an_import_made_ends_with_its_version(rules):
    rules.write(
        "hall.py",
        """
        from eshet.scope import current_scope

        ended = []
        current_scope().own(lambda: ended.append(True))
        """,
    )
    version = rules.load("hall")
    assert version.module.ended == []
    rules.importer.sources = {}
    rules.importer.keep_only([])
    assert version.module.ended == [True]


# --- what fails ---------------------------------------------------------------------------------


def test_a_syntax_error_is_told_with_file_line_and_source(rules):
    file = rules.write("hall.py", "a = 1\nb = = 2\n")
    error = rules.fails("hall")
    assert (error.module, error.file, error.line, error.source) == ("hall", file, 2, "b = = 2")
    assert error.problem == "SyntaxError: invalid syntax"
    assert str(error) == f"{file}:2: SyntaxError: invalid syntax"


def test_an_error_on_the_way_is_told_with_file_line_and_source(rules):
    file = rules.write("hall.py", "a = 1\nb = lux\n")
    error = rules.fails("hall")
    assert (error.file, error.line, error.source) == (file, 2, "b = lux")
    assert error.problem == "NameError: name 'lux' is not defined"


def test_an_error_in_a_helper_is_told_where_it_is(rules):
    helper = rules.write("_lights.py", "\n1 / 0")
    rules.write("hall.py", "import _lights")
    error = rules.fails("hall")
    assert (error.module, error.file, error.line) == ("hall", helper, 2)
    assert error.problem == "ZeroDivisionError: division by zero"


@pytest.mark.parametrize(
    ("text", "problem"),
    [
        ("import _gone", "No module named '_gone'"),
        ("from . import gone", "cannot import name 'gone'"),
        ("from ._gone import a", "there is no module '_gone' in the rules folder"),
        ("from .. import a", "beyond the rules folder"),
        ("import sys; sys.exit(1)", "SystemExit: 1"),
        ("raise KeyError", "KeyError"),
        ("from eshet_rules import rule\n@rule\ndef light(): pass", "write `async def light"),
        ("a = '\x00'", "null bytes"),
    ],
)
def test_what_else_can_go_wrong_has_its_own_message(rules, text, problem):
    rules.write("hall.py", text)
    error = rules.fails("hall")
    assert problem in error.problem
    assert error.file == rules.folder.path / "hall.py"


@pytest.mark.parametrize("file", ["eshet.py", "eshet/yarp.py", "eshet_rules/lights.py"])
def test_a_file_does_not_hide_our_packages(rules, file):
    rules.write(file, "")
    rules.write(
        "hall.py", "from eshet import yarp\nfrom eshet_rules import rule\nimport eshet.yarp"
    )
    assert rules.load("hall").namespace["yarp"].__name__ == "eshet.yarp"


@pytest.mark.parametrize(
    ("text", "near"),
    [
        ("import notify", "_notify"),
        ("from notify import send", "_notify"),
        ("from .notify import send", "_notify"),
        ("from . import notify", "_notify"),
        ("from _notify import sent_all", "send_all"),
        ("from lights import hal", "hall"),
        ("import lights.hal", "lights.hall"),
        ("from eshet.yarp import norepeat", "no_repeat"),
    ],
)
def test_a_misspelt_import_names_what_is_near(rules, text, near):
    rules.write("_notify.py", "def send_all(): ...")
    rules.write("lights/hall.py", "")
    rules.write("garden.py", text)
    problem = rules.fails("garden").problem
    assert problem.endswith((f": did you mean {near}?", f"Did you mean: '{near}'?"))


def test_a_misspelt_import_in_a_function_names_what_is_near(rules):
    rules.write("_notify.py", "")
    rules.write("garden.py", "def water():\n    import notify")
    water = rules.load("garden").namespace["water"]
    with pytest.raises(ModuleNotFoundError, match="'notify': did you mean _notify"):
        water()


def test_an_import_without_a_near_name_has_no_suggestion(rules):
    rules.write("_notify.py", "")
    rules.write("garden.py", "import requestz_of_others")
    assert rules.fails("garden").problem.endswith("No module named 'requestz_of_others'")


def test_bytes_that_are_no_text_are_a_syntax_error(rules):
    (rules.folder.path / "hall.py").write_bytes(b"a = '\xff'")
    assert "SyntaxError" in rules.fails("hall").problem


def test_a_failed_version_leaves_the_old_one_and_its_lines(rules):
    file = rules.write("hall.py", "a = 'old'")
    old = rules.load("hall")
    rules.write("hall.py", "a = 'new'\n1 / 0")
    rules.fails("hall")
    assert rules.importer.current == {"hall": old}
    assert linecache.getline(str(file), 1) == "a = 'old'"


def test_a_helper_whose_importer_fails_is_dropped_with_it(rules):
    rules.write("_shared.py", "a = 1")
    rules.write("hall.py", "import _shared")
    old = rules.load("hall")
    rules.write("_shared.py", "a = 2")
    rules.write("hall.py", "import _shared\n1 / 0")
    rules.fails("hall")
    assert rules.importer.current["_shared"] is old.imports["_shared"]


def test_a_module_may_catch_the_error_of_a_helper(rules):
    rules.write("_broken.py", "1 / 0")
    rules.write("hall.py", "try:\n    import _broken\nexcept ZeroDivisionError:\n    a = 1")
    version = rules.load("hall")
    assert version.module.a == 1
    assert set(rules.importer.current) == {"hall"}


def test_tracebacks_quote_the_version_that_was_loaded_whatever_is_in_the_file_now(rules):
    file = rules.write("hall.py", "a = 'loaded'")
    rules.load("hall")
    file.write_text("a = 'edited since'")
    linecache.checkcache()
    assert linecache.getline(str(file), 1) == "a = 'loaded'"


@pytest.mark.parametrize(
    ("files", "modules", "line"),
    [
        ({"a.py": "from b import f\ng = 1\n", "b.py": "\nfrom a import g\nf = 1\n"}, "a and b", 2),
        ({"a.py": "import b\ng = 1\n", "b.py": "import a\n\nf = a.g\n"}, "a and b", 3),
        (
            {"a.py": "import c\ng = 1\n", "c.py": "import b\n", "b.py": "from a import g\n"},
            "a, c and b",
            1,
        ),
        (
            {"a.py": "from up.b import f\ng = 1\n", "up/b.py": "from a import g\nf = 1\n"},
            "a and up.b",
            1,
        ),
        (
            {
                "a.py": "from up import b\n",
                "up/b.py": "from .c import f\ng = 1\n",
                "up/c.py": "from .b import g\nf = 1\n",
            },
            "up.b and up.c",
            1,
        ),
    ],
)
def test_modules_that_import_each_other_at_the_wrong_time_are_named(rules, files, modules, line):
    for name, text in files.items():
        rules.write(name, text)
    error = rules.fails("a")
    assert (
        f"({modules} import each other: move the code that both need into a third file)"
        in error.problem
    )
    assert (error.line, "@" in error.problem) == (line, False)


def test_a_name_that_a_module_has_not_is_no_circle(rules):
    rules.write("a.py", "from b import nothing")
    rules.write("b.py", "something = 1")
    problem = rules.fails("a").problem
    assert problem.startswith("ImportError: cannot import name 'nothing' from 'b'")
    assert "each other" not in problem
