"""The templates in discovery messages: https://www.home-assistant.io/docs/configuration/templating/.

A small part of Jinja, evaluated by our own code: enough for what firmwares write, and without loops
and calls, so that no message can keep the event loop busy.

    text       {{ expression }} and {% if condition %} … {% elif … %} … {% else %} … {% endif %}
    values     value, value_json, literals, lists and maps, value_json.a, value_json["a"][0]
    operators  + - * / // % ~ == != < <= > >= in, not, and, or, `a if b else c`
    tests      is [not] defined, none, true, false, number, string
    filters    default, int, float, round, abs, lower, upper, trim, string, bool, length, first,
               last, join, replace, truncate, tojson, is_defined, iif
"""

import json
import re
from collections.abc import Callable, Mapping, Sequence
from typing import Any, Final, NoReturn

from eshet.bridges.exceptions import BridgeError

__all__ = ["MissingValue", "Template", "TemplateFailed", "UnsupportedTemplate"]

_MAX_LENGTH: Final = 4096
"""The maximum length of a template, in characters."""
_MAX_DEPTH: Final = 32
"""The maximum depth of nested expressions."""
_MAX_RESULT: Final = 65_536
"""The maximum length of a result, in characters."""


class UnsupportedTemplate(BridgeError):
    """A template contains something that is not evaluated here.

    Args:
        template: its text.
        problem: what that is.
    """

    def __init__(self, template: str, problem: str) -> None:
        self.template = template
        self.problem = problem
        super().__init__(f"{problem} in the template {template[:200]!r}")


class TemplateFailed(BridgeError):
    """A template has no result for a payload."""


class MissingValue(TemplateFailed):
    """The payload does not have what the template reads; many messages only have a part."""


class _Undefined:
    """What a payload does not have."""

    def __init__(self, path: str) -> None:
        self.path = path

    def __bool__(self) -> bool:
        return False


Variables = Mapping[str, Any]
Expression = Callable[[Variables], Any]
Part = Callable[[Variables, list[str]], None]


class Template:
    """A template that was checked.

    Args:
        text: the template.

    Raises:
        UnsupportedTemplate: it can't be evaluated here.
    """

    def __init__(self, text: str) -> None:
        self.text: Final = text
        if len(text) > _MAX_LENGTH:
            raise UnsupportedTemplate(text, f"more than {_MAX_LENGTH} characters")
        try:
            self._parts: Final = _Blocks(text).parse()
        except RecursionError:
            raise UnsupportedTemplate(text, "too deeply nested expressions") from None

    def render(self, value: str, **variables: object) -> str:
        """Return the text for a payload.

        Args:
            value: the payload as text; as JSON it is `value_json`.
            variables: others that the template may use.

        Raises:
            MissingValue: the payload does not have what the template reads.
            TemplateFailed: there is no result, as for a division by zero.
        """
        rendered: list[str] = []
        scope = _Variables(value, variables)
        try:
            for part in self._parts:
                part(scope, rendered)
        except TemplateFailed:
            raise
        except (ArithmeticError, LookupError, RecursionError, TypeError, ValueError) as error:
            raise TemplateFailed(f"{error} in the template {self.text[:200]!r}") from None
        return "".join(rendered)[:_MAX_RESULT].strip()


class _Variables(dict[str, Any]):
    """The variables of a template; `value_json` is parsed when it is read."""

    def __init__(self, value: str, others: Mapping[str, object]) -> None:
        super().__init__(others, value=value)

    def __missing__(self, name: str) -> Any:
        if name != "value_json":
            return _Undefined(name)
        try:
            parsed = json.loads(self["value"])
        except ValueError:
            parsed = _Undefined(name)
        self[name] = parsed
        return parsed


# --- blocks -------------------------------------------------------------------------------------

_BLOCK: Final = re.compile(r"\{\{-?(.*?)-?\}\}|\{%-?(.*?)-?%\}|\{#.*?#\}", re.DOTALL)


class _Blocks:
    """Parses the text around expressions, and conditions."""

    def __init__(self, text: str) -> None:
        self._text = text
        self._pieces: list[tuple[str, str]] = []
        position = 0
        for match in _BLOCK.finditer(text):
            self._pieces.append(("text", text[position : match.start()]))
            if match[1] is not None:
                self._pieces.append(("expression", match[1]))
            elif match[2] is not None:
                self._pieces.append(("statement", match[2].strip()))
            position = match.end()
        self._pieces.append(("text", text[position:]))
        self._next = 0

    def parse(self) -> list[Part]:
        """Return the parts of the template."""
        parts, end = self._parse_until()
        if end:
            self._fail(f"{end.split()[0]!r} without a condition")
        return parts

    def _parse_until(self, *ends: str, depth: int = 0) -> tuple[list[Part], str]:
        """Return the parts up to a statement that begins with one of these words, and that."""
        if depth > _MAX_DEPTH:
            self._fail("too many nested conditions")
        parts: list[Part] = []
        while self._next < len(self._pieces):
            kind, text = self._pieces[self._next]
            self._next += 1
            if kind == "text":
                if text:
                    parts.append(_literal_part(text))
            elif kind == "expression":
                parts.append(_expression_part(_Parser(self._text, text).parse()))
            else:
                word = text.split(maxsplit=1)[0] if text else ""
                if word in ends:
                    return parts, text
                if word != "if":
                    self._fail(f"the statement {word!r}")
                parts.append(self._condition(text, depth))
        if ends:
            self._fail("a condition without its end")
        return parts, ""

    def _condition(self, text: str, depth: int) -> Part:
        branches: list[tuple[Expression, list[Part]]] = []
        while True:
            word, _, condition = text.partition(" ")
            if word == "else":
                test: Expression = _always
            else:
                test = _Parser(self._text, condition).parse()
            parts, text = self._parse_until("elif", "else", "endif", depth=depth + 1)
            branches.append((test, parts))
            if text == "endif":
                return _condition_part(branches)

    def _fail(self, problem: str) -> NoReturn:
        raise UnsupportedTemplate(self._text, problem)


def _always(_: Variables) -> bool:
    return True


def _literal_part(text: str) -> Part:
    return lambda _, rendered: rendered.append(text)


def _expression_part(expression: Expression) -> Part:
    def render(variables: Variables, rendered: list[str]) -> None:
        rendered.append(str(_defined(expression(variables))))

    return render


def _condition_part(branches: list[tuple[Expression, list[Part]]]) -> Part:
    def render(variables: Variables, rendered: list[str]) -> None:
        for test, parts in branches:
            if test(variables):
                for part in parts:
                    part(variables, rendered)
                return

    return render


# --- expressions --------------------------------------------------------------------------------

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


def _defined(value: Any) -> Any:
    if isinstance(value, _Undefined):
        raise MissingValue(f"the payload has no {value.path}")
    return value


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
        if self._depth > _MAX_DEPTH:
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
                left = _binary(_not_in, left, self._sum())
            else:
                return left

    def _test(self, value: Expression) -> Expression:
        wanted = not self._take("not")
        name = self._name()
        test = _TESTS.get(name)
        if test is None:
            self._fail(f"the test {name!r}")
        return lambda variables: test(value(variables)) is wanted

    def _sum(self) -> Expression:
        left = self._product()
        while operator := self._take("+", "-", "~"):
            left = _binary(_ARITHMETIC[operator], left, self._product())
        return left

    def _product(self) -> Expression:
        left = self._sign()
        while operator := self._take("*", "/", "//", "%"):
            left = _binary(_ARITHMETIC[operator], left, self._sign())
        return left

    def _sign(self) -> Expression:
        if self._take("-"):
            negated = self._sign()
            return lambda variables: -_number(_defined(negated(variables)))
        return self._filtered()

    def _filtered(self) -> Expression:
        value = self._item()
        while self._take("|"):
            name = self._name()
            apply = _FILTERS.get(name)
            if apply is None:
                self._fail(f"the filter {name!r}")
            value = _filtered(apply, value, self._arguments() if self._take("(") else [])
        return value

    def _arguments(self) -> list[Expression]:
        arguments: list[Expression] = []
        while not self._take(")"):
            arguments.append(self._ternary())
            if self._take("="):  # the names of arguments are not needed by the filters here
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
        return lambda variables: variables[text]

    def _list(self) -> Expression:
        items: list[Expression] = []
        while not self._take("]"):
            items.append(self._ternary())
            if not self._take(","):
                self._expect("]")
                break
        return lambda variables: [_defined(item(variables)) for item in items]

    def _map(self) -> Expression:
        items: list[tuple[Expression, Expression]] = []
        while not self._take("}"):
            key = self._ternary()
            self._expect(":")
            items.append((key, self._ternary()))
            if not self._take(","):
                self._expect("}")
                break
        return lambda variables: {key(variables): _defined(item(variables)) for key, item in items}


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
    return lambda variables: operate(_defined(left(variables)), _defined(right(variables)))


def _filtered(
    apply: Callable[..., Any], value: Expression, arguments: Sequence[Expression]
) -> Expression:
    return lambda variables: apply(
        value(variables), *(argument(variables) for argument in arguments)
    )


def _item(value: Expression, key: Expression) -> Expression:
    def get(variables: Variables) -> Any:
        whole, name = value(variables), key(variables)
        if isinstance(whole, _Undefined):
            return _Undefined(f"{whole.path}.{name}")
        try:
            return whole[name]
        except (KeyError, IndexError, TypeError):
            return _Undefined(str(name))

    return get


def _number(value: Any) -> float:
    if isinstance(value, bool) or not isinstance(value, int | float):
        raise TypeError(f"{value!r} is not a number")
    return value


def _add(left: Any, right: Any) -> Any:
    if isinstance(left, str) and isinstance(right, str):
        return left + right
    return _number(left) + _number(right)


def _not_in(left: Any, right: Any) -> bool:
    return left not in right


_ARITHMETIC: Final[Mapping[str, Callable[[Any, Any], Any]]] = {
    "+": _add,
    "-": lambda left, right: _number(left) - _number(right),
    "*": lambda left, right: _number(left) * _number(right),
    "/": lambda left, right: _number(left) / _number(right),
    "//": lambda left, right: _number(left) // _number(right),
    "%": lambda left, right: _number(left) % _number(right),
    "~": lambda left, right: f"{left}{right}",
}

_COMPARISONS: Final[Mapping[str, Callable[[Any, Any], bool]]] = {
    "==": lambda left, right: left == right,
    "!=": lambda left, right: left != right,
    "<": lambda left, right: left < right,
    "<=": lambda left, right: left <= right,
    ">": lambda left, right: left > right,
    ">=": lambda left, right: left >= right,
    "in": lambda left, right: left in right,
}

_TESTS: Final[Mapping[str, Callable[[Any], bool]]] = {
    "defined": lambda value: not isinstance(value, _Undefined),
    "none": lambda value: value is None,
    "true": lambda value: value is True,
    "false": lambda value: value is False,
    "number": lambda value: isinstance(value, int | float),
    "string": lambda value: isinstance(value, str),
}

_RAISE: Final = object()


def _default(value: Any, other: Any = "", if_false: Any = False) -> Any:
    return other if isinstance(value, _Undefined) or (if_false and not value) else value


def _converted(convert: Callable[[Any], Any], value: Any, default: Any) -> Any:
    try:
        return convert(_defined(value))
    except (TypeError, ValueError, MissingValue):
        if default is _RAISE:
            raise
        return default


def _int(value: Any, default: Any = _RAISE, _: Any = 10) -> Any:
    return _converted(lambda given: int(float(given)), value, default)


def _float(value: Any, default: Any = _RAISE) -> Any:
    return _converted(float, value, default)


def _round(value: Any, digits: Any = 0, method: Any = "common", default: Any = _RAISE) -> Any:
    if method != "common":
        raise ValueError(f"round by the method {method!r}")
    rounded = _converted(lambda given: round(float(given), int(digits)), value, default)
    return int(rounded) if not digits and isinstance(rounded, float) else rounded


def _bool(value: Any, default: Any = _RAISE) -> Any:
    words = {"true": True, "yes": True, "on": True, "1": True}
    words |= {"false": False, "no": False, "off": False, "0": False}
    return _converted(lambda given: words[str(given).lower()], value, default)


def _truncate(
    value: Any, length: Any = 255, cut_words: Any = False, end: Any = "...", _: Any = None
) -> str:
    text = str(_defined(value))
    if len(text) <= length:
        return text
    kept = text[: max(length - len(end), 0)]
    return f"{kept if cut_words else kept.rpartition(' ')[0] or kept}{end}"


_FILTERS: Final[Mapping[str, Callable[..., Any]]] = {
    "default": _default,
    "d": _default,
    "int": _int,
    "float": _float,
    "round": _round,
    "abs": lambda value: abs(_number(_defined(value))),
    "bool": _bool,
    "lower": lambda value: str(_defined(value)).lower(),
    "upper": lambda value: str(_defined(value)).upper(),
    "trim": lambda value: str(_defined(value)).strip(),
    "string": lambda value: str(_defined(value)),
    "length": lambda value: len(_defined(value)),
    "first": lambda value: _defined(value)[0],
    "last": lambda value: _defined(value)[-1],
    "join": lambda value, by="": str(by).join(map(str, _defined(value))),
    "replace": lambda value, old, new: str(_defined(value)).replace(str(old), str(new)[:100]),
    "truncate": _truncate,
    "tojson": lambda value: json.dumps(_defined(value)),
    "is_defined": _defined,
    "iif": lambda value, yes=True, no=False: yes if value else no,
}
