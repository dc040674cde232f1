"""`GET /events`: server-sent events of states and events, for programs such as curl.

    $ curl -N 'http://localhost:11237/events?state=/hall/light&event=/hall/motion'
    event: state
    data: {"path":"/hall/light","known":true,"value":false}

A slow reader gets only the last value of each state, at most every 100 ms.
"""

import asyncio
import functools
from typing import Final

from aiohttp import web

from eshet.client import Client
from eshet.exceptions import Disconnected, ErrorValue, InvalidPath
from eshet.gateway import json_values
from eshet.gateway.access import Scope, caller_of, require
from eshet.gateway.answers import HttpError
from eshet.gateway.conflation import Item, Waiting
from eshet.gateway.limits import HttpLimits
from eshet.gateway.nodes import ERROR_VALUE
from eshet.scope import Scope as Ownership

__all__ = ["EventRoutes"]

_INTERVAL: Final = 0.1
"""The least time between two messages about the same state, in seconds."""
_COMMENT: Final = 15.0
"""After this time without a message a comment is sent, by which a lost connection is noticed."""
_WRITE_WITHIN: Final = 60.0
"""How long a client may take to read the output, in seconds."""
_MAX_PATHS: Final = 500


class EventRoutes:
    """The route `/events`, for one client.

    Args:
        client: observes and listens.
        limits: of the gateway.
    """

    def __init__(self, client: Client, limits: HttpLimits) -> None:
        self._client = client
        self._limits = limits

    def routes(self) -> list[web.AbstractRouteDef]:
        """Return the route."""
        return [web.get("/events", self._stream, allow_head=False)]

    async def _stream(self, request: web.Request) -> web.StreamResponse:
        waiting = Waiting()
        owned = Ownership(f"events for {caller_of(request).peer}")
        try:
            with owned.active():
                async with asyncio.timeout(self._limits.answer):
                    await self._subscribe(request, waiting)
            answer = web.StreamResponse(
                headers={
                    "Content-Type": "text/event-stream; charset=utf-8",
                    "X-Accel-Buffering": "no",  # proxies must pass on each message at once
                }
            )
            await answer.prepare(request)
            await _send_all(request, answer, waiting)
            return answer
        except TimeoutError:
            raise HttpError(503, "disconnected", "the ESHET server does not answer") from None
        finally:
            owned.dispose()

    async def _subscribe(self, request: web.Request, waiting: Waiting) -> None:
        states = dict.fromkeys(request.query.getall("state", []))
        events = dict.fromkeys(request.query.getall("event", []))
        if not 0 < len(states) + len(events) <= _MAX_PATHS:
            raise HttpError(
                400,
                "invalid_paths",
                f"name from 1 to {_MAX_PATHS} paths, as in /events?state=/hall/light"
                "&event=/hall/motion",
            )
        access = caller_of(request).access
        for path in (*states, *events):
            require(request, access.scope_to_read(path))
        try:
            for path in events:
                listener = functools.partial(waiting.put_event, path)
                await self._client.event_listen_cb(path, listener)
            for path in states:
                observer = functools.partial(waiting.put_state, path)
                waiting.put_state(path, await self._client.state_observe(path, observer))
        except InvalidPath as error:
            raise HttpError(400, "invalid_path", str(error)) from None
        except ErrorValue as error:
            raise HttpError(ERROR_VALUE, error.value, str(error)) from None
        except Disconnected as error:
            raise HttpError(503, "disconnected", f"{error}; try again later") from None


async def _send_all(request: web.Request, answer: web.StreamResponse, waiting: Waiting) -> None:
    """Send the waiting messages, until the client goes or its token is removed."""
    caller = caller_of(request)
    while caller.may(Scope.READ):
        text = "".join(map(_text, waiting.take())) or ":\n\n"
        try:
            async with asyncio.timeout(_WRITE_WITHIN):
                await answer.write(text.encode())
        except TimeoutError:
            if request.transport is not None:
                request.transport.abort()
            return
        except ConnectionError:
            return
        await asyncio.sleep(_INTERVAL)
        try:
            async with asyncio.timeout(_COMMENT):
                await waiting.changed.wait()
        except TimeoutError:
            pass


def _text(item: Item) -> str:
    data = json_values.dumps({"path": item.path, **item.content})
    return f"event: {item.kind}\ndata: {data}\n\n"
