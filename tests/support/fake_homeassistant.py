"""A Home Assistant as its WebSocket API shows it, on a real socket of this process."""

import contextlib
import itertools
import json
from collections import deque
from collections.abc import Awaitable, Callable
from typing import Any

from aiohttp import WSMsgType, web

__all__ = ["TOKEN", "FakeHomeAssistant"]

TOKEN = "a long-lived token"  # noqa: S105

SERVICES: dict[str, dict[str, Any]] = {
    "homeassistant": {"turn_on": {}, "turn_off": {}},
    "light": {"turn_on": {}, "turn_off": {}},
    "button": {"press": {}},
    "climate": {"set_hvac_mode": {}},
    "cover": {"open_cover": {}, "close_cover": {}},
    "input_number": {"set_value": {}},
    "select": {"select_option": {}},
    "lock": {"lock": {}, "unlock": {}},
    "script": {"turn_on": {}},
    "text": {"set_value": {}},
    "todo": {"get_items": {"response": {"optional": False}}},
}


class FakeHomeAssistant:
    """Entities, services and registries; sends several messages in one frame where it may.

    Attributes:
        calls: the calls of services, as `(domain, service, data, target)`.
        requests: the types of all requests.
        attempts: how often somebody tried to authenticate.
        config_state: `RUNNING`, or what it is while it starts.
        obeys: whether a call changes the state of its entity.
        on_connect: answers in place of Home Assistant; None for Home Assistant.
        scripts: the entities that each script turns on, by its id.
        replies: whether the results of calls are sent; `reply` sends those that were not.
        last_context: the context of the last call.
    """

    def __init__(self) -> None:
        self.port = 0
        self.entities: dict[str, tuple[str, dict[str, Any]]] = {}
        self.services = {domain: dict(names) for domain, names in SERVICES.items()}
        self.registries: dict[str, list[dict[str, Any]]] = {
            "area": [{"area_id": "kitchen", "name": "Kitchen"}],
            "device": [{"id": "d1", "area_id": "kitchen"}],
            "entity": [{"entity_id": "light.kitchen", "device_id": "d1"}],
            "floor": [],
        }
        self.token = TOKEN
        self.attempts = 0
        self.requests: list[str] = []
        self.calls: list[tuple[str, str, dict[str, Any], dict[str, Any]]] = []
        self.config_state = "RUNNING"
        self.obeys = True
        self.on_connect: Callable[[web.WebSocketResponse], Awaitable[None]] | None = None
        self.scripts: dict[str, list[str]] = {}
        self.replies = True
        self.last_context: dict[str, Any] = {}
        self._results: list[tuple[_Connection, int, dict[str, Any]]] = []
        self._context_of: dict[str, dict[str, Any]] = {}
        self._contexts = itertools.count()
        self._connections: list[_Connection] = []
        self._runner: web.AppRunner | None = None

    @property
    def url(self) -> str:
        return f"http://127.0.0.1:{self.port}"

    async def start(self) -> None:
        app = web.Application()
        app.router.add_get("/api/websocket", self._serve)
        self._runner = web.AppRunner(app, shutdown_timeout=0)
        await self._runner.setup()
        site = web.TCPSite(self._runner, "127.0.0.1", self.port)
        await site.start()
        assert site._server is not None
        self.port = site._server.sockets[0].getsockname()[1]  # type: ignore[attr-defined]

    async def stop(self) -> None:
        """Close all connections and the port; `start` uses the same port again."""
        for connection in self._connections:
            await connection.socket.close()
        if self._runner is not None:
            await self._runner.cleanup()
            self._runner = None

    async def change(self, entity_id: str, state: str, /, **attributes: Any) -> None:
        """Add an entity, or change its state and attributes; None removes an attribute."""
        await self.change_in(self._context(), entity_id, state, **attributes)

    async def change_in(
        self, context: dict[str, Any], entity_id: str, state: str, /, **attributes: Any
    ) -> None:
        """Do the same in a context, such as `last_context` or one with that as its parent."""
        is_new = entity_id not in self.entities
        context_before = self._context_of.get(entity_id, {})
        self._context_of[entity_id] = context
        before, had = self.entities.get(entity_id, ("", {}))
        has = {name: value for name, value in (had | attributes).items() if value is not None}
        self.entities[entity_id] = state, has
        if is_new:
            event: dict[str, Any] = {"a": {entity_id: self._compressed(entity_id)}}
        else:
            differs = {
                name: context[name] for name in context if context[name] != context_before[name]
            }
            added: dict[str, Any] = {"lc": 1.0}
            if differs:
                added["c"] = differs["id"] if differs.keys() == {"id"} else differs
            if state != before:
                added["s"] = state
            changed = {name: value for name, value in has.items() if had.get(name, ...) != value}
            if changed:
                added["a"] = changed
            change: dict[str, Any] = {"+": added}
            if gone := [name for name in had if name not in has]:
                change["-"] = {"a": gone}
            event = {"c": {entity_id: change}}
        await self._notify("subscribe_entities", event)

    def child(self, context: dict[str, Any]) -> dict[str, Any]:
        """Return the context of an automation that a change in this context has triggered."""
        return self._context(parent_id=context["id"])

    async def reply(self) -> None:
        """Send the results of calls that were not sent, and send all others at once."""
        self.replies = True
        for connection, number, result in self._results:
            connection.succeed(number, result)
            await connection.flush()
        self._results.clear()

    async def remove(self, entity_id: str) -> None:
        del self.entities[entity_id]
        await self._notify("subscribe_entities", {"r": [entity_id]})

    async def emit(self, event_type: str) -> None:
        await self._notify(f"subscribe_events {event_type}", {"event_type": event_type})

    async def send(self, text: str) -> None:
        """Send a text as it is to all connections."""
        for connection in self._connections:
            await connection.socket.send_str(text)

    async def _notify(self, subscription: str, event: dict[str, Any]) -> None:
        for connection in self._connections:
            for number in connection.subscriptions.get(subscription, ()):
                connection.put({"id": number, "type": "event", "event": event})
            await connection.flush()

    def _compressed(self, entity_id: str) -> dict[str, Any]:
        state, attributes = self.entities[entity_id]
        context = self._context_of.setdefault(entity_id, self._context())
        is_plain = context["user_id"] is None and context["parent_id"] is None
        return {"s": state, "a": attributes, "c": context["id"] if is_plain else context, "lc": 1.0}

    def _context(self, **fields: Any) -> dict[str, Any]:
        context_id = f"context{next(self._contexts)}"
        return {"id": context_id, "parent_id": None, "user_id": None, **fields}

    async def _serve(self, request: web.Request) -> web.WebSocketResponse:
        socket = web.WebSocketResponse()
        await socket.prepare(request)
        if self.on_connect is not None:
            await self.on_connect(socket)
            await socket.close()
            return socket
        await socket.send_json({"type": "auth_required", "ha_version": "2026.11.0"})
        answer = await socket.receive_json()
        self.attempts += 1
        if answer != {"type": "auth", "access_token": self.token}:
            await socket.send_json({"type": "auth_invalid", "message": "Invalid access token"})
            await socket.close()
            return socket
        await socket.send_json({"type": "auth_ok", "ha_version": "2026.11.0"})
        connection = _Connection(socket)
        self._connections.append(connection)
        try:
            async for message in socket:
                if message.type is WSMsgType.TEXT:
                    await self._answer(connection, json.loads(message.data))
                    await connection.flush()
        finally:
            self._connections.remove(connection)
        return socket

    async def _answer(self, connection: "_Connection", message: dict[str, Any]) -> None:
        number, kind = message["id"], message["type"]
        self.requests.append(kind)
        if number <= connection.last_number:
            return connection.fail(number, "id_reuse", "Identifier values have to increase.")
        connection.last_number = number
        if kind == "supported_features":
            connection.coalesces = message["features"].get("coalesce_messages") == 1
            return connection.succeed(number)
        if kind == "get_config":
            return connection.succeed(number, {"state": self.config_state})
        if kind == "get_services":
            return connection.succeed(number, self.services)
        if kind == "call_service":
            return await self._call(connection, message)
        if kind in ("subscribe_events", "subscribe_entities"):
            name = " ".join(filter(None, (kind, message.get("event_type"))))
            connection.subscriptions.setdefault(name, []).append(number)
            connection.succeed(number)
            if kind == "subscribe_entities":
                added = {entity_id: self._compressed(entity_id) for entity_id in self.entities}
                connection.put({"id": number, "type": "event", "event": {"a": added}})
            return None
        registry = kind.removeprefix("config/").removesuffix("_registry/list")
        if registry in self.registries:
            return connection.succeed(number, self.registries[registry])
        return connection.fail(number, "unknown_command", "Unknown command.")

    async def _call(self, connection: "_Connection", message: dict[str, Any]) -> None:
        number, domain, service = message["id"], message["domain"], message["service"]
        data, target = message.get("service_data", {}), message.get("target", {})
        described = self.services.get(domain, {}).get(service)
        if described is None:
            text = f"Service {domain}.{service} not found."
            return connection.fail(number, "not_found", text)
        if ("response" in described) is not message.get("return_response", False):
            return connection.fail(number, "service_validation_error", "wrong return_response")
        self.calls.append((domain, service, data, target))
        entity_id = target.get("entity_id") or data.get("entity_id")
        context = self.last_context = self._context(user_id="u")
        if self.obeys and entity_id in self.entities:  # it succeeds for others, too
            state = {"turn_on": "on", "turn_off": "off", "open_cover": "opening"}.get(service)
            state = state or str(next(iter(data.values()), "pressed"))
            await self.change_in(context, entity_id, state)
            for each in self.scripts.get(entity_id, ()):
                await self.change_in(context, each, "on")
        result: dict[str, Any] = {"context": context}
        if "response" in described:
            result["response"] = {entity_id: {"items": ["milk"]}}
        if self.replies:
            return connection.succeed(number, result)
        self._results.append((connection, number, result))
        return None


class _Connection:
    """One connection, and the messages that wait for the next frame."""

    def __init__(self, socket: web.WebSocketResponse) -> None:
        self.socket = socket
        self.coalesces = False
        self.last_number = 0
        self.subscriptions: dict[str, list[int]] = {}
        self._waiting: deque[dict[str, Any]] = deque()

    def succeed(self, number: int, result: object = None) -> None:
        self.put({"id": number, "type": "result", "success": True, "result": result})

    def fail(self, number: int, code: str, text: str) -> None:
        error = {"code": code, "message": text}
        self.put({"id": number, "type": "result", "success": False, "error": error})

    def put(self, message: dict[str, Any]) -> None:
        self._waiting.append(message)

    async def flush(self) -> None:
        messages = list(self._waiting)
        self._waiting.clear()
        with contextlib.suppress(ConnectionError):
            if self.coalesces and len(messages) > 1:
                await self.socket.send_json(messages)
            else:
                for message in messages:
                    await self.socket.send_json(message)
