"""The benchmarks use names of the packages that exist; nothing else runs them in these tests."""

import ast
import importlib
from pathlib import Path

import pytest

FOLDER = Path(__file__).parents[2] / "benchmarks"
PACKAGES = ("eshet", "eshet_rules")


def imported_names(source):
    for node in ast.walk(ast.parse(source)):
        if isinstance(node, ast.ImportFrom) and node.module.partition(".")[0] in PACKAGES:
            yield from ((node.module, alias.name) for alias in node.names)


def has_name(module, name):
    found = importlib.import_module(module)
    try:
        return hasattr(found, name) or bool(importlib.import_module(f"{module}.{name}"))
    except ModuleNotFoundError:
        return False


@pytest.mark.parametrize("path", sorted(FOLDER.rglob("*.py")), ids=lambda path: path.stem)
def test_imported_names_exist(path):
    names = list(imported_names(path.read_text()))
    assert [each for each in names if not has_name(*each)] == []


def test_a_missing_name_is_noticed():
    names = list(imported_names("from eshet import Client, Absent\nfrom eshet import codec"))
    assert [name for module, name in names if not has_name(module, name)] == ["Absent"]
