"""What is known of a path, as an answer to `why-not`: the conditions, and facts about it now."""

import contextlib
from collections.abc import Awaitable, Callable, Iterator, Mapping, Sequence
from dataclasses import dataclass, field
from datetime import datetime
from typing import Any

from eshet.client import Client
from eshet.client.server_tree import list_nodes
from eshet.exceptions import EshetError
from eshet.paths import is_misspelt
from eshet_rules.why.about import nothing_there, provider_text
from eshet_rules.why_not.earlier import Earlier
from eshet_rules.why_not.wording import Wording

__all__ = ["WhyNotAnswer", "ask_why_not"]


@dataclass(frozen=True)
class WhyNotAnswer:
    """What would have to change for a path to have another value.

    Args:
        answer: see `eshet_rules.why_not.answering.Answering.why_not`.
        values: a list with the present value of the path; empty if it has none.
        owners: the ids of the clients that provide paths, by path; empty if the server can't list
            them.
        used: the paths that rules use, where no rule uses this one.
        writers: the rules of a cluster that write each path, with their runners; empty for one
            runner.
        whose: whose rules are known.
        kind: of the node, such as `"state"`; empty if there is none.
    """

    answer: dict[str, Any]
    values: list[object]
    owners: Mapping[str, object]
    used: frozenset[str]
    writers: Mapping[str, Sequence[str]] = field(default_factory=dict)
    whose: str = "this runner"
    kind: str = ""

    @property
    def path(self) -> str:
        """The path."""
        return str(self.answer["path"])

    @property
    def is_known(self) -> bool:
        """Whether a rule uses the path, or it exists at the server."""
        uses = ("rules", "others", "stopped", "readers", "broken")
        return self.path in self.owners or any(self.answer[each] for each in uses)

    def plain(self, earlier: Earlier | None) -> dict[str, Any]:
        """Return the answer as plain data.

        Args:
            earlier: when the path had the wanted value the last time; None if that is not known.
        """
        return {
            **self.answer,
            "value": self.values[0] if self.values else None,
            "owner": self.owners.get(self.path),
            "last_time": None if earlier is None else earlier.plain(),
        }

    def lines(self, earlier: Earlier | None, now: datetime) -> Iterator[str]:
        """Iterate over the lines of the answer; each level of the tree is indented by two spaces.

        Args:
            earlier: see `plain`.
            now: the present.
        """
        wording = Wording(now, absence=self._absence, elsewhere=self._elsewhere, whose=self.whose)
        yield from wording.lines(self.answer, self.values)
        if earlier is not None:
            yield from earlier.lines(now)
        yield from self._about()

    def _absence(self, path: str) -> str:
        """Return that nothing provides a path; empty if something does, or it is not known."""
        if not path.startswith("/") or not self.owners or self.owners.get(path) is not None:
            return ""  # it may be the name of a Value that has no path
        provided = (each for each, owner in self.owners.items() if owner is not None)
        near = [each for each in provided if is_misspelt(path, each)]
        advice = f"; did you mean {' or '.join(near)}?" if near else ""
        return f"nothing provides this path{advice}"

    def _elsewhere(self, path: str) -> str:
        writers = self.writers.get(path)
        return f"written by {', '.join(writers)}: `eshet-rules why-not {path}`" if writers else ""

    def _about(self) -> Iterator[str]:
        """Iterate over lines about the path itself."""
        if self.kind == "action":
            yield f"it is an action, which has no value: `eshet call {self.path}` calls it"
        owner = self.owners.get(self.path)
        if owner is not None:
            yield provider_text(owner)
        elif self.is_known and self.owners:
            yield "nothing provides this path now"
        elif self.owners:
            yield nothing_there(self.path, {*self.owners, *self.used})


async def ask_why_not(
    client: Client,
    path: str,
    wanted: list[Any],
    answer: Callable[[list[Any]], Awaitable[dict[str, Any]]],
    used: Callable[[], Awaitable[frozenset[str]]],
) -> WhyNotAnswer:
    """Return the answer for a path.

    Args:
        client: of the server.
        path: the path.
        wanted: a list with the wanted value; empty for another one than it has, of a bool the
            opposite.
        answer: returns the runner's answer, given the wanted value.
        used: returns the paths that rules use.
    """
    values: list[Any] = []
    with contextlib.suppress(EshetError):  # it is no state and no property
        values.append(await client.get(path))
    if not wanted and values and isinstance(values[0], bool):
        wanted = [not values[0]]
    answered = await answer(wanted)
    if answered["is_secret"]:
        values.clear()
    nodes: dict[str, tuple[str, object]] = {}
    with contextlib.suppress(EshetError):  # a server of another kind
        nodes = {each: (kind, owner) async for each, kind, owner in list_nodes(client)}
    owners = {each: owner for each, (_, owner) in nodes.items()}
    is_used = answered["rules"] or answered["others"] or answered["readers"] or path in owners
    rest = frozenset() if is_used else await used()
    kind, _ = nodes.get(path, ("", None))
    return WhyNotAnswer(answered, values, owners, rest, kind=kind)
