"""The routes by which a browser exchanges a token for a cookie: `/login`, `/logout`, `/access`.

The cookie has the token itself, so that it stays valid after a restart of the server. Scripts can't
read it, and pages of other sites can't make the browser send it.
"""

from typing import Any, Final

from aiohttp import web

from eshet.gateway import json_values
from eshet.gateway.access import COOKIE, Caller, Scope, caller_of, open_to_all
from eshet.gateway.answers import HttpError, json_answer

__all__ = ["login_routes"]

_SECONDS: Final = 180 * 24 * 3600
"""How long a browser keeps the cookie."""


def login_routes() -> list[web.AbstractRouteDef]:
    """Return the routes; the access control of the server opens them to all callers."""
    return [
        web.post("/login", _login),
        web.post("/logout", _logout),
        web.get("/access", _access),
    ]


@open_to_all
async def _login(request: web.Request) -> web.StreamResponse:
    """Set the cookie, if the token in the body `{"token": "…"}` is valid."""
    caller = caller_of(request)
    token = _token_of(await request.read())
    if caller.access.find(token) is None:
        raise caller.access.wrong_token(caller.peer)
    answer = _describe(request, Caller(caller.access, caller.peer, token))
    answer.set_cookie(
        COOKIE,
        token,
        max_age=_SECONDS,
        path="/",
        httponly=True,
        samesite="Strict",
        secure=request.secure,
    )
    return answer


@open_to_all
async def _logout(request: web.Request) -> web.StreamResponse:
    """Remove the cookie."""
    caller = caller_of(request)
    answer = _describe(request, Caller(caller.access, caller.peer))
    answer.del_cookie(COOKIE, path="/", httponly=True, samesite="Strict", secure=request.secure)
    return answer


@open_to_all
async def _access(request: web.Request) -> web.StreamResponse:
    """Return the rights of the request, and whether it is encrypted."""
    return _describe(request, caller_of(request))


def _describe(request: web.Request, caller: Caller) -> web.Response:
    return json_answer(
        {"read": caller.may(Scope.READ), "act": caller.may(Scope.ACT), "tls": request.secure}
    )


def _token_of(body: bytes) -> str:
    content: Any
    try:
        content = json_values.loads(body)
    except json_values.InvalidJson:
        content = None
    match content:
        case {"token": str(token)}:
            return token
        case _:
            raise HttpError(400, "invalid_login", 'send {"token": "…"} with a token in it')
