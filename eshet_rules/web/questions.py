"""Questions to the other runners of a cluster, which are answered without those that are silent."""

import asyncio
from collections.abc import Mapping
from typing import Any, Final

from eshet.exceptions import ErrorValue, EshetError
from eshet.paths import word
from eshet.text import safe_str
from eshet_rules.cluster.absence import silence, unknown_writers
from eshet_rules.runner.publisher import ROOT
from eshet_rules.runner.view import RunnerView

__all__ = ["Question", "Questions"]

_ANSWER_WITHIN: Final = 2.0
"""How long a runner may take to answer a request, in seconds."""


class Questions:
    """Asks the other runners.

    A runner that has not answered a request in time is not asked again before it has: so it delays
    one answer only.

    Args:
        view: the runner.
    """

    def __init__(self, view: RunnerView) -> None:
        self._view = view
        self._late: dict[asyncio.Future[Any], str] = {}  # requests without an answer, and of whom

    async def close(self) -> None:
        """Cancel the requests that are not answered."""
        late = list(self._late)
        for each in late:
            each.cancel()
        if late:
            await asyncio.wait(late)

    @property
    def summary(self) -> Mapping[str, Any] | None:
        """What this runner knows of its cluster; None if it is in none. See `RunnerView`."""
        return None if self._view.cluster is None else self._view.cluster()

    @property
    def cluster(self) -> str | None:
        """The name of the cluster; None for a runner that is in none."""
        own = self.summary
        return None if own is None else str(own["cluster"])

    @property
    def names(self) -> list[str]:
        """The names of the other runners that are present, whether they answer or not."""
        own = self.summary
        if own is None:
            return []
        return [word(name) for name in own["runners"] if name != own["runner"]]

    @property
    def unknown_writers(self) -> list[str]:
        """Notes about what is not known of a path that no rule writes."""
        own = self.summary
        return [] if own is None else unknown_writers(own["without_runner"], own["needs"])

    def silence(self, name: str) -> str:
        """Return that a runner does not answer, with its modules as far as they are known."""
        held = {} if self.summary is None else self.summary["held"]
        modules = (held[runner] for runner in held if word(runner) == name)
        return silence(next(modules, []))

    def begin(self) -> "Question":
        """Begin a question."""
        return Question(self)

    async def request(self, name: str, action: str, *args: Any) -> Any:
        """Return the result of an action of another runner.

        Args:
            name: of the runner.
            action: the name of the action.
            *args: its arguments.

        Raises:
            EshetError: it has refused the request.
            TimeoutError: it does not answer.
        """
        if name in self._late.values():
            raise TimeoutError
        calling = self._view.client.action_call(f"{ROOT}/{name}/{action}", *args)
        request = asyncio.ensure_future(calling)
        try:
            await asyncio.wait([request], timeout=_ANSWER_WITHIN)
        except asyncio.CancelledError:
            request.cancel()
            raise
        if not request.done():
            self._late[request] = name
            request.add_done_callback(self._end)
            raise TimeoutError
        return request.result()

    def _end(self, request: asyncio.Future[Any]) -> None:
        del self._late[request]
        if not request.cancelled():
            request.exception()  # nobody waits for it any more


class Question:
    """A question, which may take several requests.

    Args:
        questions: knows the other runners.
    """

    def __init__(self, questions: Questions) -> None:
        self._questions = questions
        self.missing: Final[dict[str, str]] = {}
        """Why runners have not answered, by their names."""

    async def ask(self, action: str, *args: Any) -> dict[str, Any]:
        """Return what an action of each other runner returns, by the names of those that answer.

        A runner that has not answered an earlier request of this question is left out.

        Args:
            action: its name.
            *args: its arguments.
        """
        names = [name for name in self._questions.names if name not in self.missing]
        results = await asyncio.gather(*(self._result(each, action, *args) for each in names))
        return {name: result for each in results for name, result in each.items()}

    @property
    def gaps(self) -> list[str]:
        """For each runner that has not answered, a text that says so."""
        return [
            f"this is without what the runner {name} knows: {why}"
            for name, why in sorted(self.missing.items())
        ]

    async def _result(self, name: str, action: str, *args: Any) -> dict[str, Any]:
        try:
            return {name: await self._questions.request(name, action, *args)}
        except TimeoutError:
            self.missing[name] = self._questions.silence(name)
        except EshetError as error:
            self.missing[name] = safe_str(error.value if isinstance(error, ErrorValue) else error)
        return {}
