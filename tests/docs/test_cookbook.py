"""Each recipe of the cookbook is on its page, with its test, and both stay short."""

import ast
import re
from pathlib import Path

import pytest

FOLDER = Path(__file__).parents[2] / "docs" / "cookbook"
PAGE = (FOLDER / "index.md").read_text()
RECIPES = sorted(path.stem for path in FOLDER.glob("[!_]*.py") if not path.stem.startswith("test_"))


def functions(name):
    tree = ast.parse((FOLDER / f"test_{name}.py").read_text())
    kinds = (ast.FunctionDef, ast.AsyncFunctionDef)
    return [node for node in ast.walk(tree) if isinstance(node, kinds)]


def test_there_are_recipes():
    assert len(RECIPES) >= 16


@pytest.mark.parametrize("name", RECIPES)
def test_a_recipe_is_on_the_page_with_its_test(name):
    included = re.findall(r"^```\{literalinclude\} (\S+)$", PAGE, re.MULTILINE)
    assert included.index(f"test_{name}.py") == included.index(f"{name}.py") + 1


@pytest.mark.parametrize("name", RECIPES)
def test_a_recipe_has_five_to_twenty_five_lines(name):
    assert 5 <= len((FOLDER / f"{name}.py").read_text().splitlines()) <= 25


@pytest.mark.parametrize("name", RECIPES)
def test_a_test_of_a_recipe_has_less_than_fifteen_lines(name):
    lengths = {each.name: each.end_lineno - each.lineno + 1 for each in functions(name)}
    assert {test: lines for test, lines in lengths.items() if lines >= 15} == {}


@pytest.mark.parametrize("name", RECIPES)
async def test_a_recipe_can_be_reloaded_and_restarted(house, name):
    recipe = FOLDER / f"{name}.py"
    parameters = {"url": "file:///absent"} if name == "weather" else {}
    await house.load(recipe, **parameters)
    await house.reload(recipe)
    await house.restart(hours=1)
    absent = ("path_not_found", "no_owner")  # there are no devices
    unexpected = [each for each in house.errors if not any(code in each for code in absent)]
    house.errors.clear()
    assert unexpected == []
