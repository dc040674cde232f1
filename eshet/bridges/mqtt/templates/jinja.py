"""Templates that need all of Jinja, evaluated by jinja2 in a process of its own.

A template comes from a device, and may compute without end. No thread can be stopped, so a process
evaluates them, which the system ends after a second; see `jinja_worker`.
"""

import asyncio
import contextlib
import importlib.util
import json
import os
import sys
from asyncio.subprocess import DEVNULL, PIPE, Process
from collections.abc import Iterable, Mapping
from pathlib import Path
from typing import Any, Final

from eshet.bridges.mqtt.templates.values import (
    MAX_LENGTH,
    MissingValue,
    TemplateFailed,
    UnsupportedTemplate,
)

__all__ = ["JinjaTemplates", "Rendered", "installed_jinja"]

Rendered = Mapping[str, str | TemplateFailed]
"""The result of each template, or its error."""

_WORKER: Final = Path(__file__).with_name("jinja_worker.py")

_LINE: Final = 2**20
"""Maximum length of an answer, in bytes: a text, in which each character may take 6 bytes."""

_MAX_REFUSED: Final = 1_000


def installed_jinja() -> "JinjaTemplates | None":
    """Return an evaluator with jinja2; None if that is not installed."""
    return JinjaTemplates() if importlib.util.find_spec("jinja2") else None


class JinjaTemplates:
    """Evaluates templates one by one, in a process that starts with the first one.

    A template that has ended the process is not evaluated again.
    """

    def __init__(self) -> None:
        self._environment: Any = None
        self._process: Process | None = None
        self._turn = asyncio.Lock()
        self._refused: set[str] = set()
        self._problem = ""  # why the process can't be started

    def check(self, text: str) -> None:
        """Check a template, which is only parsed.

        Raises:
            UnsupportedTemplate: it is not valid, or reads other variables than the payload.
        """
        from jinja2 import nodes

        from eshet.bridges.mqtt.templates.jinja_worker import environment

        if len(text) > MAX_LENGTH:
            raise UnsupportedTemplate(text, f"more than {MAX_LENGTH} characters")
        self._environment = self._environment or environment()
        try:
            tree = self._environment.parse(text)
            names = list(tree.find_all(nodes.Name))
            filters = {each.name for each in tree.find_all(nodes.Filter)}
            tests = {each.name for each in tree.find_all(nodes.Test)}
        except Exception as error:  # a parser of deeply nested texts raises more than its own
            raise UnsupportedTemplate(text, str(error)[:200]) from None
        known = {"value", "value_json", "loop", *self._environment.globals}
        known |= {each.name for each in names if each.ctx != "load"}
        for what, used, supported in (
            ("variable", {each.name for each in names}, known),
            ("filter", filters, self._environment.filters.keys()),
            ("test", tests, self._environment.tests.keys()),
        ):
            if unknown := sorted(used - supported):
                raise UnsupportedTemplate(text, f"the {what} {unknown[0]!r}")

    async def render(self, templates: Iterable[str], value: str | float) -> Rendered:
        """Return the results of checked templates for a payload, or for a number to be sent.

        An error is `MissingValue` if the payload lacks a value that the template reads.
        """
        results: dict[str, str | TemplateFailed] = {}
        async with self._turn:  # a fair lock: results come in the order of the calls
            left = list(dict.fromkeys(templates))
            while left:
                if self._problem or left[0] in self._refused:
                    problem = self._problem or "it takes too much time or memory"
                    results[left[0]] = TemplateFailed(f"{problem}: {left[0][:200]!r}")
                else:
                    await self._ask(left, value, results)
                left = [each for each in left if each not in results]
        return results

    async def close(self) -> None:
        """End the process."""
        process, self._process = self._process, None
        if process is not None:
            # Its output ends when it has ended; to kill it then would take its exit code.
            if process.stdout is None or not process.stdout.at_eof():
                with contextlib.suppress(ProcessLookupError):
                    process.kill()
            await process.communicate()  # also closes the pipes

    async def _ask(
        self, templates: list[str], value: str | float, results: dict[str, str | TemplateFailed]
    ) -> None:
        """Add the results up to the first template that ends the process."""
        is_complete = False
        try:
            if self._process is not None and self._process.returncode is not None:
                await self.close()  # it was ended from outside, not by a template
            process = self._process or await self._start()
            if process is None or process.stdin is None or process.stdout is None:
                return
            request = json.dumps({"value": value, "templates": templates})
            process.stdin.write(request.encode() + b"\n")
            with contextlib.suppress(ConnectionError):  # it has ended: no answer follows
                await process.stdin.drain()
            for template in templates:
                line = await process.stdout.readline()
                if not line:
                    self._refuse(template)
                    return
                results[template] = _result(template, json.loads(line))
            is_complete = True
        finally:
            if not is_complete:  # also when it is cancelled: answers would be left in the pipe
                await self.close()

    async def _start(self) -> Process | None:
        # Secrets of the bridges are in the environment.
        variables = {k: v for k, v in os.environ.items() if not k.startswith("ESHET_")}
        try:
            self._process = process = await asyncio.create_subprocess_exec(
                sys.executable, "-I", str(_WORKER),
                stdin=PIPE, stdout=PIPE, stderr=DEVNULL, env=variables, limit=_LINE,
                start_new_session=True,  # Ctrl-C in a terminal is for the bridge only
            )  # fmt: skip
            is_ready = process.stdout is not None and await process.stdout.readline()
        except OSError as error:
            self._problem = f"can't start jinja2: {error}"
            return None
        if not is_ready:
            self._problem = "jinja2 does not start"
            return None
        return process

    def _refuse(self, template: str) -> None:
        if len(self._refused) >= _MAX_REFUSED:
            self._refused.clear()
        self._refused.add(template)


def _result(template: str, answer: Mapping[str, str]) -> str | TemplateFailed:
    if "missing" in answer:
        return MissingValue(answer["missing"])
    if "failed" in answer:
        return TemplateFailed(f"{answer['failed']} in the template {template[:200]!r}")
    return answer["text"]
