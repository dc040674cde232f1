"""Every error of a user has a text and a traceback, soon, whatever its class does."""

import pytest

from eshet.user_errors import (
    MAX_ERRORS,
    UnusableError,
    bounded_traceback,
    error_text,
    is_error,
    plain_error,
)
from tests.support.hostile import ODD_ERRORS


def raised(error):
    try:
        raise error
    except BaseException as caught:
        return caught


def text_of(error):
    parts, is_cut = bounded_traceback(error)
    return "".join(parts[0][0].format()), is_cut


@pytest.mark.parametrize("make", ODD_ERRORS.values(), ids=ODD_ERRORS)
def test_an_odd_error_is_shown_with_its_class_and_its_place(make):
    error = raised(make())
    text, _ = text_of(error)
    assert "Odd" in text or "odd" in text or "SyntaxError" in text
    assert "in raised" in text
    assert error_text(error)
    assert is_error(error, Exception)


@pytest.mark.parametrize("make", ODD_ERRORS.values(), ids=ODD_ERRORS)
@pytest.mark.parametrize("link", ["__cause__", "__context__", "group"])
def test_an_odd_error_that_another_came_of_is_shown_too(make, link):
    if link == "group":
        error = ExceptionGroup("both", [make(), OSError("other")])
    else:
        error = OSError("other")
        setattr(error, link, make())
    text, is_cut = text_of(raised(error))
    assert "OSError: other" in text
    assert "dd" in text
    assert not is_cut


def test_an_ordinary_error_is_itself():
    class Ordinary(Exception):
        def __str__(self):
            return "text"

    for error in (Ordinary(), ExceptionGroup("some", [OSError()]), KeyboardInterrupt()):
        assert plain_error(error) is error
    assert isinstance(plain_error(ODD_ERRORS["__cause__ raises ValueError"]()), UnusableError)


def chain(length, link):
    last = OSError(0)
    for number in range(1, length):
        error = OSError(number)
        setattr(error, link, last)
        if link == "__cause__":
            error.__context__ = OSError("beside")
        last = error
    return last


def nested(depth):
    error = OSError(0)
    for number in range(depth):
        error = ExceptionGroup(str(number), [error, OSError(number)])
    return error


def cycle():
    error = OSError("cycle")
    error.__context__ = other = OSError("other")
    other.__cause__ = error
    return error


def raised_again_and_again(times):
    error = OSError("again")
    for _ in range(times):
        raised(error)
    return error


LONG = {
    "causes": (lambda: chain(100_000, "__cause__"), True),
    "contexts": (lambda: chain(100_000, "__context__"), True),
    "groups": (lambda: nested(10_000), True),
    "a wide group": (lambda: ExceptionGroup("wide", [OSError(n) for n in range(100_000)]), False),
    "a cycle": (cycle, False),
    "a long traceback": (lambda: raised_again_and_again(50_000), False),
}


@pytest.mark.parametrize(("make", "is_cut"), LONG.values(), ids=LONG)
def test_a_long_chain_is_cut_before_it_is_shown(make, is_cut):
    error = make()
    text, cut = text_of(error)
    assert cut is is_cut
    assert len(text) < 500_000
    parts, _ = bounded_traceback(error)
    assert len(parts) <= 2 * MAX_ERRORS
    assert error_text(error)


def test_the_errors_nearest_to_the_last_one_are_shown():
    text, _ = text_of(chain(1000, "__context__"))
    assert [f"OSError: {number}" in text for number in (999, 999 - MAX_ERRORS + 1)] == [True, True]
    assert f"OSError: {999 - MAX_ERRORS}" not in text
