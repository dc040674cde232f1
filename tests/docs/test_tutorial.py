"""The test in the tutorial is saved and run as a reader would."""

import re
import shlex
import shutil
import subprocess
import sys
from pathlib import Path

ROOT = Path(__file__).parents[2]
TUTORIAL = ROOT / "docs" / "tutorial" / "first-rule.md"


def save(folder):
    """Save the rule and its test."""
    blocks = re.findall(r"^```python\n(.*?)^```$", TUTORIAL.read_text(), re.MULTILINE | re.DOTALL)
    [rule] = [block for block in blocks if "@rule" in block]
    [test] = [block for block in blocks if "def test_" in block]
    (folder / "hall.py").write_text(rule)
    (folder / "test_hall.py").write_text(test)


def test_the_test_of_the_tutorial_passes(tmp_path):
    save(tmp_path)
    ran = subprocess.run(  # noqa: S603
        [sys.executable, "-m", "pytest", "-q", "-p", "no:cacheprovider", str(tmp_path)],
        capture_output=True,
        text=True,
        timeout=60,
        check=False,
    )
    assert ran.returncode == 0, ran.stdout + ran.stderr
    assert "1 passed" in ran.stdout


def test_it_passes_in_a_clone_by_the_commands_of_the_tutorial(tmp_path):
    shutil.copy(ROOT / "pyproject.toml", tmp_path)
    (tmp_path / "my-house").mkdir()
    save(tmp_path / "my-house")
    blocks = re.findall(r"^```console\n(.*?)^```$", TUTORIAL.read_text(), re.MULTILINE | re.DOTALL)
    [block] = [block for block in blocks if "pytest my-house" in block]
    ran = None
    for typed in re.findall(r"^\$ (.*)$", block, re.MULTILINE):
        if "pip install" not in typed:
            words = shlex.split(typed.replace(".venv/bin/python", shlex.quote(sys.executable)))
            ran = subprocess.run(  # noqa: S603
                words, capture_output=True, text=True, timeout=60, check=False, cwd=tmp_path
            )
            assert ran.returncode == 0, ran.stdout + ran.stderr
    assert ran is not None
    assert "1 passed" in ran.stdout
