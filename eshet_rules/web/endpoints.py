"""The endpoints of `/api/1` as data: their routes and their description are made of it."""

import asyncio
import json
from collections.abc import Awaitable, Callable, Iterable, Mapping, Sequence
from dataclasses import dataclass, field
from datetime import MAXYEAR, MINYEAR, datetime
from typing import Any, Final

from aiohttp import web

from eshet.exceptions import Disconnected, ErrorValue, EshetError
from eshet.gateway.answers import HttpError, json_answer
from eshet.gateway.json_values import InvalidJson, loads
from eshet.gateway.tokens import Scope
from eshet.text import safe_str
from eshet_rules.audit.query import stamp_of
from eshet_rules.exceptions import NotDriven, RulesError, UnknownName, VersionNotFound
from eshet_rules.web.schema import Answer

__all__ = [
    "LONGEST_GLOB",
    "ROOT",
    "Arguments",
    "Endpoint",
    "Parameter",
    "answering",
    "unknown_names",
]

ROOT: Final = "/api/1"

LONGEST_GLOB: Final = 1024
"""Maximum length of a text that is compared with names, in characters; that of a path."""

_MOST: Final = 500

_LONGEST_NAME: Final = 60
"""Maximum length of an unknown name in an error, in characters."""

_ANSWER_WITHIN: Final = 60.0
"""How long a question may take, in seconds: the owner of a node may never answer."""

_NOT_FOUND: Final = (UnknownName, VersionNotFound, NotDriven)


@dataclass(frozen=True)
class Parameter:
    """A parameter of a request.

    Args:
        name: its name.
        what: a description.
        schema: of its value, as JSON Schema.
        required: whether it has to be there.
    """

    name: str
    what: str
    schema: Mapping[str, Any] = field(default_factory=lambda: {"type": "string"})
    required: bool = False


class Arguments:
    """The arguments of a request: those in its URL, and the fields of its body.

    Args:
        request: the request.
        body: the fields of its body; empty for a GET.
        by: the name of the token that it was made with; empty without a token.
    """

    def __init__(self, request: web.Request, body: Mapping[str, Any], by: str) -> None:
        self.by: Final = by
        self._request = request
        self._body = body

    def text(self, name: str, default: str = "") -> str:
        """Return a text.

        Raises:
            HttpError: it is another value, or missing and has no default.
        """
        value = self._value(name)
        if value is None:
            return default
        if not isinstance(value, str):
            raise _wrong(name, "a text")
        return value

    def glob(self, name: str) -> str:
        """Return a text that is compared with names, which may be a glob; see `text`.

        Raises:
            HttpError: it is too long: the time to compile a glob grows with its length.
        """
        text = self.text(name)
        if len(text) > LONGEST_GLOB:
            raise _wrong(name, f"a text of at most {LONGEST_GLOB} characters")
        return text

    def required(self, name: str) -> str:
        """Return a text that must not be missing or empty; see `text`."""
        text = self.text(name)
        if not text:
            raise HttpError(400, "missing_parameter", f"the parameter {name!r} is missing")
        return text

    def limit(self) -> int:
        """Return the maximum number of rows of the answer, 1 to 500.

        Raises:
            HttpError: it is not such a number.
        """
        text = self.text("limit", str(_MOST))
        # Python converts no number of thousands of digits.
        is_short = len(text) <= len(str(_MOST)) and text.isascii() and text.isdigit()
        if not is_short or not 1 <= int(text) <= _MOST:
            raise _wrong("limit", f"a number from 1 to {_MOST}")
        return int(text)

    def moment(self, name: str) -> datetime | None:
        """Return a time; None if it is missing.

        Raises:
            HttpError: it is not a time with a time zone in ISO 8601, or is not within the years 2
                to 9998: at the ends of time, some time zones have no such time.
        """
        text = self.text(name)
        if not text:
            return None
        try:
            moment = datetime.fromisoformat(text)
        except ValueError:
            raise _wrong(name, "a time such as 2026-11-25T18:30:00Z") from None
        if moment.tzinfo is None:
            raise _wrong(name, "a time with its zone, such as 2026-11-25T18:30:00Z")
        if not MINYEAR < moment.year < MAXYEAR:
            raise _wrong(name, f"a time of the years {MINYEAR + 1} to {MAXYEAR - 1}")
        return moment

    def stamp(self, name: str, default: str) -> str:
        """Return a time in the format of records; see `moment`."""
        moment = self.moment(name)
        return default if moment is None else stamp_of(moment)

    def json(self, name: str) -> list[Any]:
        """Return a list with a value that is written as JSON, or as any other text; empty if none.

        See `eshet.gateway.json_values`.
        """
        text = self._request.query.get(name)
        if text is None:
            return []
        try:
            return [loads(text)]
        except InvalidJson:
            return [text]

    def value(self, name: str) -> Any:
        """Return a field of the body, which may be any value.

        Raises:
            HttpError: it is missing.
        """
        if name not in self._body:
            raise HttpError(400, "missing_parameter", f"the field {name!r} is missing")
        return self._body[name]

    def texts(self, name: str) -> list[str]:
        """Return a list of texts; empty if it is missing.

        Raises:
            HttpError: it is another value.
        """
        value = self._body.get(name, [])
        if not isinstance(value, list) or not all(isinstance(each, str) for each in value):
            raise _wrong(name, "a list of texts")
        return value

    def _value(self, name: str) -> Any:
        if name in self._request.match_info:
            return self._request.match_info[name]
        return self._body[name] if name in self._body else self._request.query.get(name)


Answering = Callable[[Arguments], Awaitable[Mapping[str, Any]]]


@dataclass(frozen=True)
class Endpoint:
    """An endpoint.

    Args:
        method: `"GET"` or `"POST"`.
        path: below `ROOT`; parts in braces are parameters.
        summary: what it does.
        answering: returns the answer.
        answer: the shape of the answer.
        parameters: those in the query, or in the body of a POST.
    """

    method: str
    path: str
    summary: str
    answering: Answering
    answer: type[Answer]
    parameters: Sequence[Parameter] = ()

    @property
    def scope(self) -> Scope:
        """What a token has to allow."""
        return Scope.READ if self.method == "GET" else Scope.ACT


def answering(
    endpoint: Endpoint, permit: Callable[[web.Request, Scope], str]
) -> Callable[[web.Request], Awaitable[web.Response]]:
    """Return the handler of an endpoint.

    Args:
        endpoint: the endpoint.
        permit: returns the name of the token of a request; raises an `HttpError` if the request
            is not permitted.
    """
    known = [each.name for each in endpoint.parameters]

    async def handle(request: web.Request) -> web.Response:
        by = permit(request, endpoint.scope)
        body = await _body(request) if endpoint.method == "POST" else {}
        # A mistyped filter would select everything.
        if problem := unknown_names(request.query.keys() | body.keys(), known):
            raise HttpError(400, "unknown_parameter", problem)
        given = Arguments(request, body, by)
        # Commands have no limit here: a reload may take long.
        limit = _ANSWER_WITHIN if endpoint.method == "GET" else None
        try:
            async with asyncio.timeout(limit):
                return json_answer(await endpoint.answering(given))
        except (RulesError, EshetError, TimeoutError) as error:
            raise _http_error(error) from None

    return handle


def unknown_names(given: Iterable[object], known: Sequence[str]) -> str:
    """Return a text that names those names that are not known; empty if there are none.

    Args:
        given: names that a program has sent.
        known: those that it may send.
    """
    unknown = sorted(safe_str(each) for each in given if each not in known)
    if not unknown:
        return ""
    names = ", ".join(repr(each[:_LONGEST_NAME]) for each in unknown[:3])
    may_be = f"write one of {', '.join(known)}" if known else "it has none"
    return f"there is no parameter {names}; {may_be}"


async def _body(request: web.Request) -> Mapping[str, Any]:
    data = await request.read()
    try:
        body = loads(data) if data else {}
    except InvalidJson as error:
        raise HttpError(400, "invalid_json", f"the body is {error}") from None
    if not isinstance(body, dict) or not all(isinstance(name, str) for name in body):
        raise HttpError(400, "invalid_body", 'the body is an object, such as {"path": "/a/b"}')
    return body


def _http_error(error: Exception) -> HttpError:
    text = safe_str(error)
    if isinstance(error, RulesError):
        return HttpError(404 if isinstance(error, _NOT_FOUND) else 409, _code(error), text)
    if isinstance(error, ErrorValue):
        return HttpError(520, error.value, text)
    if isinstance(error, Disconnected):
        return HttpError(503, "disconnected", "the runner has no connection to its server")
    if isinstance(error, TimeoutError):
        return HttpError(504, "timeout", "it has not answered in time")
    return HttpError(400, _code(error), text)


def _code(error: Exception) -> str:
    """Return the name of the class of an error as a word: `unknown_name`."""
    letters = (f"_{each.lower()}" if each.isupper() else each for each in type(error).__name__)
    return "".join(letters).lstrip("_")


def _wrong(name: str, wanted: str) -> HttpError:
    return HttpError(400, "wrong_parameter", f"{json.dumps(name)} is {wanted}")
