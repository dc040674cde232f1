"""Answers as JSON, and the error that becomes one."""

from collections.abc import Mapping
from typing import Final

from aiohttp import web

from eshet.gateway import json_values
from eshet.text import encodable

__all__ = ["HttpError", "error_answer", "json_answer"]


class HttpError(Exception):
    """A handler raises it to answer with an error.

    Args:
        status: of the answer, such as 404.
        error: for programs: a word such as `not_found`, or another value.
        message: for the user: the mistake, its place, and the remedy.
        headers: further headers of the answer.
    """

    def __init__(
        self,
        status: int,
        error: object,
        message: str,
        headers: Mapping[str, str] | None = None,
    ) -> None:
        self.status = status
        self.error = error
        self.message = message
        self.headers: Final[dict[str, str]] = dict(headers or {})
        super().__init__(f"{status} {error}: {message}")


def json_answer(
    value: object, status: int = 200, headers: Mapping[str, str] | None = None
) -> web.Response:
    """Return an answer with a value as JSON; see `json_values`.

    Raises:
        TypeError: a part of the value can't be written as JSON.
        ValueError: it is nested too deeply.
    """
    return web.Response(
        body=json_values.dumps(value).encode(),
        status=status,
        content_type="application/json",
        charset="utf-8",
        headers=headers,
    )


def error_answer(error: HttpError) -> web.Response:
    """Return the answer `{"error": …, "message": …}`."""
    content = {"error": error.error, "message": encodable(error.message)}
    return json_answer(content, error.status, error.headers)
