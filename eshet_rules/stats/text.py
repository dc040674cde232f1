"""Statistics as a table, as JSON, and in the text format of Prometheus.

The names of metrics follow https://prometheus.io/docs/practices/naming/, and the format is that of
https://prometheus.io/docs/instrumenting/exposition_formats/.
"""

import json
from collections.abc import Iterator
from datetime import UTC, datetime
from typing import Any, Final

from eshet_rules.stats.counting import RuleCounts, Statistics
from eshet_rules.stats.prometheus import counter, labels_text
from eshet_rules.stats.silence import Silence

__all__ = ["json_lines", "prometheus_lines", "table_lines"]

_HEAD: Final = ("rule", "inputs", "outputs", "failed", "retries", "errors", "p50", "p99", "skipped")


def table_lines(statistics: Statistics) -> Iterator[str]:
    """Iterate over the lines of a table for the user."""
    rows = [_row(name, each) for name, each in sorted(statistics.rules.items())]
    if rows:
        rows.insert(0, _HEAD)
    else:
        yield "no rule has received or sent anything in this time"
    widths = [max(map(len, column)) for column in zip(*rows, strict=True)]
    for row in rows:
        name, *numbers, skipped = row
        cells = [cell.rjust(width) for cell, width in zip(numbers, widths[1:-1], strict=True)]
        yield "  ".join([name.ljust(widths[0]), *cells, skipped]).rstrip()
    for outcome, count in sorted(statistics.reloads.items()):
        yield f"{count} {'reload' if count == 1 else 'reloads'} {outcome}"
    yield from map(_silence, statistics.silences)


def json_lines(statistics: Statistics) -> Iterator[str]:
    """Yield one line of JSON."""
    yield json.dumps(
        {
            "rules": {name: _plain(each) for name, each in sorted(statistics.rules.items())},
            "reloads": dict(statistics.reloads),
            "silences": [
                {
                    "what": each.what,
                    "since": _stamp(each.since),
                    "usual_s": each.usual.total_seconds(),
                    "count": each.count,
                }
                for each in statistics.silences
            ],
        }
    )


def prometheus_lines(statistics: Statistics) -> Iterator[str]:
    """Iterate over the lines of metrics for Prometheus."""
    rules = sorted(statistics.rules.items())
    yield from counter("inputs", "Inputs of rules.", [({"rule": n}, r.inputs) for n, r in rules])
    outputs = [
        ({"rule": name, "outcome": outcome}, count)
        for name, each in rules
        for outcome, count in sorted({**each.outputs, "skipped": each.skipped.total()}.items())
    ]
    yield from counter("outputs", "Outputs of rules, by their outcome.", outputs)
    for field, text in (
        ("retries", "Attempts of outputs after the first ones."),
        ("errors", "Errors of rules."),
        ("restarts", "Restarts of rules."),
    ):
        yield from counter(field, text, [({"rule": n}, getattr(r, field)) for n, r in rules])
    reloads = [({"outcome": each}, n) for each, n in sorted(statistics.reloads.items())]
    yield from counter("reloads", "Reloads of modules.", reloads)
    name = "eshet_rules_output_delay_seconds"
    yield f"# HELP {name} Time from an input to the end of the output that it led to."
    yield f"# TYPE {name} summary"
    for rule, each in rules:
        for share in (0.5, 0.99):
            seconds = each.delay.percentile(share)
            if seconds is not None:
                labels = labels_text({"rule": rule, "quantile": f"{share:g}"})
                yield f"{name}{labels} {seconds:.6g}"
        yield f"{name}_sum{labels_text({'rule': rule})} {each.delay.sum:.6g}"
        yield f"{name}_count{labels_text({'rule': rule})} {each.delay.count}"


def _row(name: str, counts: RuleCounts) -> tuple[str, ...]:
    numbers = (
        counts.inputs,
        counts.outputs.total(),
        counts.outputs["failed"],
        counts.retries,
        counts.errors,
    )
    skipped = ", ".join(f"{count:,} {why}" for why, count in sorted(counts.skipped.items()))
    delays = (_duration(counts.delay.percentile(share)) for share in (0.5, 0.99))
    return (name, *(f"{number:,}" for number in numbers), *delays, skipped)


def _plain(counts: RuleCounts) -> dict[str, Any]:
    return {
        "inputs": counts.inputs,
        "outputs": dict(counts.outputs),
        "skipped": dict(counts.skipped),
        "retries": counts.retries,
        "errors": counts.errors,
        "restarts": counts.restarts,
        "p50_s": counts.delay.percentile(0.5),
        "p99_s": counts.delay.percentile(0.99),
        "last": counts.last or None,
    }


def _silence(silence: Silence) -> str:
    since = silence.since.astimezone()
    usual = _duration(silence.usual.total_seconds())
    return (
        f"{silence.what} is silent since {since:%Y-%m-%d %H:%M:%S}; before, it was never silent "
        f"for more than {usual}"
    )


def _duration(seconds: float | None) -> str:
    """Return a duration in a unit that keeps its number short."""
    if seconds is None:
        return ""
    for unit, length in (("d", 86400.0), ("h", 3600.0), ("min", 60.0), ("s", 1.0)):
        if seconds >= length:
            return f"{seconds / length:.3g} {unit}"
    return f"{seconds * 1000:.3g} ms"


def _stamp(moment: datetime) -> str:
    return moment.astimezone(UTC).isoformat(timespec="milliseconds").replace("+00:00", "Z")
