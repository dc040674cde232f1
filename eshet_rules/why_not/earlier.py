"""When a path had a wanted value the last time, and the inputs of that moment."""

from collections.abc import Iterator, Mapping
from datetime import datetime, tzinfo
from itertools import islice
from typing import Any, Final, NamedTuple, Protocol

from eshet.reactive.core.markers import is_same
from eshet.text import safe_repr
from eshet_rules.audit.query import ENDLESS
from eshet_rules.why.sources import Record, is_output
from eshet_rules.why_not.wording import duration

__all__ = ["Earlier", "helps", "last_time"]

_MOST: Final = 20_000
"""How many records are looked at."""

_LONGEST: Final = 60


class NewestFirst(Protocol):
    """Records that are read one after another."""

    def newest_first(self, path: str, before: str) -> Iterator[Record]:
        """Iterate over the records of a path, the newest first."""


class Earlier(NamedTuple):
    """The last output with the wanted value.

    Args:
        output: its record.
    """

    output: Record

    def plain(self) -> dict[str, Any]:
        """Return it as plain data: the time, the rule, and the inputs of that moment."""
        names = ("time", "rule", "value", "inputs", "unknown_inputs", "trigger", "after_input")
        return {name: self.output[name] for name in names if self.output.get(name) is not None}

    def lines(self, now: datetime, zone: tzinfo | None = None) -> Iterator[str]:
        """Iterate over the lines of a text."""
        output = self.output
        moment = datetime.fromisoformat(output["time"])
        clock = f"{moment.astimezone(zone):%Y-%m-%d %H:%M:%S}"
        value, ago = safe_repr(output.get("value"), _LONGEST), duration(now - moment)
        yield f"the last time that {output.get('rule')} made it {value}: {clock} ({ago} ago), with"
        for name, value in (output.get("inputs") or {}).items():
            yield f"  {name} {safe_repr(value, _LONGEST)}"
        for name in output.get("unknown_inputs") or ():
            yield f"  {name} unknown"
        if after := output.get("trigger") or output.get("after_input"):
            yield f"  because of {after}"


def helps(answer: Mapping[str, Any]) -> bool:
    """Whether an earlier time tells more than an answer: a function of the user's is unknown to us.

    Args:
        answer: see `eshet_rules.why_not.answering.Answering.why_not`.
    """
    return bool(answer["wanted"]) and not all(each["certain"] for each in answer["rules"])


def last_time(records: NewestFirst, path: str, wanted: object) -> Earlier | None:
    """Return the last output of a rule that gave a path a value; None if none is known.

    Args:
        records: all records.
        path: the path.
        wanted: the value; of a call, its arguments or the only one.
    """
    for record in islice(records.newest_first(path, ENDLESS), _MOST):
        if not is_output(record) or record["outcome"] == "skipped" or record.get("unknown"):
            continue
        value = record.get("value")
        is_call = record["event"] == "output.called"
        if is_same(value, wanted) or (is_call and is_same(value, [wanted])):
            return Earlier(record)
    return None
