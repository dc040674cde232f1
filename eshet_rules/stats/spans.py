"""Records as OpenTelemetry spans, one trace for each chain of causes.

A span is an output of a rule, or an input, which takes no time. The format is OTLP in JSON, see
https://opentelemetry.io/docs/specs/otlp/#json-protobuf-encoding; a collector reads it from a file.
"""

import hashlib
import json
from collections import OrderedDict
from collections.abc import Iterable, Iterator, Mapping
from datetime import datetime, timedelta
from typing import Any, Final

__all__ = ["spans"]

_MAX_CAUSES: Final = 100_000
"""How many causes are remembered, of which others may still follow."""

_INTERNAL: Final = 1
_ERROR: Final = 2


def spans(records: Iterable[Mapping[str, Any]]) -> Iterator[str]:
    """Iterate over spans, each as a line that can be read on its own.

    Args:
        records: in the order of time; only inputs and outputs of rules become spans.
    """
    roots, ends = _Memory(), _Memory()
    for number, record in enumerate(records):
        cause = record.get("cause")
        is_input = record["event"] == "input.received"
        is_output = record["event"].startswith("output.") and record.get("outcome") != "skipped"
        if cause is None or record.get("rule") is None or not (is_input or is_output):
            continue
        parent = record.get("parent")
        rule = record["rule"]
        root = roots.get(cause) or roots.get(parent) or parent or cause
        roots.keep(cause, root)
        span_id = _id(f"{cause} {number}", 16)
        before = ends.get(parent) if is_input else ends.get(f"{cause} {rule}")
        ends.keep(f"{cause} {rule}" if is_input else cause, span_id)
        end = datetime.fromisoformat(record["time"])
        start = end - timedelta(seconds=record.get("duration") or 0.0)
        verb = record["kind"] if is_input else record["event"].partition(".")[2]
        span: dict[str, Any] = {
            "traceId": _id(root, 32),
            "spanId": span_id,
            "name": f"{rule} {verb}",
            "kind": _INTERNAL,
            "startTimeUnixNano": str(_nanoseconds(start)),
            "endTimeUnixNano": str(_nanoseconds(end)),
            "attributes": [_attribute(*each) for each in _attributes(record)],
        }
        if before is not None:
            span["parentSpanId"] = before
        if record.get("outcome") == "failed":
            span["status"] = {"code": _ERROR, "message": record.get("error") or ""}
        yield json.dumps(
            {
                "resourceSpans": [
                    {
                        "resource": {"attributes": list(_resource(record))},
                        "scopeSpans": [{"scope": {"name": "eshet_rules"}, "spans": [span]}],
                    }
                ]
            }
        )


class _Memory:
    """Texts by key, of which only the newest are kept."""

    def __init__(self) -> None:
        self._texts: OrderedDict[str, str] = OrderedDict()

    def get(self, key: str | None) -> str | None:
        return None if key is None else self._texts.get(key)

    def keep(self, key: str, text: str) -> None:
        self._texts[key] = text
        if len(self._texts) > _MAX_CAUSES:
            self._texts.popitem(last=False)


def _resource(record: Mapping[str, Any]) -> Iterator[dict[str, Any]]:
    yield _attribute("service.name", "eshet-rules")
    if "runner" in record:  # of a cluster
        yield _attribute("service.instance.id", record["runner"])


def _attributes(record: Mapping[str, Any]) -> Iterator[tuple[str, Any]]:
    yield "eshet.rule", record["rule"]
    yield "eshet.version", record.get("version")
    yield "eshet.cause", record["cause"]
    yield "eshet.path", record["path"]
    yield "eshet.value", json.dumps(record.get("value"))
    yield "eshet.outcome", record.get("outcome")
    yield "eshet.trigger", record.get("trigger")


def _attribute(name: str, value: Any) -> dict[str, Any]:
    return {"key": name, "value": {"stringValue": "" if value is None else str(value)}}


def _id(text: str, digits: int) -> str:
    return hashlib.sha256(text.encode()).hexdigest()[:digits]


def _nanoseconds(moment: datetime) -> int:
    return round(moment.timestamp() * 1_000_000) * 1000
