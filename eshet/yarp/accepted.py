"""Which values a settable state accepts."""

from collections.abc import Callable, Collection

from eshet.exceptions import NotAccepted
from eshet.reactive.core.markers import is_same

__all__ = ["checking"]


def checking(
    set_value: Callable[[object], object],
    minimum: float | None,
    maximum: float | None,
    options: Collection[object] | None,
) -> Callable[[object], object]:
    """Return a function that sets a value if it is accepted.

    The function raises `NotAccepted` for other values, with a text that says which are.

    Args:
        set_value: sets the value.
        minimum: the least number that is accepted; None if there is none.
        maximum: the greatest number that is accepted; None if there is none.
        options: all values that are accepted; None for any.

    Raises:
        ValueError: no value would be accepted, or both numbers and options are.
    """
    if options is not None and (minimum is not None or maximum is not None):
        raise ValueError("options are all accepted values: leave out minimum and maximum")
    if options is not None and (isinstance(options, str) or not options):
        raise ValueError(f"options={options!r} is not a list of the accepted values")
    if minimum is not None and maximum is not None and not minimum <= maximum:
        raise ValueError(f"minimum={minimum!r} is above maximum={maximum!r}")
    if options is not None:
        return _checking_options(set_value, options)
    if minimum is not None or maximum is not None:
        return _checking_numbers(set_value, minimum, maximum)
    return set_value


def _checking_options(
    set_value: Callable[[object], object], options: Collection[object]
) -> Callable[[object], object]:
    names = ", ".join(repr(each) for each in options)

    def set_checked(value: object) -> object:
        # True equals 1, but a state of True and False does not accept 1.
        if not any(
            is_same(value, each) and isinstance(value, bool) == isinstance(each, bool)
            for each in options
        ):
            raise NotAccepted(value, f"one of {names}")
        return set_value(value)

    return set_checked


def _checking_numbers(
    set_value: Callable[[object], object], minimum: float | None, maximum: float | None
) -> Callable[[object], object]:
    if maximum is None:
        wanted = f"a number from {minimum} up"
    elif minimum is None:
        wanted = f"a number up to {maximum}"
    else:
        wanted = f"a number from {minimum} to {maximum}"

    def set_checked(value: object) -> object:
        # Each comparison is written so that it is false for NaN.
        if (
            not isinstance(value, int | float)
            or isinstance(value, bool)
            or not (minimum is None or value >= minimum)
            or not (maximum is None or value <= maximum)
        ):
            raise NotAccepted(value, wanted)
        return set_value(value)

    return set_checked
