"""A JetStream stream in files: created when it is opened, or adapted if there is one already."""

from collections.abc import Collection, Mapping
from typing import Any, Final

from eshet.nats.connection import NatsConnection
from eshet.nats.exceptions import JetStreamRefused
from eshet.nats.jetstream import ErrorCode, api, repeated

__all__ = ["SECOND", "Stream", "duplicate_window"]

SECOND: Final = 1_000_000_000
"""A second in the configuration of JetStream, which counts ns."""

_MAX_DUPLICATE_WINDOW: Final = 120.0  # the default of JetStream, in seconds
_MANY_REPLICAS: Final = 3
_IDENTITY: Final = ("subjects", "max_msgs_per_subject")
_TOO_FEW_SERVERS: Final = frozenset(
    {ErrorCode.NO_PEERS, ErrorCode.INSUFFICIENT_RESOURCES, ErrorCode.REPLICAS_NOT_SUPPORTED}
)


class Stream:
    """A stream.

    Args:
        connection: an open one.
        config: its configuration for JetStream, without replicas.
        title: what errors call it, such as `"eshet_nodes"`.
        kind: what it holds, such as `"bucket"`.
        adapted: the keys of the configuration by which an existing stream is adapted.
        replicas: of the stream; None for those of the address: by default three, or one in a
            cluster of fewer servers.
    """

    def __init__(
        self,
        connection: NatsConnection,
        config: Mapping[str, Any],
        *,
        title: str,
        kind: str,
        adapted: Collection[str],
        replicas: int | None = None,
    ) -> None:
        self.name: Final[str] = config["name"]
        self.title: Final = title
        self._connection: Final = connection
        self._config: Final = config
        self._kind: Final = kind
        self._adapted: Final = adapted
        self._replicas: Final = replicas or connection.address.replicas

    async def open(self) -> dict[str, Any]:
        """Create or adapt the stream, and return what JetStream says about it.

        Raises:
            NotConnected: there is no connection.
            NoAnswer: JetStream has no leader, for some seconds.
            JetStreamRefused: JetStream is not enabled, or the stream exceeds the limits of the
                account, or a stream of another kind has its name.
        """
        try:
            return await self._adopt()
        except JetStreamRefused as error:
            if error.code != ErrorCode.STREAM_NOT_FOUND:
                raise
        try:
            return await self._with_replicas("CREATE", self._config, at_least=1)
        except JetStreamRefused as error:
            if error.code != ErrorCode.STREAM_EXISTS:
                raise
        return await self._adopt()  # another client has created it at the same time

    async def info(self, request: str, query: Mapping[str, Any] | None = None) -> dict[str, Any]:
        """Return what JetStream says about the stream.

        Args:
            request: a verb for errors, such as `"open"`.
            query: what else is asked.

        Raises:
            NatsError: see `open`.
        """
        return await self._api("STREAM.INFO", query or {}, request)

    async def _adopt(self) -> dict[str, Any]:
        """Adapt an existing stream, if necessary."""
        info = await self.info("open")
        present, wanted = info["config"], self._config
        if any(present.get(name) != wanted[name] for name in _IDENTITY):
            raise JetStreamRefused(
                f"open {self.title}",
                ErrorCode.STREAM_EXISTS,
                f"the stream {self.name} exists, but is not such a {self._kind}",
                "choose another prefix",
            )
        replicas: int = present["num_replicas"]
        # A single server accepts more replicas, but drops such a stream when it is restarted.
        has_replicas = (
            "name" not in info.get("cluster", {})
            or replicas == self._replicas
            or (self._replicas is None and replicas >= _MANY_REPLICAS)
        )
        if has_replicas and all(present[name] == wanted[name] for name in self._adapted):
            return info
        changed = present | {name: wanted[name] for name in (*self._adapted, "duplicate_window")}
        if has_replicas:
            return await self._api("STREAM.UPDATE", changed, "open")
        return await self._with_replicas("UPDATE", changed, at_least=replicas)

    async def _with_replicas(
        self, verb: str, config: Mapping[str, Any], at_least: int
    ) -> dict[str, Any]:
        """Create or update the stream; with three replicas, or fewer where that is not possible."""
        if self._replicas is None:
            try:
                most = {"num_replicas": max(_MANY_REPLICAS, at_least)}
                return await self._api(f"STREAM.{verb}", {**config, **most}, "open")
            except JetStreamRefused as error:
                if error.code not in _TOO_FEW_SERVERS:
                    raise
                if error.code != ErrorCode.REPLICAS_NOT_SUPPORTED:  # which a single server says
                    self._connection.log.warning(
                        "%s %s: %d of %d replicas, until it is opened again: %s",
                        self._kind,
                        self.title,
                        at_least,
                        _MANY_REPLICAS,
                        error.description,
                    )
        replicas = {"num_replicas": self._replicas or at_least}
        return await self._api(f"STREAM.{verb}", {**config, **replicas}, "open")

    async def _api(self, call: str, body: Mapping[str, Any], request: str) -> dict[str, Any]:
        request, subject = f"{request} {self.title}", f"{call}.{self.name}"
        return await repeated(
            self._connection, lambda: api(self._connection, subject, body, request)
        )


def duplicate_window(max_age: float | None) -> int:
    """Return for how long JetStream may remember the ids of messages, in ns.

    Args:
        max_age: of the messages, in seconds; None or 0 for no limit.
    """
    return int(min(max_age or _MAX_DUPLICATE_WINDOW, _MAX_DUPLICATE_WINDOW) * SECOND)
