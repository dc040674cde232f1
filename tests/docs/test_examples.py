"""The examples in the documentation are run: every page, from top to bottom, in virtual time.

`pycon` blocks are doctests, `python` blocks are executed; both may use `await`, and share one
namespace for each page, in which there is `advance`. Blocks in other languages are not run.
"""

import ast
import asyncio
import contextlib
import doctest
import inspect
import io
import re
from pathlib import Path

import pytest

ROOT = Path(__file__).parents[2]
PAGES = [ROOT / "README.md", *sorted((ROOT / "docs").rglob("*.md"))]

_BLOCK = re.compile(r"^```(python|pycon)\n(.*?)^```$", re.MULTILINE | re.DOTALL)
_OPTIONS = doctest.ELLIPSIS


class Page:
    """A page whose blocks are run in one namespace."""

    def __init__(self, path, names):
        self._path = path
        self._namespace = {"__name__": path.stem, **names}

    async def run(self):
        text = self._path.read_text()
        for block in _BLOCK.finditer(text):
            line = text.count("\n", 0, block.start(2))
            if block[1] == "python":
                await self._evaluate(block[2], "exec", line)
            else:
                for example in doctest.DocTestParser().get_examples(block[2]):
                    await self._check(example, line + example.lineno)

    async def _check(self, example, line):
        shown = io.StringIO()
        with contextlib.redirect_stdout(shown):
            try:
                await self._evaluate(example.source, "single", line)
            except Exception as error:
                if example.exc_msg is None:
                    raise
                got = f"{_full_name(type(error))}: {error}\n"
                want = example.exc_msg
            else:
                got, want = shown.getvalue(), example.want
        same = doctest.OutputChecker().check_output(want, got, _OPTIONS)
        assert same, f"{self._path}:{line + 1}: wanted\n{want}got\n{got}"

    async def _evaluate(self, source, mode, line):
        """Compile and run a piece of the page, as if it stood in a file at its place."""
        flags = ast.PyCF_ALLOW_TOP_LEVEL_AWAIT
        code = compile("\n" * line + source, str(self._path), mode, flags, dont_inherit=True)
        result = eval(code, self._namespace)  # noqa: S307 - what is run is ours
        if inspect.iscoroutine(result):
            await result


def _full_name(kind):
    """Name an exception as a traceback does, to which some versions of Python add advice."""
    return kind.__name__ if kind.__module__ == "builtins" else f"{kind.__module__}.{kind.__name__}"


@pytest.fixture
async def nothing_left():
    """End what a page leaves running: as in a script, nothing in it belongs to a rule."""
    before = asyncio.all_tasks()
    yield
    left = asyncio.all_tasks() - before - {asyncio.current_task()}
    for task in left:
        task.cancel()
    await asyncio.gather(*left, return_exceptions=True)


@pytest.mark.parametrize("path", PAGES, ids=lambda path: str(path.relative_to(ROOT)))
@pytest.mark.usefixtures("nothing_left")
async def test_the_examples_of_a_page_are_right(path, advance):
    await Page(path, {"advance": advance}).run()
