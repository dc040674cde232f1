"""Which requests are answered, and the rights of each.

An `Access` checks every request before its handler runs: which host it names, which page sent it,
its type, its length and its token. A `GET` needs the scope `read` and all else `act`, unless the
handler is marked by `open_to_all`. A handler that changes something calls `require` as well, so
that it does nothing without an access control.
"""

import asyncio
import logging
import math
from collections.abc import Awaitable, Callable, Iterable
from dataclasses import dataclass
from typing import Any, Final, TypeVar, cast

from aiohttp import web

from eshet.gateway.answers import HttpError, error_answer
from eshet.gateway.guesses import Guesses
from eshet.gateway.headers import add_security_headers
from eshet.gateway.hosts import HostList, OriginList
from eshet.gateway.limits import HttpLimits
from eshet.gateway.refusals import RefusalLog
from eshet.gateway.remedies import Remedies
from eshet.gateway.tokens import Scope, Token, TokenFile
from eshet.text import safe_repr

__all__ = ["COOKIE", "Access", "Caller", "Scope", "caller_of", "open_to_all", "require"]

COOKIE: Final = "eshet_token"
"""The name of the cookie that has a browser's token."""

Handler = Callable[[web.Request], Awaitable[web.StreamResponse]]
_F = TypeVar("_F", bound=Callable[..., Awaitable[web.StreamResponse]])

_log: Final = logging.getLogger("eshet.gateway")

_SAFE: Final = frozenset({"GET", "HEAD", "OPTIONS"})
"""The methods that change nothing."""
_LOGGED: Final = frozenset({401, 403, 408, 413, 415, 421, 429})
"""The errors by which a request is refused; the others are mistakes of its sender."""


@dataclass(frozen=True)
class Caller:
    """Who sent a request, and the rights of that request.

    Args:
        access: the access control that let the request in.
        peer: the address of the other end, without its port.
        token: the token of the request; empty if it has none.
        is_wrong: whether it had another token, which is not valid, in its cookie.
    """

    access: "Access"
    peer: str
    token: str = ""
    is_wrong: bool = False

    @property
    def name(self) -> str:
        """The name of the token and the address, for the log."""
        found = self.access.find(self.token)
        return self.peer if found is None else f"{found.name} at {self.peer}"

    def may(self, scope: Scope) -> bool:
        """Whether the caller may do this now: a token may have been removed since the request."""
        found = self.access.find(self.token)
        if found is not None:
            return found.scope.includes(scope)
        return scope is Scope.READ and self.access.is_reading_open


_CALLER: Final = web.RequestKey("caller", Caller)


class Access:
    """The access control of everything that one server answers.

    Args:
        tokens: the accepted tokens; None for none, and then no request can act.
        hosts: names by which the server is addressed, beside those of loopback; see `HostList`.
        origins: origins from which pages may send requests, beside its own; see `OriginList`.
        public: whether other machines can reach the server, so that reading needs a token as well.
            `listening.serve` sets it for an address that is not one of loopback.
        limits: of the server.
        remedies: the advice in refusals.
        hides: returns whether the values of a path are secret: only who may act reads them.
        on_act: called before a request sets, calls or emits something, with its caller, the word
            for it, and the path.
        log: for refused requests, and errors of handlers.

    Raises:
        ValueError: a host or an origin is not valid.
    """

    def __init__(
        self,
        tokens: TokenFile | None = None,
        hosts: Iterable[str] = (),
        origins: Iterable[str] = (),
        public: bool = False,
        *,
        limits: HttpLimits | None = None,
        remedies: Remedies | None = None,
        hides: Callable[[str], bool] | None = None,
        on_act: Callable[[Caller, str, str], object] = lambda caller, action, path: None,
        log: logging.Logger = _log,
    ) -> None:
        self.remedies: Final = remedies or Remedies()
        self.on_act: Final = on_act
        self._hides = hides
        self.tokens: Final = tokens
        self.public: bool = public
        self.limits: Final = limits or HttpLimits()
        self.refusals: Final = RefusalLog(log, _now)
        self._hosts = HostList(hosts)
        self._origins = OriginList(origins)
        self._guesses = Guesses()
        self._log = log

    @property
    def is_reading_open(self) -> bool:
        """Whether reading needs no token: on loopback, and in a gateway without tokens."""
        return not self.public or self.tokens is None

    def scope_to_read(self, path: str) -> Scope:
        """Return the scope needed to read a path, or the values of all paths for `""`."""
        if self._hides is None or (path and not self._hides(path)):
            return Scope.READ
        return Scope.ACT

    def find(self, token: str) -> Token | None:
        """Return the token with this text; None if it is not valid."""
        return self.tokens.find(token) if self.tokens is not None and token else None

    # --- the middleware -----------------------------------------------------------------------

    @web.middleware
    async def middleware(self, request: web.Request, handler: Handler) -> web.StreamResponse:
        """Answer a request that is allowed; refuse, and log, one that is not."""
        try:
            await self._admit(request)
            return await handler(request)
        except HttpError as error:
            return self._answer(request, error)
        except web.HTTPException as error:
            if error.status < 400:
                raise
            return self._answer(request, _from_aiohttp(request, error))
        except ConnectionError:
            raise  # the client has gone
        except Exception:
            self._log.exception("can't answer a request from %s", peer_of(request))
            if request.writer.output_size > 0:  # a stream has begun: it can only be cut
                raise ConnectionResetError("the answer can't be completed") from None
            message = "an error in the server; its log has the details"
            return error_answer(HttpError(500, "internal_error", message))

    async def on_prepare(self, request: web.Request, answer: web.StreamResponse) -> None:
        """Add the security headers to an answer; a signal of `web.Application`."""
        add_security_headers(cast(Any, answer.headers))

    def _answer(self, request: web.Request, error: HttpError) -> web.Response:
        if error.status in _LOGGED:
            reason = f"{error.status} {error.error}"
            self.refusals.refused(peer_of(request), reason, f"{request.method} {request.path}")
        return error_answer(error)

    # --- checks -------------------------------------------------------------------------------

    async def _admit(self, request: web.Request) -> None:
        host = self._check_host(request)
        self._check_sender(request, host)
        if request.method == "POST" and request.content_type != "application/json":
            raise HttpError(
                415,
                "wrong_content_type",
                "send the body as JSON, with the header Content-Type: application/json",
            )
        if (request.content_length or 0) > self.limits.body:
            raise self._too_long()
        request[_CALLER] = self._identify(request)
        acts = request.method not in _SAFE and request.match_info.http_exception is None
        if not getattr(request.match_info.handler, "is_open_to_all", False):
            # Before the body is read: strangers can't make the server keep theirs.
            require(request, Scope.ACT if acts else Scope.READ)
        if acts:
            await self._read(request)

    def _check_host(self, request: web.Request) -> str:
        """Return the host that a request names, after checking that it is one of this server."""
        hosts = request.headers.getall("Host", [])
        sockname = request.transport and request.transport.get_extra_info("sockname")
        address, port = sockname[:2] if sockname else ("", 0)
        if len(hosts) != 1 or not self._hosts.allows(hosts[0], address, port, request.scheme):
            shown = safe_repr(hosts[0], 100) if hosts else "no name"
            raise HttpError(
                421,
                "wrong_host",
                f"this server is not addressed by {shown}; if that is intended, "
                f"{self.remedies.host}",
            )
        return hosts[0]

    def _check_sender(self, request: web.Request, host: str) -> None:
        """Check that a request was not sent by a page of another site."""
        headers = request.headers
        changes = request.method not in _SAFE or "Upgrade" in headers
        origins = headers.getall("Origin", [])
        is_listed = len(origins) == 1 and self._origins.lists(origins[0])
        is_own = all(self._origins.allows(each, host, request.scheme) for each in origins)
        is_cross_site = headers.get("Sec-Fetch-Site") == "cross-site" and not is_listed
        # A link on a page of another site may lead here; such a request is a navigation.
        is_link = not changes and headers.get("Sec-Fetch-Mode") == "navigate"
        if (changes and (not is_own or len(origins) > 1)) or (is_cross_site and not is_link):
            shown = safe_repr(origins[0], 100) if origins else "another site"
            raise HttpError(
                403,
                "foreign_origin",
                f"a page of {shown} may not send this; if that is intended, {self.remedies.origin}",
            )

    async def _read(self, request: web.Request) -> None:
        """Read the body, which the request then keeps, before its deadline."""
        try:
            async with asyncio.timeout(self.limits.body_time):
                body = await request.read()
        except TimeoutError:
            raise HttpError(
                408, "too_slow", "the body of the request did not come in time"
            ) from None
        except web.RequestPayloadError:
            raise HttpError(
                400, "invalid_request", "the body of the request is cut short"
            ) from None
        if len(body) > self.limits.body:
            raise self._too_long()

    def _too_long(self) -> HttpError:
        return HttpError(
            413, "too_long", f"the body may have at most {self.limits.body} bytes; send less"
        )

    # --- tokens -------------------------------------------------------------------------------

    def _identify(self, request: web.Request) -> Caller:
        peer = peer_of(request)
        given = request.headers.get("Authorization")
        if given is not None and self.tokens is not None:
            kind, _, token = given.partition(" ")
            if kind.lower() != "bearer" or self.find(token.strip()) is None:
                raise self.wrong_token(peer)
            return Caller(self, peer, token.strip())
        cookie = request.cookies.get(COOKIE, "")
        if self.find(cookie) is not None:
            return Caller(self, peer, cookie)
        # The browser of a removed token must still be able to load the page, to log in again.
        return Caller(self, peer, is_wrong=bool(cookie))

    def wrong_token(self, peer: str) -> HttpError:
        """Count a wrong token, and return the error to answer with."""
        wait = self._guesses.failed(peer, _now())
        if wait:
            return HttpError(
                429,
                "too_many_wrong_tokens",
                f"too many wrong tokens; wait {wait:g} s before the next one",
                {"Retry-After": str(math.ceil(wait))},
            )
        return HttpError(
            401,
            "wrong_token",
            f"the token is not valid; {self.remedies.to_read}",
            {"WWW-Authenticate": 'Bearer realm="eshet"'},
        )

    def missing(self, caller: Caller, scope: Scope) -> HttpError | None:
        """Return the error to answer with if the caller may not do this; None if it may."""
        if caller.may(scope):
            return None
        if caller.is_wrong:
            return self.wrong_token(caller.peer)
        if caller.token:
            return HttpError(
                403,
                "not_permitted",
                f"this token does not have the scope {scope}; {self.remedies.to_act}",
            )
        how = (
            "send the header Authorization: Bearer TOKEN, or log in"
            if self.tokens is not None
            else self.remedies.tokens
        )
        make = self.remedies.to_act if scope is Scope.ACT else self.remedies.to_read
        return HttpError(
            401,
            "token_needed",
            f"this needs a token of the scope {scope}: {how}; {make}",
            {"WWW-Authenticate": 'Bearer realm="eshet"'},
        )


def caller_of(request: web.Request) -> Caller:
    """Return who sent a request that was let in."""
    return request[_CALLER]


def require(request: web.Request, scope: Scope) -> None:
    """Check that a request may do this.

    Raises:
        HttpError: it may not: 401 without a token, 403 with one that is not enough.
    """
    caller = caller_of(request)
    error = caller.access.missing(caller, scope)
    if error is not None:
        raise error


def open_to_all(handler: _F) -> _F:
    """Mark a handler as open to all callers, such as the page for the login."""
    handler.is_open_to_all = True  # type: ignore[attr-defined]
    return handler


def peer_of(request: web.BaseRequest) -> str:
    """Return the address of the other end, without its port."""
    return request.remote or "unknown"


def _from_aiohttp(request: web.Request, error: web.HTTPException) -> HttpError:
    """Return the error to answer with in place of one of aiohttp."""
    shown = safe_repr(request.path, 200)
    if error.status == 404:
        return HttpError(404, "not_found", f"there is nothing at {shown}; check the address")
    if isinstance(error, web.HTTPMethodNotAllowed):
        allowed = ", ".join(sorted(error.allowed_methods))
        message = f"{shown} is requested by {allowed}, not by {safe_repr(error.method, 20)}"
        return HttpError(405, "method_not_allowed", message, {"Allow": allowed})
    if error.status == 413:
        return HttpError(413, "too_long", "the body is too long; send less")
    return HttpError(error.status, error.reason.lower().replace(" ", "_"), error.text or "")


def _now() -> float:
    return asyncio.get_running_loop().time()
