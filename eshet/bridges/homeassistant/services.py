"""The services of Home Assistant as actions, and calls of them."""

import functools
import logging
from collections.abc import Mapping
from typing import Any, Final

from eshet.bridges.exceptions import BridgeError, DeviceOffline, NotAllowed
from eshet.bridges.homeassistant.contexts import Contexts
from eshet.bridges.homeassistant.entities import Entity
from eshet.bridges.homeassistant.registries import Registries
from eshet.bridges.homeassistant.websocket import WebSocket
from eshet.client import Client
from eshet.exceptions import EshetError
from eshet.text import first_names

__all__ = ["Services"]

_log: Final = logging.getLogger("eshet.bridges")

_ALL_OR_NONE: Final = frozenset({"all", "none"})
"""The values that Home Assistant accepts as the id of an entity, besides ids."""


class Services:
    """Calls services, and registers `DIRECTORY/services/DOMAIN/NAME` for each.

    Args:
        client: registers the actions.
        directory: the path of the bridge's directory.
        entities: all entities by their ids, kept up to date by the bridge.
        registries: the other possible targets of services.
        contexts: receives the context of each call.
    """

    def __init__(
        self,
        client: Client,
        directory: str,
        entities: Mapping[str, Entity],
        registries: Registries,
        contexts: Contexts,
    ) -> None:
        self.socket: WebSocket | None = None
        """The connection; None while not connected."""
        self.problem: str = ""
        """Why the connection is missing, for the errors of calls."""
        self._client = client
        self._directory = f"{directory}/services"
        self._entities = entities
        self._registries = registries
        self._contexts = contexts
        self._registered: set[str] = set()
        self._with_response: set[str] = set()

    async def refresh(self, socket: WebSocket) -> None:
        """Register new services, and unregister removed ones.

        Raises:
            BridgeError: the connection was lost, or there was no answer.
        """
        found: dict[str, Mapping[str, Any]] = {
            f"{domain}/{name}": described
            for domain, by_name in (await socket.request("get_services")).items()
            for name, described in by_name.items()
        }
        self._with_response = {each for each, described in found.items() if "response" in described}
        for each in self._registered - found.keys():
            await self._client.unregister(f"{self._directory}/{each}")
            self._registered.discard(each)
        for each in found.keys() - self._registered:
            path = f"{self._directory}/{each}"
            domain, _, name = each.partition("/")
            self._registered.add(each)
            try:
                await self._client.action_register(path, functools.partial(self.call, domain, name))
            except EshetError as error:
                _log.warning("%s", error)

    async def call(
        self, domain: object = None, service: object = None, data: Any = None, target: Any = None
    ) -> object:
        """Call a service, and return its response; None if it has none.

        Args:
            domain: of the service, such as `"light"`.
            service: its name, such as `"turn_on"`.
            data: a map of its fields; may have the fields of the target.
            target: a map such as `{"entity_id": "light.kitchen"}`.

        Raises:
            NotAllowed: an argument is of a wrong type, or the target does not exist.
            DeviceOffline: an entity of the target is not available.
            HomeAssistantError: Home Assistant answered with an error.
            BridgeError: the connection is missing or was lost, or there was no answer.
        """
        if not isinstance(domain, str) or not isinstance(service, str):
            raise NotAllowed([domain, service], "the domain and the name of a service")
        fields: dict[str, Any] = {"service_data": _map(data, "data")}
        if target:
            fields["target"] = _map(target, "target")
        if self.socket is None:
            raise BridgeError(f"not connected to Home Assistant: {self.problem}")
        for given in fields.values():
            self._check(given)
        if f"{domain}/{service}" in self._with_response:
            fields["return_response"] = True
        with self._contexts.call() as note_context:
            result = await self.socket.request(
                "call_service", domain=domain, service=service, **fields
            )
            note_context((result or {}).get("context"))
        return (result or {}).get("response")

    def _check(self, fields: Mapping[str, Any]) -> None:
        """Refuse targets that Home Assistant would silently ignore.

        Raises:
            NotAllowed: a target does not exist.
            DeviceOffline: an entity is not available.
        """
        for entity_id in _ids(fields, "entity_id"):
            entity = self._entities.get(entity_id)
            if entity is None and entity_id not in _ALL_OR_NONE:
                domain = f"{entity_id.partition('.')[0]}."
                near = [each for each in self._entities if each.startswith(domain)]
                raise NotAllowed(entity_id, _one_of(near or list(self._entities)), "entity_id")
            if entity is not None and entity.state == "unavailable":
                raise DeviceOffline(entity_id)
        for name, known in self._registries.targets.items():
            for each in _ids(fields, name):
                if each not in known:
                    raise NotAllowed(each, _one_of(sorted(known)), name)


def _map(given: Any, name: str) -> dict[str, Any]:
    if given is None:
        return {}
    if not isinstance(given, dict):
        raise NotAllowed(given, 'a map, such as {"entity_id": "light.kitchen"}', name)
    return given


def _ids(fields: Mapping[str, Any], name: str) -> list[str]:
    """Return the ids in a field: one, several with commas between them, or a list."""
    given = fields.get(name) or []
    if isinstance(given, str):
        return [each.strip() for each in given.split(",")]
    if not isinstance(given, list) or not all(isinstance(each, str) for each in given):
        raise NotAllowed(given, "an id or a list of ids", name)
    return given


def _one_of(ids: list[str]) -> str:
    return f"one of {', '.join(first_names(ids))}" if ids else "nothing: there is none"
