"""The owners of states and actions in a replay: they answer as the real ones did."""

import asyncio
from collections.abc import Sequence
from typing import Any

from eshet.client import Client
from eshet_rules.replay.recording import Answer

__all__ = ["RecordedAction", "RecordedState", "RefusedAsRecorded"]


class RefusedAsRecorded(Exception):
    """The owner of a path has refused this in the recording as well."""


class _Recorded:
    """Answers in the order of the recording; if there are more requests, it accepts them.

    Args:
        path: of the node.
        answers: the recorded ones, in order.
    """

    def __init__(self, path: str, answers: Sequence[Answer]) -> None:
        self.path = path
        self._answers = answers
        self._count = 0

    def _next_answer(self) -> Answer | None:
        self._count += 1
        return self._answers[self._count - 1] if self._count <= len(self._answers) else None

    async def _answer(self, answer: Answer) -> object:
        """Return the recorded result, or raise the recorded error, after the recorded time."""
        if answer.took:
            await asyncio.sleep(answer.took)
        if answer.error:
            raise RefusedAsRecorded(answer.error)
        return answer.result


class RecordedState(_Recorded):
    """A state that shows recorded values, and those to which it was set.

    Args:
        path: of the state.
        answers: to sets.
        first: its value at the beginning.
    """

    def __init__(self, path: str, answers: Sequence[Answer], first: object) -> None:
        super().__init__(path, answers)
        self._first = first
        self._client: Client
        usual = next((each for each in answers if each.shown_after is not None), None)
        self._usual = usual or Answer(shown_after=0.0)

    async def register(self, client: Client) -> None:
        """Register the state, and show its first value."""
        self._client = client
        await client.state_register(self.path, self._set)
        await self.show(self._first)

    async def show(self, value: object) -> None:
        """Show a value."""
        await self._client.state_changed(self.path, value)

    async def _set(self, value: object) -> object:
        answer = self._next_answer() or self._usual
        if answer.shown_after is not None:
            asyncio.get_running_loop().call_later(answer.shown_after, self._show_later, value)
        return await self._answer(answer)

    def _show_later(self, value: object) -> None:
        showing = asyncio.ensure_future(self.show(value))
        showing.add_done_callback(lambda done: done.cancelled() or done.exception())


class RecordedAction(_Recorded):
    """An action with recorded results."""

    async def register(self, client: Client) -> None:
        """Register the action."""
        await client.action_register(self.path, self._call)

    async def _call(self, *_: Any) -> object:
        return await self._answer(self._next_answer() or Answer())
