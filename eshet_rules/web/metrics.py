"""Metrics of a running runner for Prometheus, at `/metrics`.

Those of the past, such as delays, are in the audit trail: `eshet-rules stats --format prometheus`.
"""

from collections.abc import Iterator

from eshet_rules.runner.view import RunnerView
from eshet_rules.stats.prometheus import counter, gauge
from eshet_rules.supervision.status import RuleState

__all__ = ["metric_lines"]


def metric_lines(view: RunnerView) -> Iterator[str]:
    """Iterate over the lines of all metrics."""
    reports = view.reloader.reports()
    states = [
        ({"rule": each.rule, "state": str(state)}, float(each.status.state is state))
        for each in reports
        for state in RuleState
    ]
    yield from gauge("rule_state", "1 for the present state of a rule, 0 for others.", states)
    of_rules = [({"rule": each.rule}, each.status) for each in reports]
    yield from counter(
        "rule_errors",
        "Errors of a rule since its version was loaded.",
        [(labels, status.errors) for labels, status in of_rules],
    )
    yield from counter(
        "rule_restarts",
        "Restarts of a rule since its version was loaded.",
        [(labels, status.restarts) for labels, status in of_rules],
    )
    waiting = {each.module: each for each in reports}
    yield from gauge(
        "module_waiting_inputs",
        "Inputs that wait for the rules of a module.",
        [({"module": name}, each.waiting) for name, each in waiting.items()],
    )
    broken = len(view.reloader.broken)
    yield from gauge("broken_modules", "Modules whose file can't be loaded.", [({}, broken)])
    bridges = view.bridges()
    yield from gauge(
        "bridge_connected",
        "Whether a bridge is connected.",
        [({"bridge": each["bridge"]}, float(each["connected"])) for each in bridges],
    )
    yield from gauge(
        "bridge_devices",
        "Devices of a bridge.",
        [({"bridge": each["bridge"]}, each["devices"]) for each in bridges],
    )
    connected = float(view.client.connected)
    text = "Whether the runner is connected to its server."
    yield from gauge("connected", text, [({}, connected)])
    since = view.since.timestamp()
    yield from gauge("start_time_seconds", "When the runner was started.", [({}, since)])
