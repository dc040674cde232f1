"""The tests on the pages are saved and run as a reader would."""

import re
import subprocess
import sys
from pathlib import Path

HOWTO = Path(__file__).parents[2] / "docs" / "howto"


def code_of(page):
    """Return the tests on a page."""
    text = (HOWTO / page).read_text()
    [tests] = re.findall(r"^```python\n(.*?)^```$", text, re.MULTILINE | re.DOTALL)
    return tests


TESTS = code_of("test-rules.md")


def run(tests, folder):
    """Save tests in a folder, and run them with pytest."""
    (folder / "test_porch.py").write_text(tests)
    return subprocess.run(  # noqa: S603
        [sys.executable, "-m", "pytest", "-q", "-p", "no:cacheprovider", str(folder)],
        capture_output=True,
        text=True,
        timeout=60,
        check=False,
    )


def test_the_code_of_the_page_pass(tmp_path):
    ran = run(TESTS, tmp_path)
    assert ran.returncode == 0, ran.stdout + ran.stderr
    assert "3 passed" in ran.stdout


def test_the_test_of_the_page_about_why_passes(tmp_path):
    ran = run(code_of("why.md"), tmp_path)
    assert ran.returncode == 0, ran.stdout + ran.stderr


def test_the_test_of_the_page_about_why_not_passes(tmp_path):
    ran = run(code_of("why-not.md"), tmp_path)
    assert ran.returncode == 0, ran.stdout + ran.stderr


def test_an_error_in_a_rule_fails_a_test_of_the_page(tmp_path):
    ran = run(TESTS.replace('f"{who} is at the door"', "1 / 0"), tmp_path)
    assert "test_the_bell_rings_the_phone" in ran.stdout
    assert "ZeroDivisionError" in ran.stdout
    assert ran.returncode == 1


def test_a_failed_output_fails_a_test_of_the_page(tmp_path):
    ran = run(TESTS.replace('house.device("/bath/fan", False)', "humidity"), tmp_path)
    assert "path_not_found" in ran.stdout
    assert ran.returncode == 1


def test_the_example_of_who_decides_passes(tmp_path):
    text = (HOWTO / "who-decides.md").read_text()
    blocks = re.findall(r"^```python\n(.*?)^```$", text, re.MULTILINE | re.DOTALL)
    ran = run("\n".join(blocks), tmp_path)
    assert ran.returncode == 0, ran.stdout + ran.stderr
    assert "1 passed" in ran.stdout
