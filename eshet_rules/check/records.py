"""Findings from the log of the loaded rules."""

import re
from collections.abc import Collection, Iterator, Mapping
from pathlib import Path
from typing import Any, Final

from eshet_rules.check.finding import Finding, Severity
from eshet_rules.check.kinds import WRONG_KIND
from eshet_rules.check.loading import Loaded, Place
from eshet_rules.check.stand_ins import ABSENT, TAKEN
from eshet_rules.mistakes.mistake import Code

__all__ = ["find_in_records"]

_FRAME: Final = re.compile(r'^  File "(?P<file>[^"\n]+)", line (?P<line>\d+)', re.MULTILINE)
_PLACE: Final = re.compile(r" at (?P<file>[^\s:]+\.py):(?P<line>\d+)")
_BLOCKS: Final = "Blocks: "
"""The start of the error of code that was interrupted."""
_PACKAGE: Final = re.compile(r"^eshet(_rules)?(\.\w+)*\.(?=\w+: )")
"""Matches the package of an error class of ours, which a traceback shows."""

_UNKNOWN: Final = re.compile(r"\bUnknown(Type)?\b|: state_unknown$")
"""Matches an error that is due to an unknown value."""

_CERTAIN: Final = re.compile(r"^(NameError|ReactiveTypeError|RuleMisuse|MissingParameter): ")
"""Matches an error that is due to no answer of the house."""


def find_in_records(loaded: Loaded, files: Collection[Path]) -> Iterator[Finding]:
    """Find the mistakes that the log reports.

    Args:
        loaded: the loaded rules.
        files: the files of the rules folder.
    """
    failed: dict[str, Finding] = {}
    for record in loaded.records:
        match record["event"]:
            case "module.import_failed":
                if not _error(record).startswith(_BLOCKS):
                    yield _import_failed(record)
            case "rule.failed" | "rule.attempt_failed":
                finding = _failed(record, loaded, files)
                if finding is not None:
                    failed.setdefault(f"{finding.rule}{finding.file}{finding.line}", finding)
            case "thread.failed":
                place = _place_in(record, files)
                if place is not None:
                    yield Finding(
                        Severity.ERROR, "fails", *place, f"a thread fails: {_error(record)}"
                    )
            case "rule.coroutine_never_awaited":
                if record.get("file") is not None and Path(record["file"]) in files:
                    yield Finding(
                        Severity.ERROR,
                        Code.NEVER_AWAITED,
                        Path(record["file"]),
                        record["line"],
                        f"the call of {record['coroutine']} does nothing, as it is never awaited",
                        "write `await` before it",
                    )
            case str(text) if record.get("logger") == "eshet" and record["level"] == "warning":
                yield from _warning(text, files, record.get("rule"))
    yield from failed.values()
    for place in sorted(loaded.exits):
        yield Finding(
            Severity.ERROR, "fails", *place, "a rule can't end the runner", "return instead"
        )
    for place, rule in loaded.blocking.items():
        yield Finding(
            Severity.ERROR,
            "blocks",
            *place,
            "this blocks, and would block all rules",
            "await slow operations, or run them with `await asyncio.to_thread(...)`",
            rule or None,
        )
    for rule, place in loaded.waiting.items():
        yield Finding(
            Severity.WARNING,
            "not-set-up",
            *place,
            f"the set-up of {rule} waits here for something outside, or never waits, so the rules "
            "could not be checked any further",
            "let the rule wait for it in a task of its own (`asyncio.create_task`)",
            rule,
        )


def _import_failed(record: Mapping[str, Any]) -> Finding:
    error = _error(record)
    file, line = Path(record["file"]), int(record["line"])
    return Finding(Severity.ERROR, "import", file, line, f"can't be imported: {error}")


def _failed(record: Mapping[str, Any], loaded: Loaded, files: Collection[Path]) -> Finding | None:
    """Return the finding of an error of a rule; None if it is an effect of the check itself."""
    rule = str(record.get("rule") or "")
    error = _error(record)
    doing = str(record["doing"])
    place = (
        _place_in(record, files) or _place_of_sink(doing, rule, loaded) or loaded.rules.get(rule)
    )
    if place is None or error.startswith(_BLOCKS):
        return None
    if (taken := TAKEN.search(error)) is not None:
        return _taken(taken["path"], rule, place, loaded)
    advice = str(record.get("advice") or "")
    # The task of a set-up has the name of the rule in its module.
    is_task = rule.endswith(f".{doing.partition(' ')[2]}") or doing.startswith("strategy of ")
    if is_task and (rule in loaded.failed or loaded.waiting):
        return _set_up_failed(rule, error, advice, place, loaded)
    if ABSENT.search(error) is not None:
        return None  # the house may provide it, see `paths`; or the rule was started again
    return Finding(
        Severity.WARNING, "fails", *place, f"{doing} fails: {error}", advice, rule or None
    )


def _set_up_failed(
    rule: str, error: str, advice: str, place: Place, loaded: Loaded
) -> Finding | None:
    if WRONG_KIND.search(error) is not None:
        return None  # see `kinds`
    answered = sorted(path for helped, path in loaded.stood_in if helped == rule)
    if (absent := ABSENT.search(error)) is not None:
        if absent["path"] in answered:
            return None  # the rule was started again
        why = f"nothing here answers `{absent['request']}`"
    elif answered and not _CERTAIN.search(error):
        why = f"it depends on the answer of {' and '.join(answered)}: {error}"
    elif _UNKNOWN.search(error):
        problem = f"the set-up of {rule} fails while an input is unknown: {error}"
        return Finding(Severity.WARNING, "set-up", *place, problem, advice, rule)
    else:
        problem = f"the set-up of {rule} fails: {error}"
        return Finding(Severity.ERROR, "set-up", *place, problem, advice, rule)
    problem = f"the set-up of {rule} could not be checked beyond this line, as {why}"
    return Finding(Severity.NOTE, "not-checked", *place, problem, "", rule)


def _taken(path: str, rule: str, place: Place, loaded: Loaded) -> Finding | None:
    """Return the finding of a path that another rule provides; None if it was free later."""
    if rule not in loaded.failed:
        return None
    others = {each.rule for each in loaded.sinks if each.provides and each.path == path}
    owners = [
        f"{each.file.name}:{each.line}"
        for other in sorted(others - {rule})
        for each in loaded.places.get((other, path), [])[:1]
    ]
    return Finding(
        Severity.ERROR,
        "path-taken",
        *place,
        f"{path} is provided already{' at ' if owners else ''}{' and '.join(owners)}",
        "let one rule provide each path, or rename one",
        rule,
    )


def _place_of_sink(doing: str, rule: str, loaded: Loaded) -> Place | None:
    """Return the line of the sink of a failed task, as in `task set_value of /hall/light`."""
    places = loaded.places.get((rule, doing.rpartition(" of ")[2]))
    return places[-1] if places else None


def _error(record: Mapping[str, Any]) -> str:
    return _PACKAGE.sub("", str(record.get("error") or ""))


def _place_in(record: Mapping[str, Any], files: Collection[Path]) -> Place | None:
    """Return the innermost line of the rules folder in the traceback of a record."""
    frames = [
        Place(Path(found["file"]), int(found["line"]))
        for found in _FRAME.finditer(str(record.get("traceback") or ""))
    ]
    ours = [place for place in frames if place.file in files]
    return ours[-1] if ours else None


def _warning(text: str, files: Collection[Path], rule: str | None) -> Iterator[Finding]:
    """Find the mistakes of which the library warns, such as a text that is made of a Value."""
    places = list(_PLACE.finditer(text))
    if not places:
        return
    found = places[-1]
    # The text has only the last part of the path.
    for file in sorted(each for each in files if each.name == found["file"]):
        plain = text[: found.start()] + text[found.end() :]
        problem, _, remedy = plain.partition(": ")
        code = Code.TEXT_OF_VALUE if plain.startswith("the text made of") else "events-joined"
        yield Finding(Severity.WARNING, code, file, int(found["line"]), problem, remedy, rule)
        return
