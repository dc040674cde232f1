"""What is known of a path, as an answer to `why`: its explanation, and facts about it now."""

import contextlib
from collections.abc import Iterator, Mapping
from dataclasses import dataclass
from datetime import datetime
from typing import Any

import msgspec

from eshet.client import Client
from eshet.client.server_tree import list_nodes
from eshet.exceptions import EshetError
from eshet.text import safe_repr
from eshet.unknown import Unknown
from eshet_rules.audit.lines import encode_json
from eshet_rules.why.about import nothing_there, provider_text
from eshet_rules.why.drives import drive_lines
from eshet_rules.why.explanation import Explanation
from eshet_rules.why.memory import shortened
from eshet_rules.why.sources import Record
from eshet_rules.why.wording import Wording

__all__ = ["Facts", "WhyAnswer", "facts_of"]


@dataclass(frozen=True)
class Facts:
    """What a running runner and its server know of a path.

    Args:
        known: see `eshet_rules.runner.explaining.Explaining.why`, and for several runners
            `eshet_rules.why.merging.merge_known`.
        values: a list with the present value of the path; empty if it has none.
        owner: the id of the client that provides the path; None if none does.
        paths: all paths of the server.
        whose: whose rules are known.
        kind: of the node, such as `"state"`; empty if there is none.
    """

    known: Mapping[str, Any]
    values: list[object]
    owner: object
    paths: list[str]
    whose: str = "this runner"
    kind: str = ""

    def is_known(self, path: str) -> bool:
        """Whether a rule uses the path, or it exists at the server."""
        return path in self.paths or self.is_used

    @property
    def is_used(self) -> bool:
        """Whether a rule uses the path, or would if it ran."""
        return any(self.known.get(each) for each in ("writers", "readers", "naming"))


async def facts_of(
    client: Client, path: str, known: Mapping[str, Any], whose: str = "this runner"
) -> Facts:
    """Return the facts about a path.

    Args:
        client: of the server.
        path: the path.
        known: what the runner knows; see `Facts`.
        whose: see `Facts`.
    """
    nodes: dict[str, tuple[str, Any]] = {}
    with contextlib.suppress(EshetError):  # a server of another kind
        nodes = {each: (kind, owner) async for each, kind, owner in list_nodes(client)}
    values: list[object] = []
    with contextlib.suppress(EshetError):  # it is no state and no property
        if not known["is_secret"]:
            values.append(await client.get(path))
    kind, owner = nodes.get(path, ("", None))
    return Facts(known, values, owner, list(nodes), whose, kind)


@dataclass(frozen=True)
class WhyAnswer:
    """An explanation of a path, and the facts.

    Args:
        path: the path.
        explanation: of its value.
        facts: what is known now; None without a running runner, or for a value in the past.
        whose: whose rules are known, where there are no facts.
    """

    path: str
    explanation: Explanation
    facts: Facts | None = None
    whose: str = "this runner"

    @property
    def is_known(self) -> bool:
        """Whether anything is known of the path."""
        is_recorded = self.explanation.record is not None
        return is_recorded or (self.facts is not None and self.facts.is_known(self.path))

    def plain(self) -> dict[str, Any]:
        """Return the answer as plain data."""
        content = self.explanation.plain()
        facts = self.facts
        if facts is not None:
            content |= {
                "owner": facts.owner,
                "drive": facts.known["drive"],
                "readers": [name for name, *_ in facts.known["readers"]],
                "writers": [name for name, *_ in facts.known["writers"]],
            }
        return content

    def lines(self, now: datetime) -> Iterator[str]:
        """Iterate over the lines of the answer; each level of the tree is indented by two spaces.

        Args:
            now: the present, or the time of the value.
        """
        facts = self.facts
        if facts is None and self.explanation.record is None:
            moment = f"{now.astimezone():%Y-%m-%d %H:%M:%S}"
            yield f"{self.path}: nothing is recorded of it until {moment}"
            return
        if facts is None:
            yield from Wording(now, whose=self.whose).lines(self.explanation)
            return
        for value in facts.values:
            if self._is_other(value, facts):
                whom = f"which no rule of {facts.whose} has set"
                if not facts.known["is_recording"]:
                    whom = "and that is not recorded"
                yield f"{self.path} is {_text(value)} now, {whom}. Before:"
        if self.explanation.record is None:
            yield from self._unrecorded(facts)
        else:
            places = facts.known["places"]
            wording = Wording(
                now, place_of=lambda output: _place(places, output), whose=facts.whose
            )
            yield from wording.lines(self.explanation)
        if drive := facts.known["drive"]:
            yield from drive_lines(drive, now, None)
        yield from self._about(facts)

    def _is_other(self, value: object, facts: Facts) -> bool:
        """Whether the present value is another one than that which is explained."""
        record = self.explanation.record
        if record is None or self.explanation.is_from_outside:
            return False
        if record["event"] == "output.published":
            # Nobody else can publish it. So it may only be newer than the record, and not other.
            running = {name for name, state, *_ in facts.known["writers"] if state == "running"}
            if record.get("rule") in running and facts.known["is_recording"]:
                return False
        elif record["event"] != "output.set":
            return False
        if value is Unknown or record.get("unknown"):
            return bool((value is Unknown) != record.get("unknown", False))
        recorded = _recorded(value)
        return record.get("value") not in (recorded, shortened(recorded))

    def _unrecorded(self, facts: Facts) -> Iterator[str]:
        """Iterate over lines about a path of which nothing is recorded."""
        for value in facts.values:
            yield f"{self.path} is {_text(value)} now"
        known = facts.known
        if facts.kind == "action" and known["is_recording"]:
            yield f"{self.path} is an action, and no call of it is recorded"
        elif known["writers"] and known["is_recording"]:
            yield (
                f"no rule has sent anything to {self.path} yet; "
                f"`eshet-rules why-not {self.path}` says why"
            )
        elif known["readers"] and known["is_recording"]:
            yield f"{self.path}: nothing of it is recorded yet"
        elif not facts.is_used:
            yield f"{self.path}: no rule of {facts.whose} has read or written it"

    def _about(self, facts: Facts) -> Iterator[str]:
        """Iterate over lines about the path itself."""
        known = facts.known
        for verb, rules in (("written", known["writers"]), ("read", known["readers"])):
            if rules:
                yield f"{verb} by {', '.join(map(_rule, rules))}"
        for name, state, reason, *runner in known["stopped"]:
            yield f"{_at(name, runner)} is {state} now{f': {reason}' if reason else ''}"
        for name, state, reason, *runner in known.get("naming", ()):
            reason = f": {reason}" if reason else ""
            yield f"{_at(name, runner)} names it and is {state} now{reason}"
        if facts.owner is not None:
            yield provider_text(facts.owner)
        elif self.path not in facts.paths and self.explanation.record is None:
            yield nothing_there(self.path, facts.paths)
        elif facts.paths:
            yield "nothing provides this path now"
        if not known["is_recording"]:
            yield "the runner keeps no audit trail, so it does not know what happened"


def _place(places: Mapping[str, Mapping[str, str]], output: Record) -> str:
    return places.get(output["path"], {}).get(output.get("rule") or "", "")


def _recorded(value: object) -> object:
    """Return a value as a record has it: not all values can be written as JSON."""
    return msgspec.json.decode(encode_json({"value": value}))["value"]


def _text(value: object) -> str:
    return "unknown" if value is Unknown else safe_repr(value, 100)


def _rule(rule: list[str]) -> str:
    name, state, reason, *runner = rule
    name = _at(name, runner)
    if state == "running":
        return name
    return f"{name} ({state}: {reason})" if reason else f"{name} ({state})"


def _at(name: str, runner: list[str]) -> str:
    """Return the name of a rule, with that of its runner if it is given."""
    return " at ".join([name, *runner])
