import subprocess
import sys

import pytest


@pytest.mark.parametrize("text", ["[" * 100_000, '{"a":' * 100_000, "[" * 100_000 + "]" * 100_000])
def test_a_value_that_is_nested_too_deeply_is_an_error_of_usage(text):
    command = [sys.executable, "-m", "eshet", "set", "/a", text]
    result = subprocess.run(command, capture_output=True, text=True, check=False)  # noqa: S603
    assert result.returncode == 2, result.stderr[-500:]
    assert "nested too deeply" in result.stderr or "is not JSON" in result.stderr
    assert "Traceback" not in result.stderr
