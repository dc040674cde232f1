from hypothesis import given
from hypothesis import strategies as st

from eshet_rules.web.history import Point, thinned

VALUES = st.one_of(st.floats(-100, 100), st.none(), st.text(max_size=2), st.booleans())


@given(st.lists(VALUES, max_size=300), st.integers(4, 60))
def test_thinning_keeps_ends_and_extremes(values, most):
    points = [Point(f"{number:04}", value, True) for number, value in enumerate(values)]
    kept = thinned(points, most)
    assert len(kept) <= max(most, 4)
    assert kept == sorted(kept, key=lambda point: point.time)
    assert set(map(id, kept)) <= set(map(id, points))
    numbers = [each.value for each in points if type(each.value) is float]
    if points:
        assert (kept[0], kept[-1]) == (points[0], points[-1])
    if numbers:
        shown = [each.value for each in kept if type(each.value) is float]
        assert (min(shown), max(shown)) == (min(numbers), max(numbers))


def test_few_points_stay_as_they_are():
    points = [Point("1", 1, True), Point("2", None, False)]
    assert thinned(points, 4) is points


async def test_long_values_are_left_out_beyond_a_million_characters(site, outside):
    for number in range(40):
        await outside.state_changed("/hall/lux", f"{number}" + "x" * 50_000)
    await site.advance(1)
    past = await site.browser.get("history", path="/hall/lux")
    numbers = [value[:-50_000] for _, value, _ in past["points"]]
    assert past["truncated"]
    assert 10 < len(numbers) < 30
    assert numbers[-1] == "39"
