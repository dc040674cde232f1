"""One connection to one NATS server, by a client of nats-py, which is not used again afterwards.

nats-py could reconnect by itself, but would then send what was unsent, and give up after some
errors.
"""

import asyncio
import importlib.util
import ssl
from collections.abc import Callable, Coroutine, Mapping
from dataclasses import dataclass
from pathlib import Path
from typing import Any, Final, Self, TypeVar, cast

import nats.errors
from nats.aio.client import Client, RawCredentials
from nats.aio.msg import Msg
from nats.aio.subscription import Subscription as RawSubscription

from eshet.address import Address, connect_error_text
from eshet.exceptions import MessageTooLong
from eshet.nats.address import NatsAddress
from eshet.nats.exceptions import NotConnected
from eshet.nats.transport import NatsTransport

__all__ = ["Session", "Target", "error_text"]

CONNECT_TIMEOUT: Final = 2
"""Seconds for each step of connecting: the socket, the server's greeting, TLS, its answer."""

PING_INTERVAL: Final = 1
"""Seconds; a connection counts as lost if two pings were not answered when the third is due:
long before a server that shares its tree, or a runner of a cluster, counts as gone."""

_MOST_PINGS: Final = 2

MAX_UNSENT: Final = 64 << 20
"""Bytes that wait for a server that does not read, before publishing is refused."""

_MAY_NEED_CERT: Final = "it may demand a certificate of the client (cert=FILE)"

_T = TypeVar("_T")


@dataclass(frozen=True)
class Target:
    """A server to connect to.

    Args:
        server: its address.
        tls_name: the name in its certificate; None for the host of its address.
    """

    server: Address
    tls_name: str | None = None


class Session:
    """A connection to a server, until it is lost or closed; made by `connect`."""

    def __init__(self, client: Client, transport: NatsTransport, target: Target) -> None:
        self.target: Final = target
        self._client: Final = client
        self._transport: Final = transport

    @classmethod
    async def connect(
        cls, target: Target, address: NatsAddress, name: str, on_error: Callable[[str], object]
    ) -> Self:
        """Connect to one server.

        Args:
            target: the server.
            address: how to log in, and which certificates to accept.
            name: of this client.
            on_error: called with the text of an error that does not end the connection.

        Raises:
            Exception: any; see `error_text`.
        """
        transport = NatsTransport(address.tls, is_encrypted=address.is_encrypted)
        client = Client()
        client._transport = transport
        is_connecting = True

        async def on_client_error(error: Exception) -> None:
            if is_connecting:
                raise error  # else nats-py would try again, for ever
            if client.is_connected and not isinstance(error, nats.errors.StaleConnectionError):
                on_error(error_text(error))

        try:
            await client.connect(
                f"nats://{target.server}",
                error_cb=on_client_error,
                name=name,
                allow_reconnect=False,
                connect_timeout=CONNECT_TIMEOUT,
                ping_interval=PING_INTERVAL,
                max_outstanding_pings=_MOST_PINGS,
                no_echo=True,
                tls=ssl.SSLContext(ssl.PROTOCOL_TLS_CLIENT),  # unused; else it would load one
                tls_hostname=target.tls_name,
                flusher_queue_size=0,
                pending_size=0,
                **_login(address),
            )
            if not client.is_connected:  # nats-py ignores an answer that it does not expect
                await client.close()
                raise ConnectionError("the server has sent an unexpected answer")
        except BaseException as error:
            transport.close()
            await transport.wait_closed()
            may_need_cert = transport.has_tls and address.cert is None
            if may_need_cert and isinstance(error, (ConnectionError, ssl.SSLError)):
                raise ConnectionError(f"{error_text(error)}; {_MAY_NEED_CERT}") from error
            raise
        is_connecting = False
        return cls(client, transport, target)

    @property
    def is_connected(self) -> bool:
        """Whether the connection has not ended, as far as is known."""
        return self._client.is_connected and not self._transport.has_ended

    async def wait_lost(self) -> str:
        """Return when the connection has ended, with the reason, and clean up."""
        # nats-py ends its side in any case, but not before its next turn, or some seconds later.
        await self._transport.wait_closed()
        await self.close()
        error = self._transport.error or self._client.last_error or nats.errors.UnexpectedEOF()
        return error_text(error)

    @property
    def max_payload(self) -> int:
        """The most bytes of a message and its headers that the server accepts."""
        return self._client.max_payload

    @property
    def server_version(self) -> tuple[int, int, int]:
        """The version of nats-server."""
        version = self._client.connected_server_version
        return version.major, version.minor, version.patch

    @property
    def discovered(self) -> list[Target]:
        """The servers of its cluster, as this one knows them."""
        name = self.target.tls_name or self.target.server.host
        return [
            Target(Address(url.hostname, url.port), name)
            for url in self._client.discovered_servers
            if url.hostname and url.port
        ]

    def publish(
        self, subject: str, payload: bytes, reply: str, headers: Mapping[str, str] | None
    ) -> None:
        """Publish a message; see `NatsConnection.publish`."""
        length = len(payload) + _length(headers)
        if length > self.max_payload:
            raise MessageTooLong(length, self.max_payload, f"publish {subject}")
        if self._transport.unsent > MAX_UNSENT:
            raise NotConnected("the NATS server reads too slowly")
        options = cast("dict[str, str] | None", headers)
        _complete(self._client.publish(subject, payload, reply, options))

    def subscribe(self, subject: str, receive: Callable[[Msg], object]) -> RawSubscription:
        """Call `receive`, which must not raise, with each message of a subject."""
        future = cast("asyncio.Future[Msg]", _Receiver(receive))
        return _complete(self._client.subscribe(subject, future=future))

    def unsubscribe(self, subscription: RawSubscription) -> None:
        """End a subscription of this session."""
        _complete(subscription.unsubscribe())

    async def close(self) -> None:
        """End the connection without sending what is unsent; does nothing once it has ended."""
        await self._client.close()
        self._transport.close()
        await self._transport.wait_closed()


class _Receiver:
    """Takes the place of a future in nats-py, which passes the message to a future at once.

    It would pass messages to a callback through a queue and a task for each subscription, so that
    the order of the messages of several subscriptions would be lost.
    """

    __slots__ = ("set_result",)

    def __init__(self, receive: Callable[[Msg], object]) -> None:
        self.set_result: Final = receive

    def cancelled(self) -> bool:
        """Return False; see `asyncio.Future.cancelled`."""
        return False


def error_text(error: Exception) -> str:
    """Return the text of an error of a connection, for people."""
    text = str(error).removeprefix("nats: ").strip("'\" ")
    match error:
        case nats.errors.UnexpectedEOF():
            return "the server closed the connection"
        case nats.errors.StaleConnectionError():
            return "the server does not answer"
        case TimeoutError():
            return f"no answer within {CONNECT_TIMEOUT} s"
        case ssl.SSLCertVerificationError():
            return f"the server's certificate is not accepted: {error.verify_message}"
        case ssl.SSLError():
            return f"TLS failed: {error.reason or error}"
        case OSError() if error.filename is not None:
            return f"{error.filename}: {error.strerror}"
        case OSError():
            return connect_error_text(error)
        case _ if "expecting INFO" in text or isinstance(error, ValueError):
            return "this is not a NATS server"
        case _ if text.lower() == "authorization violation":
            return "the server does not accept the user, password, token or credentials"
    return text or type(error).__name__


def _complete(coroutine: Coroutine[Any, Any, _T]) -> _T:
    """Run a coroutine of nats-py that does not wait for anything, and return its result."""
    try:
        coroutine.send(None)
    except StopIteration as end:
        return cast(_T, end.value)
    coroutine.close()
    raise RuntimeError("nats-py waits where it did not before")


def _login(address: NatsAddress) -> dict[str, Any]:
    """Return how to log in, as arguments of nats-py.

    Raises:
        OSError: the file with the credentials can't be used.
    """
    if address.credentials is not None:
        return {"user_credentials": _credentials(address.credentials)}
    if address.user:
        return {"user": address.user, "password": address.password}
    return {"token": address.password} if address.password else {}


def _credentials(file: Path) -> RawCredentials:
    text = file.read_text(errors="replace")
    if "BEGIN NATS USER JWT" not in text or "BEGIN USER NKEY SEED" not in text:
        raise OSError(f"{file} is not a file with credentials, as `nsc generate creds` writes it")
    if importlib.util.find_spec("nkeys") is None:
        raise OSError("to log in with credentials, install nkeys: pip install 'nats-py[nkeys]'")
    return RawCredentials(text)


def _length(headers: Mapping[str, str] | None) -> int:
    """Return the number of bytes of headers, as the server counts them."""
    if not headers:
        return 0
    return 12 + sum(len(name) + len(value.encode()) + 4 for name, value in headers.items())
