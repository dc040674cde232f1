"""Handles the received messages of a client in turns, which leave time for everything else.

One read of a socket may contain twelve thousand events. They are handled in turns of a few
milliseconds, and the rest waits in the inbox, in order. Replies overtake it: a rule that awaits the
result of a call must not wait behind its own flood.
"""

import asyncio
from collections import deque
from collections.abc import Callable, Set
from contextvars import Context
from typing import Final

from eshet.client.inbox import Inbox
from eshet.exceptions import ProtocolError

__all__ = ["MAX_WAITING_BYTES", "Receiver"]

TURN: Final = 0.002
"""Time for messages in one turn of the event loop, in seconds; at least one is handled."""

MAX_WAITING_BYTES: Final = 64 * 2**20
"""Default for the maximum size of waiting messages, in bytes."""

_CODE_AT: Final = 0  # in a payload


class Receiver:
    """Passes the messages of one client to its session, also across reconnections.

    Args:
        overtaking: the codes of messages that overtake all others: replies.
        max_waiting_bytes: the maximum size of waiting messages; beyond it, the oldest events are
            dropped.
        on_dropped: called with the number of dropped events.
        clock: returns the time in seconds, to limit turns; None for the clock of the loop.

    Raises:
        ValueError: no message could wait.
    """

    def __init__(
        self,
        overtaking: Set[int],
        max_waiting_bytes: int,
        on_dropped: Callable[[int], object],
        clock: Callable[[], float] | None = None,
    ) -> None:
        if max_waiting_bytes < 1:
            raise ValueError(
                f"max_waiting_bytes={max_waiting_bytes} would drop each event that has to wait: "
                f"write a number of bytes, such as {MAX_WAITING_BYTES}"
            )
        self.inbox: Final = Inbox()
        """The messages that wait for a later turn."""
        self._overtaking = overtaking
        self._max_waiting_bytes = max_waiting_bytes
        self._on_dropped = on_dropped
        self._replies: deque[bytes] = deque()
        self._handle: Callable[[bytes], object] = _ignore
        self._state_of: Callable[[bytes], bytes | None] = _ignore
        self._reject: Callable[[ProtocolError], object] = _ignore
        self._clock = clock
        self._time: Callable[[], float]
        self._loop: asyncio.AbstractEventLoop
        self._turn_ends = 0.0
        self._ignores_inputs = False
        self._scheduled: asyncio.Handle | None = None

    @property
    def waiting(self) -> tuple[int, float]:
        """The number of waiting messages, and for how many seconds the oldest of them waits."""
        since = self.inbox.since
        return (0, 0.0) if since is None else (len(self.inbox), self._time() - since)

    def attach(
        self,
        handle: Callable[[bytes], object],
        state_of: Callable[[bytes], bytes | None],
        reject: Callable[[ProtocolError], object],
    ) -> None:
        """Start to receive the messages of a new session.

        Args:
            handle: handles the payload of a message.
            state_of: returns the path of the state that an overtaking message reports, or None if
                it reports none.
            reject: called with a ProtocolError of a message that has waited.
        """
        self._loop = asyncio.get_running_loop()
        self._time = self._clock or self._loop.time
        self._handle = handle
        self._state_of = state_of
        self._reject = reject

    def begin(self) -> None:
        """Note that a read begins."""
        self._turn_ends = self._time() + TURN

    def receive(self, payload: bytes) -> None:
        """Handle a message of the session, now or later.

        Raises:
            ProtocolError: see `attach`.
        """
        overtakes = payload[_CODE_AT] in self._overtaking
        if self._ignores_inputs and not overtakes:
            return
        now = self._time()
        waiting = self._replies if overtakes else self._scheduled
        if overtakes and self.inbox and (state := self._state_of(payload)) is not None:
            # All waiting notifications of this state are older than the value in the reply.
            notification = self.inbox.pop_state(state)
            if notification is not None:
                self._replies.append(notification)
        if now < self._turn_ends and not waiting:
            self._handle(payload)
            return
        if overtakes:
            self._replies.append(payload)
        else:
            self.inbox.put(payload, now)
            if self.inbox.size > self._max_waiting_bytes:
                # An eighth more than needed, so that this is not repeated for each event.
                dropped = self.inbox.drop_events(self._max_waiting_bytes // 8 * 7)
                if dropped:
                    self._on_dropped(dropped)
        self._schedule()

    def ignore_inputs(self) -> None:
        """Drop all messages that wait, and those that follow, except replies."""
        self._ignores_inputs = True
        self.inbox.clear()

    def disconnected(self) -> None:
        """Handle all replies, and drop requests and states: only events count without a session."""
        while self._replies:
            self._handle_later(self._replies.popleft())
        self.inbox.keep_events()

    def close(self) -> None:
        """Drop everything."""
        self._replies.clear()
        self.inbox.clear()

    def _schedule(self) -> None:
        if self._scheduled is None and (self.inbox or self._replies):
            self._scheduled = self._loop.call_soon(self._take_turn, context=Context())

    def _take_turn(self) -> None:
        ends = self._time() + TURN
        try:
            while self._replies or self.inbox:
                self._handle_later(self._replies.popleft() if self._replies else self.inbox.pop())
                if self._time() >= ends:
                    break
        finally:
            self._scheduled = None
            self._schedule()

    def _handle_later(self, payload: bytes) -> None:
        try:
            self._handle(payload)
        except ProtocolError as error:
            self._reject(error)


def _ignore(_: object) -> None:
    """Replaces the callbacks before the first session."""
