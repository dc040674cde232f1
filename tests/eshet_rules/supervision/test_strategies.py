import asyncio

import pytest

from eshet import ErrorValue
from eshet.utils import RunInTask, RunSerially
from eshet_rules import RunConcurrently, RunLatest, RunSingle
from eshet_rules.exceptions import StrategySettingsError
from eshet_rules.supervision.strategies import strategy_from


@pytest.mark.parametrize(
    ("settings", "strategy"),
    [
        ({"run": "in task"}, RunInTask()),
        ({"run": "serially"}, RunSerially()),
        (
            {"run": "serially", "only_latest": True, "timeout": 5},
            RunSerially(only_latest=True, timeout=5),
        ),
        ({"run": "latest", "retry": True, "jitter": 0.2}, RunLatest(retry=True, jitter=0.2)),
        ({"run": "single", "max_queue": 3}, RunSingle(max_queue=3)),
        ({"run": "concurrently", "limit": 4}, RunConcurrently(4)),
        (
            {"run": "in task", "retry": True, "retry_on": ["OSError", "eshet.ErrorValue"]},
            RunInTask(retry=True, retry_on=(OSError, ErrorValue)),
        ),
        (
            {"run": "in task", "give_up_on": ["asyncio.TimeoutError"]},
            RunInTask(give_up_on=(asyncio.TimeoutError,)),
        ),
    ],
    ids=str,
)
def test_settings_describe_a_strategy(settings, strategy):
    assert strategy_from(settings) == strategy


@pytest.mark.parametrize(
    ("settings", "key", "advice"),
    [
        ({}, "run", 'write one of "in task", "serially"'),
        ({"run": "seriously"}, "run", "'seriously' is not a strategy"),
        ({"run": "serially", "only_last": True}, "only_last", "did you mean only_latest?"),
        ({"run": "single", "xyz": True}, "xyz", "it has give_up_on, jitter"),
        ({"run": "single", "randomness": 1}, "randomness", "no such option"),
        ({"run": "serially", "retry": 1}, "retry", "neither true nor false"),
        ({"run": "serially", "timeout": "5 s"}, "timeout", "'5 s' is not a number"),
        ({"run": "serially", "timeout": -5}, "timeout", "write seconds, more than 0"),
        ({"run": "serially", "max_queue": 2.5}, "max_queue", "not a whole number"),
        ({"run": "serially", "max_queue": 0}, "max_queue", "write 1 or more"),
        ({"run": "serially", "max_attempts": 3}, "max_attempts", "retry=True"),
        ({"run": "serially", "assume_failed": True}, "assume_failed", "only_latest=True"),
        ({"run": "concurrently"}, "limit", '"limit = 4"'),
        ({"run": "concurrently", "limit": 0}, "limit", "write 1 or more"),
        ({"run": "in task", "give_up_on": "OSError"}, "give_up_on", 'write ["OSError"]'),
        ({"run": "in task", "give_up_on": ["Oops"]}, "give_up_on", "there is no error 'Oops'"),
        ({"run": "in task", "give_up_on": ["no.such.Oops"]}, "give_up_on", "'no.such.Oops'"),
        ({"run": "in task", "give_up_on": ["print"]}, "give_up_on", "there is no error 'print'"),
        ({"run": "serially", "retry": True, "retry_start": 90}, "retry_start", "retry_end"),
    ],
    ids=str,
)
def test_a_mistake_is_refused_with_its_key_and_advice(settings, key, advice):
    with pytest.raises(StrategySettingsError) as refused:
        strategy_from(settings)
    assert refused.value.key == key
    assert advice in refused.value.problem
