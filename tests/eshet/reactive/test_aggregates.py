"""What a window of values comes to."""

import pytest

from eshet import reactive as yarp
from eshet.unknown import Unknown


def test_the_summaries_of_a_window_leave_out_what_is_not_there():
    window = yarp.Value([4, Unknown, 1, yarp.NoValue, 1])
    summaries = yarp.average(window), yarp.minimum(window), yarp.maximum(window)
    assert [each.value for each in summaries] == [2, 1, 4]


@pytest.mark.parametrize(
    ("window", "summary"),
    [
        ([], yarp.NoValue),
        ([yarp.NoValue], yarp.NoValue),
        ([yarp.NoValue, Unknown], Unknown),
        (Unknown, Unknown),
    ],
)
def test_a_summary_of_nothing_is_nothing(window, summary):
    for word in (yarp.average, yarp.minimum, yarp.maximum):
        assert word(yarp.Value(window)).value is summary


async def test_an_average_over_time_forgets_what_is_old(advance):
    lux = yarp.Value(10)
    average = yarp.average(yarp.time_window(lux, 60))
    lux.value = 20
    assert average.value == 15
    await advance(61)
    assert average.value == 20
    lux.value = Unknown
    assert average.value == 20
    await advance(61)
    assert average.value is Unknown


async def test_a_rate_counts_what_came_per_second(advance):
    event, value = yarp.Event(), yarp.Value(0)
    rates = yarp.rate(event, 10), yarp.rate(value, 10)
    assert [each.value for each in rates] == [0, 0]
    for _ in range(5):
        event.emit("x")
        event.emit(Unknown)
        value.value += 1
    assert [each.value for each in rates] == [0.5, 0.5]
    await advance(11)
    assert [each.value for each in rates] == [0, 0]
