"""Requests to JetStream, which are repeated while it elects a leader."""

import asyncio
import json
import random
from collections.abc import Awaitable, Callable, Mapping
from typing import Any, Final, TypeVar

from eshet.nats.connection import NatsConnection, NatsMessage
from eshet.nats.exceptions import JetStreamRefused, NoAnswer, NotConnected

__all__ = ["ErrorCode", "api", "repeated", "store"]

PATIENCE: Final = 15.0
"""For how many seconds a request is repeated; electing a leader takes 4 to 9 s."""

RETRY_DELAY: Final = (0.1, 0.2)
"""The shortest and the longest pause, in seconds, before a request is repeated."""

_API_TIMEOUT: Final = 3.0

_T = TypeVar("_T")


class ErrorCode:
    """The `err_code` of errors of JetStream that are handled."""

    NO_PEERS: Final = 10005
    NOT_AVAILABLE: Final = 10008
    NOT_LEADER: Final = 10009
    INSUFFICIENT_RESOURCES: Final = 10023
    NO_MESSAGE: Final = 10037
    NOT_ENABLED_FOR_ACCOUNT: Final = 10039
    STREAM_EXISTS: Final = 10058
    STREAM_NOT_FOUND: Final = 10059
    WRONG_REVISION: Final = 10071
    REPLICAS_NOT_SUPPORTED: Final = 10074
    NOT_ENABLED: Final = 10076
    STREAM_OFFLINE: Final = 10118
    OTHER_WRITE_UNDER_WAY: Final = 10164


_TEMPORARY: Final = frozenset(
    {ErrorCode.NOT_AVAILABLE, ErrorCode.NOT_LEADER, ErrorCode.STREAM_OFFLINE}
)

_ADVICE: Final = {
    ErrorCode.NOT_ENABLED: "start nats-server with JetStream (option -js)",
    ErrorCode.NOT_ENABLED_FOR_ACCOUNT: "enable JetStream for this account of NATS",
}


async def api(
    connection: NatsConnection, call: str, body: Mapping[str, Any], request: str
) -> dict[str, Any]:
    """Send a request to the API of JetStream once, and return the answer.

    Args:
        connection: to NATS.
        call: such as `STREAM.CREATE.KV_nodes`.
        body: the request, as JSON.
        request: a description for errors, such as `"create nodes"`.

    Raises:
        NotConnected: there is no connection.
        NoAnswer: there is no answer, as there is no leader.
        JetStreamRefused: the answer is an error, or JetStream is not enabled.
    """
    subject, payload = f"$JS.API.{call}", json.dumps(body).encode()
    try:
        message = await connection.request(subject, payload, timeout=_API_TIMEOUT)
    except NoAnswer as error:
        raise NoAnswer(request, error.reason) from None
    if message.is_no_responders:  # its servers listen to this, even without a leader
        code = ErrorCode.NOT_ENABLED
        raise JetStreamRefused(request, code, "JetStream is not enabled", _ADVICE[code])
    return _content(message, request)


async def store(
    connection: NatsConnection,
    subject: str,
    payload: bytes,
    headers: Mapping[str, str],
    request: str,
) -> int:
    """Publish a message to a stream once, and return its number in the stream.

    Args:
        connection: to NATS.
        subject: one of the subjects of the stream.
        payload: content.
        headers: by name.
        request: a description for errors, such as `"write light in nodes"`.

    Raises:
        NotConnected: there is no connection, or it was lost before the answer arrived.
        NoAnswer: there is no answer, as the stream has no leader.
        JetStreamRefused: the answer is an error.
        MessageTooLong: the server accepts no message of this length.
    """
    try:
        message = await connection.request(subject, payload, headers=headers)
    except NoAnswer as error:
        raise NoAnswer(request, error.reason) from None
    if message.is_no_responders:
        raise NoAnswer(request, "its stream has no leader")
    sequence: int = _content(message, request)["seq"]
    return sequence


def _content(message: NatsMessage, request: str) -> dict[str, Any]:
    """Return the content of an answer of JetStream.

    Raises:
        NoAnswer: JetStream is electing a leader.
        JetStreamRefused: the answer is an error.
    """
    answer: dict[str, Any] = json.loads(message.payload)
    error = answer.get("error")
    if error is None:
        return answer
    code, description = error.get("err_code", 0), error.get("description", "unknown error")
    if code in _TEMPORARY:
        raise NoAnswer(request, description)
    raise JetStreamRefused(request, code, description, _ADVICE.get(code, ""))


async def repeated(connection: NatsConnection, attempt: Callable[[], Awaitable[_T]]) -> _T:
    """Return the result of a request, which is repeated while JetStream elects a leader.

    It is also repeated if the connection is lost during the request.

    Raises:
        NotConnected: there was no connection at first, or for `PATIENCE` seconds, or it was closed.
        NoAnswer: there was no leader for `PATIENCE` seconds.
    """
    if not connection.is_connected:
        raise NotConnected
    loop = asyncio.get_running_loop()
    deadline = loop.time() + PATIENCE
    while True:
        try:
            return await attempt()
        except (NoAnswer, NotConnected):
            if connection.is_closed or loop.time() >= deadline:
                raise
        await asyncio.sleep(random.uniform(*RETRY_DELAY))  # noqa: S311 - not a secret
