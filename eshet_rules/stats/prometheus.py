"""Metrics in the text format of Prometheus.

https://prometheus.io/docs/instrumenting/exposition_formats/
"""

from collections.abc import Iterator, Mapping, Sequence

__all__ = ["counter", "gauge", "labels_text"]

Samples = Sequence[tuple[Mapping[str, str], float]]
"""Pairs of labels and a number."""


def counter(name: str, text: str, samples: Samples) -> Iterator[str]:
    """Iterate over the lines of a counter; none without samples.

    Args:
        name: the name, without `eshet_rules_` and `_total`.
        text: its description.
        samples: the numbers.
    """
    return _metric(f"eshet_rules_{name}_total", "counter", text, samples)


def gauge(name: str, text: str, samples: Samples) -> Iterator[str]:
    """Iterate over the lines of a number that may fall; see `counter`."""
    return _metric(f"eshet_rules_{name}", "gauge", text, samples)


def labels_text(labels: Mapping[str, str]) -> str:
    """Return labels in braces; empty for none."""
    pairs = ",".join(f'{name}="{_escaped(value)}"' for name, value in labels.items())
    return f"{{{pairs}}}" if pairs else ""


def _metric(name: str, kind: str, text: str, samples: Samples) -> Iterator[str]:
    if samples:
        yield f"# HELP {name} {text}"
        yield f"# TYPE {name} {kind}"
        for labels, value in samples:
            yield f"{name}{labels_text(labels)} {value:.15g}"


def _escaped(text: str) -> str:
    return text.replace("\\", "\\\\").replace('"', '\\"').replace("\n", "\\n")
