"""The inputs of several modules are merged into the sequence that was sent."""

import random

import pytest

from eshet_rules.replay.alignment import Received, merged


def received(*pairs: tuple[float, object]) -> list[Received]:
    return [Received(at, key, number) for number, (at, key) in enumerate(pairs)]


def keys(sequence: list[Received]) -> list[object]:
    return [each.key for each in sequence]


def test_a_module_that_is_slow_receives_the_same():
    fast = received((0, "a"), (1, "b"), (2, "a"))
    slow = received((0.5, "a"), (2.5, "b"), (3, "a"))
    assert merged([fast, slow]) == merged([slow, fast]) == fast


def test_a_module_that_was_loaded_later_lacks_the_first():
    early, late = received((0, 1), (1, 1)), received((1, 1), (2, 1))
    assert [each.at for each in merged([early, late])] == [0, 1, 2]


def test_equal_inputs_far_apart_are_different():
    assert len(merged([received((0, "a")), received((60, "a"))])) == 2


@pytest.mark.parametrize("seed", range(200))
def test_any_parts_of_a_sequence_are_merged_into_it(seed: int) -> None:
    chance = random.Random(seed)  # noqa: S311 - not for secrets
    sent = received(*((n * 10.0, chance.choice("ab")) for n in range(30)))
    cut = chance.randrange(30)
    modules = []
    for part in (sent[:cut], sent[cut // 2 :], sent[cut:]):
        delay = chance.random()
        modules.append([Received(each.at + delay, each.key, each.number) for each in part])
    assert keys(merged(modules)) == keys(sent)
