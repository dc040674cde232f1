"""The names that the files of a rules folder have in imports, and the places of errors."""

import builtins
import linecache
import re
import sys
from collections.abc import Iterator
from dataclasses import replace

import msgpack
import pytest

from eshet.scope import Scope
from eshet_rules.exceptions import ImportFailed
from eshet_rules.modules.importer import Importer
from eshet_rules.modules.module_version import ModuleVersion
from tests.support.rules import Folder


class Rules:
    """A folder and its importer, which is given the content of the folder before each import."""

    def __init__(self, folder: Folder) -> None:
        self.folder = folder
        self.importer = Importer(folder.path)

    def write(self, **files: str) -> None:
        """Save files; in their names, `__` stands for a slash."""
        for name, text in files.items():
            path = (
                name.replace("____init__", "/INIT").replace("__", "/").replace("INIT", "__init__")
            )
            self.folder.write(f"{path}.py", text)
        self.importer.sources = self.folder.sources()

    def load(self, name: str) -> ModuleVersion:
        self.importer.sources = self.folder.sources()
        return self.importer.load(name)

    def fails(self, name: str) -> ImportFailed:
        with pytest.raises(ImportFailed) as raised:
            self.load(name)
        return raised.value


@pytest.fixture
def rules(folder: Folder) -> Iterator[Rules]:
    rules = Rules(folder)
    yield rules
    rules.importer.sources = {}
    rules.importer.keep_only([])
    assert rules.importer.loaded == []


@pytest.mark.parametrize("file", ["msgpack_lamps", "msgpack2", "amsgpack", "up__msgpack"])
def test_a_file_whose_name_resembles_a_library_does_not_hide_it(rules: Rules, file: str) -> None:
    rules.write(**{file: "x = 1"}, hall="import msgpack\nfound = msgpack.packb(1)")
    assert rules.load("hall").namespace["found"] == msgpack.packb(1)


def test_each_folder_on_the_way_to_a_file_can_be_imported(rules: Rules) -> None:
    rules.write(
        up__deep__bath="x = 1", hall="import up, up.deep, up.deep.bath\nfrom up import deep"
    )
    module = rules.load("hall").namespace
    assert module["up"].deep is module["deep"]
    assert module["up"].deep.bath.x == 1
    assert rules.fails("up").problem.endswith("there is no module 'up' in the rules folder")


@pytest.mark.parametrize("name", ["up.d", "up.deep.b", "u", "bath", "deep"])
def test_a_part_of_a_name_is_no_module(rules: Rules, name: str) -> None:
    rules.write(up__deep__bath="x = 1", hall=f"import {name}")
    assert re.search("No module named|there is no module", rules.fails("hall").problem)


@pytest.mark.parametrize(
    ("text", "names"),
    [
        ("import up.deep.bath", ["up"]),
        ("import up.deep.bath as b", ["b"]),
        ("from up import deep", ["deep"]),
        ("from up.deep import bath, cellar", ["bath", "cellar"]),
        ("from .up.deep import bath", ["bath"]),
        ("from up.deep import *", []),
        ("import json.decoder", ["json"]),
        ("from os.path import join", ["join"]),
    ],
)
def test_an_import_binds_the_names_that_python_binds(
    rules: Rules, text: str, names: list[str]
) -> None:
    rules.write(up__deep__bath="x = 1", up__deep__cellar="x = 2", hall=text)
    namespace = rules.load("hall").namespace
    assert sorted(n for n in namespace if not n.startswith("__")) == sorted(names)


def test_a_relative_import_counts_its_dots_from_the_package(rules: Rules) -> None:
    rules.write(
        lamps="level = 0",
        up__lamps="level = 1",
        up__deep__lamps="level = 2",
        up__deep____init__="from . import lamps\nfrom .. import lamps as upper",
        up__deep__bath="from . import lamps as a\nfrom .. import lamps as b\n"
        "from ... import lamps as c\nfrom ..lamps import level\nfrom ...up.deep.lamps import "
        "level as deep",
    )
    bath = rules.load("up.deep.bath").namespace
    assert [bath[each].level for each in "abc"] == [2, 1, 0]
    assert (bath["level"], bath["deep"]) == (1, 2)
    package = rules.load("up.deep").namespace
    assert (package["lamps"].level, package["upper"].level) == (2, 1)


@pytest.mark.parametrize(("file", "dots"), [("hall", 2), ("up__bath", 3), ("up____init__", 3)])
def test_one_dot_too_many_is_an_error(rules: Rules, file: str, dots: int) -> None:
    rules.write(**{file: f"from {'.' * dots} import lamps"}, lamps="")
    name = file.replace("____init__", "").replace("__", ".")
    assert "beyond the rules folder" in rules.fails(name).problem
    rules.write(**{file: f"from {'.' * (dots - 1)} import lamps"})
    assert rules.load(name).namespace["lamps"].__name__.startswith("lamps@")


def test_a_helper_has_no_rule_though_it_has_a_main(rules: Rules) -> None:
    text = "async def main():\n    pass\n"
    rules.write(_helper=text, hall=text, bath=text + "from eshet_rules import rule\n")
    assert rules.load("_helper").rules == {}
    assert list(rules.load("hall").rules) == ["main"]
    rules.write(plain="x = 1")
    assert rules.load("plain").rules == {}


def test_the_scope_of_a_version_is_made_with_its_name_and_current_during_the_import(
    folder: Folder,
) -> None:
    made: list[Scope] = []

    def make_scope(name: str) -> Scope:
        made.append(Scope(name))
        return made[-1]

    importer = Importer(folder.path, make_scope)
    folder.write("up/hall.py", "from eshet.scope import current_scope\nfound = current_scope()")
    importer.sources = folder.sources()
    version = importer.load("up.hall")
    assert (made, version.namespace["found"], version.scope.name) == (
        [version.scope],
        version.scope,
        "up.hall",
    )
    importer.sources = {}
    importer.keep_only([])
    assert version.scope.disposed


def test_the_scope_of_a_version_that_fails_is_disposed(folder: Folder) -> None:
    made: list[Scope] = []

    def make_scope(name: str) -> Scope:
        made.append(Scope(name))
        return made[-1]

    importer = Importer(folder.path, make_scope)
    folder.write("_helper.py", "")
    folder.write("hall.py", "import _helper\n1 / 0")
    importer.sources = folder.sources()
    with pytest.raises(ImportFailed):
        importer.load("hall")
    assert [(scope.name, scope.disposed) for scope in made] == [("hall", True), ("_helper", True)]
    assert (importer.loaded, importer.current) == ([], {})


@pytest.mark.parametrize("error", ["ValueError", "SystemExit", "KeyboardInterrupt"])
def test_a_helper_whose_error_its_importer_handles_is_dropped_alone(
    rules: Rules, error: str
) -> None:
    rules.write(_broken=f"raise {error}", hall=f"try: import _broken\nexcept {error}: x = 1")
    hall = rules.load("hall")
    assert hall.namespace["x"] == 1
    assert rules.importer.current == {"hall": hall}
    assert rules.importer.loaded == [hall]
    assert hall.imports == {}


def test_a_file_whose_content_can_not_be_used_fails_with_that_problem(rules: Rules) -> None:
    rules.write(hall="x = 1", bath="import hall")
    sources = rules.folder.sources()
    sources["hall"] = replace(sources["hall"], problem="is too large")
    rules.importer.sources = sources
    for name in ("hall", "bath"):
        with pytest.raises(ImportFailed) as raised:
            rules.importer.load(name)
        assert raised.value.problem == "OSError: hall.py is too large"
    assert rules.importer.loaded == []


# --- what is imported again ---------------------------------------------------------------------


def test_an_import_that_failed_is_known_to_fail_until_a_file_that_it_named_changes(
    rules: Rules,
) -> None:
    rules.write(hall="import _helper, other.gone", _helper="x = 1", bath="")
    assert not rules.importer.is_known_to_fail("hall")
    rules.fails("hall")
    assert rules.importer.is_known_to_fail("hall")
    assert not rules.importer.is_known_to_fail("bath")
    rules.write(bath="x = 2")
    assert rules.importer.is_known_to_fail("hall")
    rules.write(_helper="x = 2")
    assert not rules.importer.is_known_to_fail("hall")
    rules.write(_helper="x = 1")
    assert rules.importer.is_known_to_fail("hall")
    rules.write(other__gone="")
    assert not rules.importer.is_known_to_fail("hall")
    rules.load("hall")
    assert not rules.importer.is_known_to_fail("hall")


@pytest.mark.parametrize("text", ["from . import lamp", "from up import lamp", "import up.lamp"])
def test_a_file_that_appears_where_an_import_looked_for_it_is_a_change(
    rules: Rules, text: str
) -> None:
    rules.write(up__bath=text, up__x="")
    rules.fails("up.bath")
    assert rules.importer.is_known_to_fail("up.bath")
    rules.write(up__lamp="")
    assert not rules.importer.is_known_to_fail("up.bath")


def test_a_folder_that_appears_is_a_change(rules: Rules) -> None:
    rules.write(hall="import up")
    rules.fails("hall")
    rules.write(up__bath="")
    assert not rules.importer.is_known_to_fail("hall")
    rules.load("hall")


def test_an_outdated_module_is_imported_again_and_no_longer_known_to_fail(rules: Rules) -> None:
    rules.write(hall="x = object()", bath="1 / 0")
    first = rules.load("hall")
    assert rules.load("hall") is first
    rules.fails("bath")
    for name in ("hall", "bath", "other"):
        rules.importer.outdate(name)
    assert not rules.importer.is_known_to_fail("bath")
    second = rules.load("hall")
    assert second is not first
    assert rules.importer.current == {"hall": second}
    assert rules.importer.loaded == [first, second]


def test_what_is_kept_are_current_versions_of_files_and_their_imports(rules: Rules) -> None:
    rules.write(hall="import _helper", _helper="x = 1", bath="")
    hall, bath = rules.load("hall"), rules.load("bath")
    helper = hall.imports["_helper"]
    rules.fails("gone")
    rules.importer.sources = {n: s for n, s in rules.importer.sources.items() if n != "bath"}
    rules.importer.keep_only([])
    assert set(rules.importer.loaded) == {hall, helper}
    assert rules.importer.current == {"hall": hall, "_helper": helper}
    assert bath.scope.disposed
    assert not hall.scope.disposed
    assert bath.module_name not in sys.modules
    assert not rules.importer.is_known_to_fail("gone")


def test_lines_of_the_version_that_remains_are_shown_after_another_is_dropped(
    rules: Rules,
) -> None:
    rules.write(hall="a = 'old'")
    old = rules.load("hall")
    rules.write(hall="a = 'new'")
    new = rules.load("hall")
    file = str(new.source.path)
    rules.importer.show_source(old)
    assert linecache.getline(file, 1) == "a = 'old'"
    rules.importer.keep_only([new])
    assert linecache.getline(file, 1) == "a = 'new'"
    rules.importer.sources = {}
    rules.importer.keep_only([])
    assert file not in linecache.cache


# --- errors -------------------------------------------------------------------------------------


def test_the_line_that_failed_is_quoted_from_its_own_file(rules: Rules) -> None:
    rules.write(attic="fine = 1\nfine = 2\nfine = 3", hall="x = 1\n1 / 0\n", zoo="a\nb\nc")
    error = rules.fails("hall")
    assert (error.file.name, error.line, error.source) == ("hall.py", 2, "1 / 0")


def test_the_line_of_the_innermost_file_of_the_folder_is_quoted(rules: Rules) -> None:
    rules.write(
        hall="import _helper\n_helper.load('[')",
        _helper="import json\nload = lambda t: json.loads(t)",
    )
    error = rules.fails("hall")
    assert (error.module, error.file.name, error.line) == ("hall", "_helper.py", 2)
    assert error.source == "load = lambda t: json.loads(t)"
    assert "JSONDecodeError" in error.problem


def test_a_module_that_does_not_exist_fails_in_the_folder(rules: Rules) -> None:
    error = rules.fails("gone")
    assert (error.file, error.line, error.source) == (rules.folder.path, 0, "")


def test_a_file_that_can_not_be_read_fails_without_a_line(rules: Rules) -> None:
    (rules.folder.path / "hall.py").write_bytes(b"# coding: none-such\nx = 1\n")
    error = rules.fails("hall")
    assert error.file == rules.folder.path / "hall.py"
    assert "none-such" in error.problem


@pytest.mark.parametrize("number", [1, 2])
def test_a_line_of_a_file_in_another_encoding_is_quoted(rules: Rules, number: int) -> None:
    lines = ["# coding: latin-1", "x = 'ä'; 1 / 0" if number == 2 else "x = 1"]
    if number == 1:
        lines = ["x = 'ok'; 1 / 0  # ä"]
    data = "\n".join(lines).encode("latin-1" if number == 2 else "utf-8")
    (rules.folder.path / "hall.py").write_bytes(data)
    error = rules.fails("hall")
    assert (error.line, error.source) == (number, lines[number - 1])


@pytest.mark.parametrize(
    ("hall", "helper", "problem"),
    [
        ("from _helper import lamps", "lamp = 1", "did you mean lamp?"),
        ("from _helper import lamps", "x = 1", None),
        ("from up import bth", "", "did you mean bath?"),
        ("from up.bath import lighs", "", "did you mean lights?"),
        ("import up.bth", "", "did you mean up.bath?"),
        ("import _helpr", "", "did you mean _helper?"),
        ("import q", "", None),
        ("from .up import cellr", "", "did you mean cellar?"),
    ],
)
def test_a_near_name_of_the_folder_or_the_module_is_suggested(
    rules: Rules, hall: str, helper: str, problem: str | None
) -> None:
    rules.write(hall=hall, _helper=helper, up__bath="lights = 1", up__cellar="")
    text = rules.fails("hall").problem
    assert "@" not in text
    if problem is None:
        assert "did you mean" not in text.lower()
    else:
        # Python suggests some names itself, each version in its own words: "Did you mean: 'lamp'?"
        plain = re.sub("[:']", "", text.lower())
        assert plain.count("did you mean") == 1
        assert plain.endswith(problem)


@pytest.mark.parametrize("error", ["KeyError('x')", "ImportError('x')", "ModuleNotFoundError('x')"])
def test_an_error_of_the_users_own_is_told_as_it_is(rules: Rules, error: str) -> None:
    rules.write(hall=f"raise {error}", halls="")
    problem = rules.fails("hall").problem
    assert "x" in problem
    assert "mean" not in problem
    assert "each other" not in problem


def test_a_module_that_fails_while_it_is_imported_by_itself_is_no_circle(rules: Rules) -> None:
    rules.write(hall="import hall\nfound = hall.x")
    problem = rules.fails("hall").problem
    assert "each other" not in problem


def test_the_statement_of_rules_leaves_the_one_of_python_alone(rules: Rules) -> None:
    before = builtins.__import__
    rules.write(hall="import json, bath\nfound = __import__('json')", bath="")
    namespace = rules.load("hall").namespace
    assert namespace["found"] is namespace["json"] is sys.modules["json"]
    assert namespace["bath"] is rules.importer.current["bath"].module
    assert builtins.__import__ is before
    assert "hall" not in sys.modules


def test_the_code_of_a_rule_has_no_future_statement_of_the_importer(rules: Rules) -> None:
    rules.write(hall="def f(x: undefined_name_of_x = 1): ...")
    assert "undefined_name_of_x" in rules.fails("hall").problem


def test_a_package_is_found_by_the_machinery_only_while_rules_are_loaded(rules: Rules) -> None:
    before = list(sys.meta_path)
    rules.write(hall="x = 1", bath="")
    rules.load("hall")
    rules.load("bath")
    assert len(sys.meta_path) == len(before) + 1
    rules.importer.sources = {}
    rules.importer.keep_only([])
    assert sys.meta_path == before
