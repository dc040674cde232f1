from datetime import UTC, datetime

from eshet import codec
from eshet_rules.supervision.report import RuleReport
from eshet_rules.supervision.status import RuleState, RuleStatus

STATUS = RuleStatus(
    RuleState.FAILED,
    datetime(2026, 11, 25, 21, 4, 11, 900_000, tzinfo=UTC),
    "3f2a91bc",
    "RunInTask()",
    restarts=2,
    last_error="ValueError: no",
    why="it failed again",
    running=1,
    queued=3,
    errors=1,
)


def test_a_report_is_plain_data():
    report = RuleReport("hall.light", "hall", STATUS, ("/lux",), ("/light", "/lamp"))
    assert report.plain() == {
        "rule": "hall.light",
        "module": "hall",
        "state": "failed",
        "since": "2026-11-25T21:04:11Z",
        "version": "3f2a91bc",
        "strategy": "RunInTask()",
        "restarts": 2,
        "last_error": "ValueError: no",
        "errors": 1,
        "why": "it failed again",
        "running": 1,
        "queued": 3,
        "waiting": 0,
        "waiting_s": 0.0,
        "reads": ["/lux"],
        "writes": ["/light", "/lamp"],
    }


def test_whatever_there_is_to_say_it_fits_into_one_message():
    status = RuleStatus(
        STATUS.state, STATUS.since, "", "", last_error="e" * 100_000, why="w" * 100_000
    )
    paths = tuple(f"/{number:05}/{'x' * 100}" for number in range(10_000))
    report = RuleReport("hall.light", "hall", status, paths, paths)
    assert len(codec.pack(report.plain())) < 40_000
    assert report.plain()["reads"][0] == paths[0]
