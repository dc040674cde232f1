"""Makes all registrations again over a new connection, and finds out why the last one ended.

A server may end the connection for one request, such as a value beyond its limits. So if the
connection ends while it is being restored, the next one is restored request by request, and a value
that is on its way when two connections end is not sent again: the client does not connect and lose
the connection for ever.
"""

import asyncio
import contextlib
import logging
from typing import Any, Final

from eshet import codec, messages
from eshet.client.registrations import Registrations, Restore
from eshet.client.session import Session
from eshet.exceptions import ErrorValue, EshetError
from eshet.text import safe_str

__all__ = ["Restorer"]

_CLIENTS: Final = b"/meta/clients"
_NOBODY: Final = codec.pack([0x7FFF_FFFF])  # a page without clients, for what else it tells


class Restorer:
    """Restores the registrations of one client.

    Args:
        registrations: of the client.
        log: for what is not restored.
    """

    def __init__(self, registrations: Registrations, log: logging.Logger) -> None:
        self._registrations = registrations
        self._log = log
        self._one_by_one = False
        self._suspect: Restore | None = None

    async def restore(self, session: Session) -> None:
        """Make all registrations again, or as many as possible until the connection ends."""
        if self._one_by_one:
            await self._restore_one_by_one(session)
        else:
            # Again, as more may be registered in the meantime.
            while replies := [session.ask(*each) for each in self._registrations.to_restore()]:
                for outcome in await asyncio.gather(*replies, return_exceptions=True):
                    self._check(outcome)
                if session.lost.done():
                    break
        self._one_by_one = session.lost.done()

    async def _restore_one_by_one(self, session: Session) -> None:
        for restore in self._registrations.to_restore():
            outcomes = await asyncio.gather(session.ask(*restore), return_exceptions=True)
            self._check(outcomes[0])
            if session.lost.done():
                self._note_end(restore)
                return
        self._suspect = None

    def _check(self, outcome: object) -> None:
        if isinstance(outcome, ErrorValue):
            self._log.error("not restored after a reconnection: %s", safe_str(outcome))

    def _note_end(self, restore: Restore) -> None:
        """Give up the value of a state if this is the second connection that ends for it."""
        first, self._suspect = self._suspect, restore
        if restore.code != messages.StateChanged.code or first is None:
            return
        owned = self._registrations.owned.get(restore.path)
        if owned is not None and first[:3] == restore[:3] and owned.value == restore.value:
            owned.value = None
            self._log.error(
                "the state %s is unknown until it changes: the server ended the connection twice "
                "when it was sent the value, of %d bytes",
                restore.path.decode(),
                len(restore.value),
            )

    async def explain(self, session: Session) -> None:
        """Log why the server ended the last connection of this client, if it knows."""
        with contextlib.suppress(EshetError):
            told = await session.ask(messages.ActionCall.code, _CLIENTS, _NOBODY)
            reason = _reason(told, session.client_id)
            if reason is not None:
                self._log.warning("why the server ended the last connection: %s", reason)


def _reason(told: Any, client_id: bytes | None) -> str | None:
    """Return why the last connection of a client ended, from the answer of `/meta/clients`."""
    match told:
        case {"gone": list(gone)}:
            for entry in gone:
                match entry:
                    case [who, str(reason), _] if codec.pack(who) == client_id:
                        return safe_str(reason, 200)
    return None
