"""Serves the page of a runner, its API and the gateway, all at one address."""

import asyncio
import functools
import json
import logging
import ssl
from collections.abc import AsyncIterator, Callable, Mapping
from contextlib import asynccontextmanager
from pathlib import Path
from typing import Any, Final

from aiohttp import WSCloseCode, WSMsgType, web

from eshet.address import Address
from eshet.gateway.access import Access, Caller, caller_of, open_to_all, require
from eshet.gateway.answers import json_answer
from eshet.gateway.gateway import Gateway
from eshet.gateway.listening import check_address, serve
from eshet.gateway.remedies import Remedies
from eshet.gateway.tokens import Scope, TokenFile
from eshet.server.tls import server_tls
from eshet.text import encodable
from eshet_rules.audit.records.control import PageActed, PageServed
from eshet_rules.audit.records.schema import emit
from eshet_rules.config import WebSettings
from eshet_rules.exceptions import PageNotServed
from eshet_rules.runner.view import RunnerView
from eshet_rules.web.api import Api
from eshet_rules.web.endpoints import ROOT
from eshet_rules.web.live import Live
from eshet_rules.web.metrics import metric_lines
from eshet_rules.web.openapi import description
from eshet_rules.web.static_files import StaticFiles
from eshet_rules.web.visitor import Send, Visitor

__all__ = ["WebPage"]

_log: Final = logging.getLogger("eshet.gateway")

_HEARTBEAT: Final = 20.0
"""Seconds without a message after which a browser is asked whether it is still there."""

_LONGEST_MESSAGE: Final = 1 << 18
"""Maximum size of a message of a page, in bytes: a list of paths."""


_LONGEST_REASON: Final = 120
"""Maximum length of the reason in a close frame, in bytes; there is room for 123."""

_REMEDIES: Final = Remedies(
    to_read="`eshet-rules web token` makes one",
    to_act="`eshet-rules web token --act` makes one",
    tokens="run without --no-state, so that tokens are kept",
    host="add that name to `hosts` below [web]",
    origin="add that origin to `origins` below [web]",
    public="set tls_cert and tls_key below [web], or insecure = true if that is intended",
)


class WebPage:
    """The page of one runner; see `eshet_rules.runner.view.Page`.

    Args:
        settings: where and how it is served.
        tokens: the file of tokens; None if no state is kept: then nobody can act.

    Raises:
        PageNotServed: the files for TLS can't be used.
    """

    def __init__(self, settings: WebSettings, tokens: Path | None) -> None:
        self._settings = settings
        self._tokens = tokens
        self._tls = _tls(settings)
        self._address = Address.parse(settings.address, lowest_port=0)

    async def check(self) -> None:
        """Check that the settings allow to serve the page.

        Raises:
            ListenError: other machines could use it without TLS.
            PageNotServed: a host or an origin is not valid.
        """
        insecure = self._settings.insecure
        await check_address(self._address, self._access(), self._tls, insecure=insecure)

    async def serve(self, view: RunnerView) -> None:
        """Serve the page of a runner until this is cancelled.

        Raises:
            ListenError: the address can't be used.
        """
        async with self.serving(view) as (url, api, live), asyncio.TaskGroup() as tasks:
            emit(view.log, PageServed(url=url))
            tasks.create_task(live.run())
            tasks.create_task(api.silences.run(live.visited))

    @asynccontextmanager
    async def serving(self, view: RunnerView) -> AsyncIterator[tuple[str, Api, Live]]:
        """Serve the page within an `async with` statement; its value has the URL."""
        redaction = view.redaction

        def record(caller: Caller, action: str, path: str) -> None:
            emit(view.log, PageActed(action=action, subject=path, by=caller.name))

        access = self._access(redaction.hides if redaction else None, record)
        api = Api(view)
        live = Live(view, api.tree, api.rules, api.trail)
        routes = [
            *Gateway(view.client, access).routes(),
            *api.routes(_permit),
            web.get(f"{ROOT}/live", functools.partial(_visit, live)),
            web.get(f"{ROOT}/openapi.json", _describing(description(api.endpoints()))),
            web.get("/healthz", _answer_healthy),
            web.get("/metrics", functools.partial(_measure, view)),
            *StaticFiles().routes(),
        ]
        try:
            async with serve(
                routes,
                self._address,
                access=access,
                tls=self._tls,
                insecure=self._settings.insecure,
            ) as url:
                yield url, api, live
        finally:
            await api.close()

    def _access(
        self,
        hides: Callable[[str], bool] | None = None,
        on_act: Callable[[Caller, str, str], object] = lambda caller, action, path: None,
    ) -> Access:
        settings = self._settings
        tokens = None if self._tokens is None else TokenFile(self._tokens)
        try:
            return Access(
                tokens,
                settings.hosts,
                settings.origins,
                remedies=_REMEDIES,
                hides=hides,
                on_act=on_act,
            )
        except ValueError as error:
            raise PageNotServed(f"hosts or origins below [web]: {error}") from None


def _tls(settings: WebSettings) -> ssl.SSLContext | None:
    cert, others = settings.tls_cert, (settings.tls_key, settings.tls_client_ca)
    if cert is None:
        if others != (None, None):
            raise PageNotServed("tls_key and tls_client_ca below [web] go with tls_cert")
        return None
    try:
        return server_tls(cert, *others)
    except ValueError as error:
        raise PageNotServed(f"tls_cert, tls_key or tls_client_ca below [web]: {error}") from None


def _permit(request: web.Request, scope: Scope) -> str:
    require(request, scope)
    return caller_of(request).name


def _describing(content: Mapping[str, Any]) -> Callable[[web.Request], Any]:
    # Not as a value of a path: that would write the key `$ref` in another way.
    body = json.dumps(content).encode()

    async def describe(request: web.Request) -> web.Response:
        return web.Response(body=body, content_type="application/json", charset="utf-8")

    return describe


@open_to_all
async def _answer_healthy(request: web.Request) -> web.Response:
    return json_answer({"status": "ok"})


async def _measure(view: RunnerView, request: web.Request) -> web.Response:
    text = "".join(f"{line}\n" for line in metric_lines(view))
    return web.Response(
        body=text.encode(), headers={"Content-Type": "text/plain; version=0.0.4; charset=utf-8"}
    )


async def _visit(live: Live, request: web.Request) -> web.StreamResponse:
    """Exchange messages with a page until it is closed."""
    require(request, Scope.READ)
    socket = web.WebSocketResponse(
        heartbeat=_HEARTBEAT, compress=False, max_msg_size=_LONGEST_MESSAGE
    )
    await socket.prepare(request)

    caller = caller_of(request)

    async def send(message: str) -> None:
        if caller.may(Scope.READ):
            await socket.send_str(message)
        else:
            await _refuse(socket, "the token is not valid any more")

    async with live.visiting() as visitor:
        sending = asyncio.create_task(_send_changes(visitor, send, socket))
        try:
            async for message in socket:
                if message.type is not WSMsgType.TEXT:
                    break
                try:
                    await visitor.receive(message.data)
                except ValueError as error:
                    await _refuse(socket, str(error))
        finally:
            sending.cancel()
            await asyncio.wait([sending])
    return socket


async def _send_changes(visitor: Visitor, send: Send, socket: web.WebSocketResponse) -> None:
    """Send changes until this is cancelled, or the page is gone."""
    try:
        await visitor.run(send)
    except ConnectionError:
        pass
    except Exception:
        _log.exception("can't send changes to a page")
        await socket.close(code=WSCloseCode.INTERNAL_ERROR)


async def _refuse(socket: web.WebSocketResponse, reason: str) -> None:
    """Close a WebSocket with a reason, of which as much is sent as a close frame has room for."""
    shown = encodable(reason).encode()[:_LONGEST_REASON].decode(errors="ignore")
    await socket.close(code=WSCloseCode.POLICY_VIOLATION, message=shown.encode())
