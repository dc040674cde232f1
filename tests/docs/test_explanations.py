"""The architecture page names files and functions that exist, and the glossary stays short."""

import re
from pathlib import Path

import pytest

ROOT = Path(__file__).parents[2]
ARCHITECTURE = (ROOT / "docs/explanation/architecture.md").read_text()
GLOSSARY = (ROOT / "docs/reference/glossary.md").read_text()
_STEP = re.compile(r"^\d\. `([\w/]+\.py)`:(.*?)(?=^\d\. |^#|\Z)", re.MULTILINE | re.DOTALL)


def found(name):
    """Return the file that the page means: names may leave out the package."""
    places = (ROOT / name, ROOT / "eshet" / name, ROOT / "eshet_rules" / name)
    return next((place for place in places if place.is_file()), None)


@pytest.mark.parametrize("name", sorted(set(re.findall(r"`([\w/]+\.py)`", ARCHITECTURE))))
def test_a_file_on_the_architecture_page_exists(name):
    assert found(name) or name == "__init__.py"


@pytest.mark.parametrize(("name", "text"), _STEP.findall(ARCHITECTURE))
def test_the_functions_of_a_step_are_in_its_file(name, text):
    source = found(name).read_text()
    for class_, method in re.findall(r"`([A-Z]\w+)\.(\w+)`", text):
        assert re.search(rf"^class {class_}\b", source, re.MULTILINE), f"{name}: {class_}"
        assert re.search(rf"def {method}\b", source), f"{name}: {class_}.{method}"


def test_each_way_has_at_most_eight_steps_none_of_which_returns():
    ways = re.split(r"^### ", ARCHITECTURE, flags=re.MULTILINE)[1:]
    assert len(ways) == 4
    for way in ways:
        steps = [name for name, _ in _STEP.findall(way.split("\n## ")[0])]
        assert 0 < len(steps) <= 8
        assert len(set(steps)) == len(steps)


def test_the_glossary_has_at_most_forty_terms():
    assert len(re.findall(r"^: ", GLOSSARY, re.MULTILINE)) <= 40
