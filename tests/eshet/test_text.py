"""Every object has a text that is bounded and encodable."""

import pytest
from hypothesis import given
from hypothesis import strategies as st

from eshet.exceptions import Interrupted
from eshet.text import encodable, first_names, safe_repr, safe_str, shorten


class Strange:
    """Does in `repr` and `str` what it is given."""

    def __init__(self, do):
        self.do = do

    def __repr__(self):
        return self.do()

    __str__ = __repr__


def raising(error):
    def do():
        raise error

    return do


class Derived(str):
    """A string that overrides its own conversion."""

    def __str__(self):
        raise ValueError("no")

    def encode(self, *args, **kwargs):
        raise ValueError("no")


ERRORS = [
    ValueError("x"),
    RecursionError(),
    MemoryError(),
    SystemExit(1),
    KeyboardInterrupt(),
    GeneratorExit(),
    Interrupted("x"),
    type("Own", (BaseException,), {})(),
]


@pytest.mark.parametrize("convert", [safe_repr, safe_str])
@pytest.mark.parametrize("error", ERRORS, ids=lambda error: type(error).__name__)
def test_an_object_whose_text_raises_is_described(convert, error):
    text = convert(Strange(raising(error)))
    assert "Strange" in text
    assert type(error).__name__ in text


@pytest.mark.parametrize("convert", [safe_repr, safe_str])
def test_an_object_whose_text_is_not_a_string_is_described(convert):
    assert "TypeError" in convert(Strange(lambda: 5))


def test_an_overridden_string_is_converted_without_its_methods():
    assert safe_repr(Strange(lambda: Derived("fine"))) == "fine"


@pytest.mark.parametrize("convert", [safe_repr, safe_str])
def test_long_texts_are_shortened(convert):
    text = convert(Strange(lambda: "a" * 70_000 + "z"), 200)
    assert len(text) == 200
    assert text.startswith("aaa")
    assert text.endswith("z")


def test_deeply_nested_values_have_a_text():
    deep = ()
    for _ in range(100_000):
        deep = (deep,)
    assert "RecursionError" in safe_repr(deep)


def test_lone_surrogates_are_escaped():
    assert safe_str(ValueError("a\ud800b")) == r"a\ud800b"


@given(st.text(st.characters(codec=None)), st.integers(0, 200))
def test_a_text_is_never_longer_than_allowed_and_keeps_its_ends(text, limit):
    short = shorten(text, limit)
    assert len(short) <= max(limit, 40)
    if len(text) <= limit:
        assert short == text


@given(st.text(st.characters(codec=None)))
def test_every_text_can_be_encoded(text):
    encodable(text).encode()


@pytest.mark.parametrize(
    ("count", "shown"),
    [(0, 0), (10, 10), (11, 11), (10_000, 11)],
)
def test_of_many_names_the_first_ones_are_shown_and_how_many_more(count, shown):
    names = [f"rule {number}" for number in range(count)]
    first = first_names(names)
    assert len(first) == shown
    assert first[:10] == names[:10]
    if count > 10:
        assert first[10] == f"and {count - 10:,} more"
