"""Unknown is one object, and nothing like a value."""

import copy
import pickle

import eshet
from eshet import Unknown


def test_unknown_is_falsy_and_shows_its_name() -> None:
    assert not Unknown
    assert repr(Unknown) == str(Unknown) == f"{Unknown}" == "Unknown"


def test_unknown_is_one_object_through_copy_and_pickle() -> None:
    assert eshet.Unknown is Unknown
    assert copy.copy(Unknown) is Unknown
    assert copy.deepcopy([Unknown])[0] is Unknown
    for protocol in range(pickle.HIGHEST_PROTOCOL + 1):
        assert pickle.loads(pickle.dumps(Unknown, protocol)) is Unknown  # noqa: S301


def test_unknown_equals_only_itself() -> None:
    assert Unknown == Unknown
    assert Unknown not in (None, False, 0, "Unknown")
    assert {Unknown: 1}[Unknown] == 1
