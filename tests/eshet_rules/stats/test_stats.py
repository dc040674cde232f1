"""Statistics from records: counts, percentiles, silences, and their formats."""

import json
import math
from datetime import UTC, datetime, timedelta

import pytest

from eshet_rules.stats.counting import count_records
from eshet_rules.stats.histogram import Histogram
from eshet_rules.stats.spans import spans
from eshet_rules.stats.text import json_lines, prometheus_lines, table_lines

START = datetime(2026, 11, 1, tzinfo=UTC)


def at(seconds):
    return (START + timedelta(seconds=seconds)).isoformat().replace("+00:00", "Z")


def received(seconds, path, cause, rule="hall.light", **fields):
    return {
        "time": at(seconds), "event": "input.received", "rule": rule, "module": "hall",
        "cause": cause, "kind": "event", "path": path, "value": 1, **fields,
    }  # fmt: skip


def sent(seconds, path, cause, outcome="done", rule="hall.light", **fields):
    return {
        "time": at(seconds), "event": "output.set", "rule": rule, "module": "hall",
        "cause": cause, "path": path, "value": True, "outcome": outcome, **fields,
    }  # fmt: skip


DAY = [
    received(0, "/motion", "c1"),
    sent(0.2, "/lamp", "c1"),
    received(10, "/motion", "c2", parent="c1"),
    sent(10.1, "/lamp", "c2", "failed", error="no"),
    sent(11.5, "/lamp", "c2", attempt=2),
    {"time": at(10.1), "event": "rule.attempt_failed", "rule": "hall.light", "module": "hall"},
    sent(20, "/lamp", "c3", "skipped", why="unchanged"),
    sent(21, "/lamp", "c3", "skipped", why="unknown"),
    {"time": at(30), "event": "rule.restarted", "rule": "hall.light", "module": "hall"},
    {"time": at(31), "event": "module.reloaded", "module": "hall"},
    {"time": at(32), "event": "module.reload_aborted", "module": "hall"},
    received(40, "/button", "c4", 'bath "x"\\', duration=None),
]


def counted(records=DAY, seconds=3600):
    return count_records(records, START, START + timedelta(seconds=seconds))


def test_what_a_rule_did_is_counted():
    light = counted().rules["hall.light"]
    assert (light.inputs, light.retries, light.errors, light.restarts) == (2, 1, 1, 1)
    assert light.outputs == {"done": 2, "failed": 1}
    assert light.skipped == {"unchanged": 1, "unknown": 1}
    assert light.delay.count == 2
    assert light.delay.percentile(0.5) == pytest.approx(0.2, rel=0.05)
    assert light.delay.percentile(0.99) == pytest.approx(1.5, rel=0.05)
    assert counted().reloads == {"reloaded": 1, "aborted": 1}


def test_a_table_is_for_people():
    head, bath, light, *reloads = table_lines(counted())
    assert head.split() == [
        "rule", "inputs", "outputs", "failed", "retries", "errors", "p50", "p99", "skipped",
    ]  # fmt: skip
    assert bath.split()[-5:] == ["1", "0", "0", "0", "0"]
    assert light.endswith("1 unchanged, 1 unknown")
    assert " 1.5" in light
    assert reloads == ["1 reload aborted", "1 reload reloaded"]


def test_json_has_everything():
    [line] = json_lines(counted())
    content = json.loads(line)
    assert content["rules"]["hall.light"]["outputs"] == {"done": 2, "failed": 1}
    assert content["reloads"] == {"reloaded": 1, "aborted": 1}
    assert content["silences"] == []


def test_prometheus_reads_the_metrics():
    lines = list(prometheus_lines(counted()))
    assert 'eshet_rules_outputs_total{rule="hall.light",outcome="failed"} 1' in lines
    assert 'eshet_rules_inputs_total{rule="bath \\"x\\"\\\\"} 1' in lines
    assert 'eshet_rules_output_delay_seconds_count{rule="hall.light"} 2' in lines
    helped = [line.split()[2] for line in lines if line.startswith("# HELP")]
    assert len(helped) == len(set(helped))
    for line in lines:
        name = line.split()[2] if line.startswith("#") else line.partition("{")[0]
        assert any(name.startswith(each) for each in helped)


def test_an_empty_trail_has_no_metrics_and_says_so():
    assert list(table_lines(counted([]))) == ["no rule has received or sent anything in this time"]
    assert [line for line in prometheus_lines(counted([])) if not line.startswith("#")] == []


@pytest.mark.parametrize("share", [0.1, 0.5, 0.9, 0.99, 1])
def test_a_percentile_is_right_within_five_percent(share):
    durations = [1.0007**number / 1000 for number in range(10_000)]
    histogram = Histogram()
    for each in durations:
        histogram.add(each)
    exact = durations[math.ceil(share * len(durations)) - 1]
    assert exact <= histogram.percentile(share) <= 1.05 * exact * 1.0001
    assert histogram.count == 10_000
    assert histogram.sum == pytest.approx(sum(durations))


def test_a_clock_that_was_set_back_does_no_harm():
    histogram = Histogram()
    assert histogram.percentile(0.5) is None
    histogram.add(-5)
    assert histogram.percentile(0.5) == pytest.approx(1e-6)


HOUR = 3600


def silences(times, hours):
    records = [received(each, "/sensor", f"c{each}") for each in times]
    return counted(records, hours * HOUR).silences


def test_a_sensor_that_was_regular_and_has_stopped_is_found():
    [found] = silences(range(0, 48 * HOUR, 600), 55)
    assert (found.what, found.count, found.usual) == ("/sensor", 288, timedelta(minutes=10))
    [line] = [each for each in table_lines(counted_silent()) if "silent" in each]
    assert line.startswith("/sensor is silent since 2026-11-0")
    assert line.endswith("before, it was never silent for more than 10 min")


def counted_silent():
    records = [received(each, "/sensor", f"c{each}") for each in range(0, 48 * HOUR, 600)]
    return counted(records, 55 * HOUR)


@pytest.mark.parametrize(
    ("times", "hours"),
    [
        (range(0, 48 * HOUR, 600), 48),  # it goes on
        (range(0, 48 * HOUR, 6 * HOUR), 200),  # too few
        ([*range(0, 10 * HOUR, 600), *range(30 * HOUR, 48 * HOUR, 600)], 60),  # such gaps are usual
        (range(0, 3 * HOUR, 60), 3.5),  # not for an hour yet
        ([90 * HOUR + each for each in range(0, 5 * HOUR, 60)], 100),  # new, not regular
    ],
)
def test_what_is_usual_is_no_silence(times, hours):
    assert silences(times, hours) == []


def test_a_rule_that_has_stopped_is_found():
    records = [sent(each, "/lamp", f"c{each}") for each in range(0, 48 * HOUR, 600)]
    [found] = counted(records, 55 * HOUR).silences
    assert found.what == "hall.light"


def test_spans_of_one_chain_are_one_trace():
    lines = [json.loads(line) for line in spans(DAY)]
    found = [each["resourceSpans"][0]["scopeSpans"][0]["spans"][0] for each in lines]
    assert len(found) == 6
    first, output, second, failed, retried, other = found
    assert len({each["spanId"] for each in found}) == 6
    assert len({each["traceId"] for each in found[:5]}) == 1
    assert other["traceId"] != first["traceId"]
    assert "parentSpanId" not in first
    assert output["parentSpanId"] == first["spanId"]
    assert second["parentSpanId"] == output["spanId"]
    assert failed["status"] == {"code": 2, "message": "no"}
    assert retried["parentSpanId"] == second["spanId"]
    assert all(len(each["traceId"]) == 32 and len(each["spanId"]) == 16 for each in found)
