"""The test in the tutorial is saved and run as a reader would."""

import re
import subprocess
import sys
from pathlib import Path

TUTORIAL = Path(__file__).parents[2] / "docs" / "tutorial" / "first-rule.md"


def test_the_test_of_the_tutorial_passes(tmp_path):
    blocks = re.findall(r"^```python\n(.*?)^```$", TUTORIAL.read_text(), re.MULTILINE | re.DOTALL)
    [rule] = [block for block in blocks if "@rule" in block]
    [test] = [block for block in blocks if "def test_" in block]
    (tmp_path / "hall.py").write_text(rule)
    (tmp_path / "test_hall.py").write_text(f"from hall import hall_light\n{test}")
    ran = subprocess.run(  # noqa: S603
        [sys.executable, "-m", "pytest", "-q", "-p", "no:cacheprovider", str(tmp_path)],
        capture_output=True,
        text=True,
        timeout=60,
        check=False,
    )
    assert ran.returncode == 0, ran.stdout + ran.stderr
    assert "1 passed" in ran.stdout
