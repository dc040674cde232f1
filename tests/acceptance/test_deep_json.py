"""A value on the command line that is nested too deeply is an error of usage."""

import pytest

from tests.support.processes import command

DEEP = {
    "lists": "[" * 100_000,
    "maps": '{"a":' * 20_000,
    "whole lists": "[" * 50_000 + "]" * 50_000,
}


@pytest.mark.parametrize("text", DEEP.values(), ids=DEEP)
def test_a_value_that_is_nested_too_deeply_is_an_error_of_usage(text):
    result = command("eshet", "set", "/a", text, server="127.0.0.1:1")
    assert result.returncode == 2
    assert "nested too deeply" in result.stderr
    assert len(result.stderr) < 1000
