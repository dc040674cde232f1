"""What the documentation shows of `--help` is what the commands say."""

import re
from pathlib import Path

import pytest

from tests.support.processes import command

PAGE = Path(__file__).parents[2] / "docs" / "reference" / "commands.md"
_HELP = re.compile(r"^```console\n\$ ([^\n]* --help)\n(.*?)^```$", re.MULTILINE | re.DOTALL)


@pytest.mark.parametrize(("typed", "shown"), _HELP.findall(PAGE.read_text()))
def test_the_help_of_a_command_is_shown_as_it_is(typed, shown):
    assert command(*typed.split()).stdout == shown
