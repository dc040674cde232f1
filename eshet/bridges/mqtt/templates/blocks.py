"""A template: text, expressions between `{{` and `}}`, and conditions between `{%` and `%}`."""

from collections.abc import Callable, Iterator
from typing import Final, NoReturn

from eshet.bridges.mqtt.templates.expressions import parse_expression
from eshet.bridges.mqtt.templates.values import (
    MAX_DEPTH,
    MAX_LENGTH,
    MAX_TEXT,
    Expression,
    TemplateFailed,
    UnsupportedTemplate,
    Variables,
    defined,
)

__all__ = ["Template"]

_Part = Callable[[Variables, list[str]], None]
"""Renders a part of a template, and appends its texts to a list."""

_ENDS: Final = {"{{": "}}", "{%": "%}", "{#": "#}"}
"""The marks at the beginning and the end of blocks."""


class Template:
    """A checked template.

    Args:
        text: the template.

    Raises:
        UnsupportedTemplate: the template uses something that is not supported here.
    """

    def __init__(self, text: str) -> None:
        self.text: Final = text
        if len(text) > MAX_LENGTH:
            raise UnsupportedTemplate(text, f"more than {MAX_LENGTH} characters")
        try:
            self._parts: Final = _Blocks(text).parse()
        except RecursionError:
            raise UnsupportedTemplate(text, "too deeply nested expressions") from None

    def render(self, value: str | float) -> str:
        """Return the text for a payload, cut to `MAX_TEXT`, without white space at its ends.

        Args:
            value: the payload as text, or a number that is to be sent. As JSON it is `value_json`.

        Raises:
            MissingValue: the payload lacks a value that the template reads.
            TemplateFailed: the evaluation failed, such as by a division by zero.
        """
        rendered: list[str] = []
        variables = Variables(value)
        try:
            _render(self._parts, variables, rendered)
        except TemplateFailed:
            raise
        except (
            ArithmeticError,
            AttributeError,
            LookupError,
            RecursionError,
            TypeError,
            ValueError,
        ) as error:
            raise TemplateFailed(f"{error} in the template {self.text[:200]!r}") from None
        return "".join(rendered)[:MAX_TEXT].strip()


def _render(parts: list[_Part], variables: Variables, rendered: list[str]) -> None:
    for part in parts:
        part(variables, rendered)


class _Blocks:
    """Parses a template into texts, expressions and conditions.

    Args:
        text: the template.
    """

    def __init__(self, text: str) -> None:
        self._text = text
        self._pieces = self._split()

    def parse(self) -> list[_Part]:
        """Return the parts of the template."""
        parts, _ = self._parse_until()
        return parts

    def _split(self) -> Iterator[tuple[str, str]]:
        """Yield text, with an empty mark, and the contents of blocks with their first marks."""
        text, position, strips = self._text, 0, False
        while position < len(text):
            start = min(
                (at for mark in _ENDS if (at := text.find(mark, position)) >= 0), default=len(text)
            )
            mark = text[start : start + 2]
            between = text[position:start].lstrip() if strips else text[position:start]
            if not mark:
                yield "", between
                return
            end = text.find(_ENDS[mark], start + 2)
            if end < 0:
                self._fail(f"no {_ENDS[mark]!r} after {mark!r}")
            content = text[start + 2 : end]
            # A hyphen inside a mark removes the white space outside it.
            yield "", between.rstrip() if content.startswith("-") else between
            strips = content.endswith("-")
            yield mark, content.removeprefix("-").removesuffix("-").strip()
            position = end + 2

    def _parse_until(self, *ends: str, depth: int = 0) -> tuple[list[_Part], str]:
        """Return the parts up to the first statement in `ends`, and that statement."""
        if depth > MAX_DEPTH:
            self._fail("too many nested conditions")
        parts: list[_Part] = []
        for mark, content in self._pieces:
            if mark == "{{":
                parts.append(_expression_part(parse_expression(self._text, content)))
            elif mark == "{%":
                word = content.split(maxsplit=1)[0] if content else ""
                if word in ends:
                    return parts, content
                if word != "if":
                    self._fail(f"the statement {word!r}")
                parts.append(self._condition(content, depth))
            elif not mark and content:
                parts.append(_literal_part(content))
        if ends:
            self._fail("a condition without its end")
        return parts, ""

    def _condition(self, statement: str, depth: int) -> _Part:
        branches: list[tuple[Expression, list[_Part]]] = []
        while True:
            word, *condition = statement.split(maxsplit=1)
            test = _always if word == "else" else parse_expression(self._text, *condition or [""])
            parts, statement = self._parse_until("elif", "else", "endif", depth=depth + 1)
            branches.append((test, parts))
            if statement == "endif":
                return _condition_part(branches)

    def _fail(self, problem: str) -> NoReturn:
        raise UnsupportedTemplate(self._text, problem)


def _always(_: Variables) -> bool:
    return True


def _literal_part(text: str) -> _Part:
    return lambda _, rendered: rendered.append(text)


def _expression_part(expression: Expression) -> _Part:
    def render(variables: Variables, rendered: list[str]) -> None:
        room = MAX_TEXT - sum(map(len, rendered))
        rendered.append(str(defined(expression(variables)))[:room])

    return render


def _condition_part(branches: list[tuple[Expression, list[_Part]]]) -> _Part:
    def render(variables: Variables, rendered: list[str]) -> None:
        for test, parts in branches:
            if test(variables):
                _render(parts, variables, rendered)
                return

    return render
