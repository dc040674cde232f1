"""Parses an expression into a function of the variables, by recursive descent."""

import operator
import re
from collections.abc import Callable, Mapping, Sequence
from typing import Any, Final, NoReturn

from eshet.bridges.mqtt.templates.filters import FILTERS, TESTS
from eshet.bridges.mqtt.templates.values import (
    MAX_DEPTH,
    Expression,
    Undefined,
    UnsupportedTemplate,
    Variables,
    bounded,
    defined,
    number,
)

__all__ = ["parse_expression"]

_TOKEN: Final = re.compile(
    r"\s*(?:(?P<number>\d+(?:\.\d+)?)|(?P<string>'[^']*'|\"[^\"]*\")|(?P<name>[A-Za-z_]\w*)"
    r"|(?P<operator>==|!=|<=|>=|//|[-+*/%~<>()\[\]{}.,:|=]))"
)
_LITERALS: Final = {
    "true": True,
    "True": True,
    "false": False,
    "False": False,
    "none": None,
    "None": None,
}
_WORDS: Final = frozenset({"if", "else", "and", "or", "not", "in", "is"})


def parse_expression(template: str, text: str) -> Expression:
    """Return a function that evaluates an expression.

    Args:
        template: the whole template, for errors.
        text: the expression.

    Raises:
        UnsupportedTemplate: the expression uses something that is not supported here.
    """
    return _Parser(template, text).parse()


class _Parser:
    """A recursive descent parser of one expression.

    Args:
        template: the whole template, for errors.
        text: the expression.
    """

    def __init__(self, template: str, text: str) -> None:
        self._template = template
        self._tokens: list[tuple[str, str]] = []
        self._next = 0
        self._depth = 0
        position = 0
        text = text.rstrip()
        while position < len(text):
            match = _TOKEN.match(text, position)
            if match is None or match.lastgroup is None:
                self._fail(f"{text[position:].strip()[:20]!r}")
            self._tokens.append((match.lastgroup, match[match.lastgroup]))
            position = match.end()

    def parse(self) -> Expression:
        """Return the expression."""
        expression = self._ternary()
        if self._next < len(self._tokens):
            self._fail(f"{self._tokens[self._next][1]!r}")
        return expression

    # --- tokens -------------------------------------------------------------------------------

    def _fail(self, problem: str) -> NoReturn:
        raise UnsupportedTemplate(self._template, problem)

    def _peek(self) -> str:
        """Return the next token if it is an operator or a word; otherwise nothing."""
        if self._next == len(self._tokens):
            return ""
        kind, text = self._tokens[self._next]
        return text if kind == "operator" or text in _WORDS else ""

    def _take(self, *texts: str) -> str:
        """Take the next token if it is one of these, and return it; otherwise nothing."""
        text = self._peek()
        if text not in texts:
            return ""
        self._next += 1
        return text

    def _expect(self, text: str) -> None:
        if not self._take(text):
            self._fail(f"no {text!r} where it is expected")

    def _name(self) -> str:
        if self._next == len(self._tokens) or self._tokens[self._next][0] != "name":
            self._fail("no name where it is expected")
        self._next += 1
        return self._tokens[self._next - 1][1]

    # --- from the weakest operator to the strongest -------------------------------------------

    def _ternary(self) -> Expression:
        self._depth += 1
        if self._depth > MAX_DEPTH:
            self._fail("too deeply nested expressions")
        chosen = self._either()
        if self._take("if"):
            test = self._either()
            other = self._ternary() if self._take("else") else _empty
            chosen = _choice(chosen, test, other)
        self._depth -= 1
        return chosen

    def _either(self) -> Expression:
        left = self._both()
        while self._take("or"):
            left = _either(left, self._both())
        return left

    def _both(self) -> Expression:
        left = self._negation()
        while self._take("and"):
            left = _both(left, self._negation())
        return left

    def _negation(self) -> Expression:
        if self._take("not"):
            negated = self._negation()
            return lambda variables: not negated(variables)
        return self._comparison()

    def _comparison(self) -> Expression:
        left = self._sum()
        while True:
            if self._take("is"):
                left = self._test(left)
            elif operator := self._take("==", "!=", "<", "<=", ">", ">=", "in"):
                left = _binary(_COMPARISONS[operator], left, self._sum())
            elif self._peek() == "not":
                self._next += 1
                self._expect("in")
                left = _binary(lambda item, whole: item not in whole, left, self._sum())
            else:
                return left

    def _test(self, value: Expression) -> Expression:
        wanted = not self._take("not")
        name = self._name()
        test = TESTS.get(name)
        if test is None:
            self._fail(f"the test {name!r}")
        return lambda variables: test(value(variables)) is wanted

    def _sum(self) -> Expression:
        left = self._product()
        while operator := self._take("+", "-", "~"):
            left = _binary(_ARITHMETIC[operator], left, self._product())
        return left

    def _product(self) -> Expression:
        left = self._filtered()
        while operator := self._take("*", "/", "//", "%"):
            left = _binary(_ARITHMETIC[operator], left, self._filtered())
        return left

    def _sign(self) -> Expression:
        if self._take("-"):
            negated = self._sign()
            return lambda variables: -number(defined(negated(variables)))
        return self._item()

    def _filtered(self) -> Expression:
        value = self._sign()
        while self._take("|"):
            name = self._name()
            apply = FILTERS.get(name)
            if apply is None:
                self._fail(f"the filter {name!r}")
            value = _filtered(apply, value, self._arguments() if self._take("(") else [])
        return value

    def _arguments(self) -> list[Expression]:
        arguments: list[Expression] = []
        while not self._take(")"):
            arguments.append(self._ternary())
            if self._take("="):  # the supported filters do not need the names of arguments
                arguments[-1] = self._ternary()
            if not self._take(","):
                self._expect(")")
                break
        return arguments

    def _item(self) -> Expression:
        value = self._primary()
        while operator := self._take(".", "["):
            if operator == ".":
                value = _item(value, _constant(self._name()))
            else:
                value = _item(value, self._ternary())
                self._expect("]")
        return value

    def _primary(self) -> Expression:
        if self._take("("):
            value = self._ternary()
            self._expect(")")
            return value
        if self._take("["):
            return self._list()
        if self._take("{"):
            return self._map()
        if self._next == len(self._tokens):
            self._fail("an incomplete expression")
        kind, text = self._tokens[self._next]
        if kind == "operator" or text in _WORDS:
            self._fail(f"{text!r}")
        self._next += 1
        if kind == "number":
            return _constant(float(text) if "." in text else int(text))
        if kind == "string":
            return _constant(text[1:-1])
        if text in _LITERALS:
            return _constant(_LITERALS[text])
        if self._peek() == "(":
            self._fail(f"the function {text!r}")
        return lambda variables: variables.get(text)

    def _list(self) -> Expression:
        items: list[Expression] = []
        while not self._take("]"):
            items.append(self._ternary())
            if not self._take(","):
                self._expect("]")
                break
        return lambda variables: [defined(item(variables)) for item in items]

    def _map(self) -> Expression:
        items: list[tuple[Expression, Expression]] = []
        while not self._take("}"):
            key = self._ternary()
            self._expect(":")
            items.append((key, self._ternary()))
            if not self._take(","):
                self._expect("}")
                break
        return lambda variables: {key(variables): defined(item(variables)) for key, item in items}


def _empty(_: Variables) -> str:
    return ""


def _constant(value: Any) -> Expression:
    return lambda _: value


def _choice(chosen: Expression, test: Expression, other: Expression) -> Expression:
    return lambda variables: chosen(variables) if test(variables) else other(variables)


def _either(left: Expression, right: Expression) -> Expression:
    return lambda variables: left(variables) or right(variables)


def _both(left: Expression, right: Expression) -> Expression:
    return lambda variables: left(variables) and right(variables)


def _binary(operate: Callable[[Any, Any], Any], left: Expression, right: Expression) -> Expression:
    return lambda variables: bounded(operate(defined(left(variables)), defined(right(variables))))


def _filtered(
    apply: Callable[..., Any], value: Expression, arguments: Sequence[Expression]
) -> Expression:
    return lambda variables: bounded(
        apply(value(variables), *(argument(variables) for argument in arguments))
    )


def _item(value: Expression, key: Expression) -> Expression:
    def get(variables: Variables) -> Any:
        whole, name = value(variables), key(variables)
        if isinstance(whole, Undefined):
            return Undefined(f"{whole.path}.{name}")
        try:
            return whole[name]
        except (KeyError, IndexError, TypeError):
            return Undefined(str(name))

    return get


def _add(left: Any, right: Any) -> Any:
    if isinstance(left, str) and isinstance(right, str):
        return left + right
    return number(left) + number(right)


_ARITHMETIC: Final[Mapping[str, Callable[[Any, Any], Any]]] = {
    "+": _add,
    "-": lambda left, right: number(left) - number(right),
    "*": lambda left, right: number(left) * number(right),
    "/": lambda left, right: number(left) / number(right),
    "//": lambda left, right: number(left) // number(right),
    "%": lambda left, right: number(left) % number(right),
    "~": lambda left, right: f"{left}{right}",
}

_COMPARISONS: Final[Mapping[str, Callable[[Any, Any], Any]]] = {
    "==": operator.eq,
    "!=": operator.ne,
    "<": operator.lt,
    "<=": operator.le,
    ">": operator.gt,
    ">=": operator.ge,
    "in": lambda item, whole: item in whole,
}
