"""The first lines of each package list its modules, so that a reader finds what lives where."""

import ast
import re
from pathlib import Path

import pytest

ROOT = Path(__file__).parents[2]
PACKAGES = sorted(
    init.parent
    for name in ("eshet", "eshet_rules")
    for init in (ROOT / name).rglob("__init__.py")
    if len(list(init.parent.glob("*.py"))) > 2
)


def listed(package: Path) -> list[str]:
    """Return the names in the list of a docstring: `name    what it is`, or `a, b    ...`."""
    text = ast.get_docstring(ast.parse((package / "__init__.py").read_text())) or ""
    lines = re.findall(r"^ *((?:\w+, )*\w+) {2,}\S", text, re.MULTILINE)
    return [name for line in lines for name in line.split(", ")]


@pytest.mark.parametrize("package", PACKAGES, ids=lambda path: str(path.relative_to(ROOT)))
def test_a_package_lists_its_modules(package):
    modules = {path.stem for path in package.glob("*.py")} - {"__init__", "__main__"}
    folders = {path.parent.name for path in package.glob("*/__init__.py")}
    names = listed(package)
    assert sorted(names) == sorted(modules | folders)
