"""Configuration of Sphinx, which `make docs` runs."""

import sys
from importlib.metadata import version as _version
from pathlib import Path as _Path

sys.path.insert(0, str(_Path(__file__).parent / "_extensions"))

project = "eshet-rules"
author = "the authors of eshet-rules"
copyright = author  # noqa: A001 - the name that Sphinx reads
release = _version("eshet-rules")

extensions = ["myst_parser", "sphinx.ext.autodoc", "sphinx.ext.napoleon", "timelines"]
html_theme = "furo"
html_title = "eshet-rules"
html_static_path = ["_static"]

myst_heading_anchors = 4
myst_enable_extensions = ["deflist"]
autodoc_member_order = "bysource"
autodoc_typehints = "description"
napoleon_numpy_docstring = False

default_role = "code"  # docstrings write code between single backticks, as Markdown does


def _mark_literal_blocks(app, what, name, obj, options, lines):
    """Mark indented blocks in module docstrings as literal blocks (`::`)."""
    if what != "module":
        return
    marked = []
    within = False
    for line in lines:
        if line.startswith("    ") and not within:
            marked += ["::", ""]
        within = line.startswith("    ") or (within and not line)
        marked.append(line)
    lines[:] = marked


def setup(app):
    """Register the extension; called by Sphinx."""
    app.connect("autodoc-process-docstring", _mark_literal_blocks)
