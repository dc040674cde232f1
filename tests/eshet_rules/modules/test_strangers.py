"""Modules that have nothing to do with rules are told from those that have."""

import pytest

from eshet_rules.modules.discovery import discover
from eshet_rules.modules.strangers import find_strangers

RULE = "from eshet_rules import rule\n"


def strangers(folder):
    return find_strangers(discover(folder.path))


def test_scripts_are_strangers_and_rules_are_not(folder):
    folder.write("hall.py", RULE)
    folder.write("client.py", "import eshet.client\n")
    folder.write("late.py", "def f():\n    from eshet import yarp\n")
    folder.write("plain.py", "async def main(client):\n    pass\n")
    folder.write("setup.py", "import setuptools\n\ndef main():\n    pass\n")
    folder.write("tools/backup.py", "import os\nimport eshet_ruleset\n")
    folder.write("empty.py", "")
    folder.write("broken.py", RULE + "def (:\n")
    assert strangers(folder) == ["broken", "empty", "setup", "tools.backup"]


@pytest.mark.parametrize(
    ("importing", "imported"),
    [
        ("import rooms", "rooms"),
        ("import up.rooms as r", "up.rooms"),
        ("from up import rooms", "up.rooms"),
        ("from up.rooms import HALL", "up.rooms"),
        ("import between", "rooms"),
    ],
)
def test_what_a_module_with_rules_imports_is_no_stranger(folder, importing, imported):
    folder.write("hall.py", f"{RULE}{importing}\n")
    folder.write("between.py", "import rooms\n")
    folder.write("rooms.py", "")
    folder.write("up/rooms.py", "")
    assert imported not in strangers(folder)
    assert "up.rooms" not in strangers(folder) or imported == "rooms"


@pytest.mark.parametrize(
    "importing", ["from . import rooms", "from .rooms import HALL", "from ..up import rooms"]
)
def test_relative_imports_are_followed(folder, importing):
    folder.write("up/bath.py", f"{RULE}{importing}\n")
    folder.write("up/rooms.py", "")
    assert strangers(folder) == []


def test_scripts_that_import_each_other_are_strangers(folder):
    folder.write("hall.py", RULE)
    folder.write("one.py", "import two\n")
    folder.write("two.py", "import one\n")
    assert strangers(folder) == ["one", "two"]


def test_a_helper_is_no_stranger(folder):
    folder.write("hall.py", RULE)
    folder.write("_unused.py", "")
    assert strangers(folder) == []
