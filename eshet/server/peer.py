"""Those whom the server talks to: a client, and whoever else can own nodes."""

from collections.abc import Callable
from typing import Any, Protocol

from eshet.messages import Message, Reply, ReplyError, WithId

__all__ = ["Answer", "Owner", "Peer"]

Answer = Callable[[type[Reply] | type[ReplyError], bytes], None]
"""Takes the answer to a request: which reply, and its packed value."""


class Owner(Protocol):
    """Whoever can own nodes: a client, or the server itself."""

    def ask(self, answer: Answer, make: Callable[..., WithId], *fields: Any) -> None:
        """Pass a request on to the owner; `answer` is called once, now or later.

        Args:
            answer: takes the owner's answer.
            make: the class of the message.
            *fields: its fields after the id.

        Raises:
            MessageTooLong: no frame can hold it; `answer` is not called.
            TooManyRequests: the owner has too much to answer; `answer` is not called.
        """
        ...


class Peer:
    """A client that has said hello.

    Args:
        client_id: packed, in its canonical form.
        send: sends it a message.
        request: sends it a request, and returns its id.
        close: ends its connection, with a reason.
    """

    def __init__(
        self,
        client_id: bytes,
        send: Callable[[Message], None],
        request: Callable[..., int],
        close: Callable[[str], None],
    ) -> None:
        self.client_id = client_id
        self.send = send
        self.close = close
        self._request = request
        self._asked: dict[int, Answer] = {}

    def ask(self, answer: Answer, make: Callable[..., WithId], *fields: Any) -> None:
        """See `Owner.ask`."""
        self._asked[self._request(make, *fields)] = answer

    def answered(self, reply: Reply | ReplyError) -> None:
        """Pass the client's answer on to whoever asked."""
        self._asked.pop(reply.id)(type(reply), reply.value)

    def give_up(self, error: bytes) -> None:
        """Answer all that the client was asked with an error."""
        asked, self._asked = self._asked, {}
        for answer in asked.values():
            answer(ReplyError, error)
