"""The ordered paths against a plain sorted list."""

import pytest
from hypothesis import given
from hypothesis import strategies as st

from eshet.server import path_index
from eshet.server.path_index import PathIndex

NAMES = st.sampled_from([b"a", b"a0", b"a_", b"aa", b"b", b"B", b"0", b"_"])
PATHS = st.lists(NAMES, min_size=1, max_size=3).map(lambda names: b"/" + b"/".join(names))
STEPS = st.lists(st.tuples(st.booleans(), PATHS), max_size=60)


@pytest.mark.parametrize("few", [0, 4, 1000])
@given(steps=STEPS, start=PATHS, after=NAMES | st.just(b""), directory=PATHS | st.just(b""))
def test_pages_are_those_of_a_sorted_list(
    few: int,
    steps: list[tuple[bool, bytes]],
    start: bytes,
    after: bytes,
    directory: bytes,
) -> None:
    with pytest.MonkeyPatch.context() as patch:
        patch.setattr(path_index, "_FEW", few)
        there: set[bytes] = set()
        index = PathIndex(lambda: there)
        for number, (reads, path) in enumerate(steps):
            if path in there:
                there.remove(path)
                index.remove(path)
            else:
                there.add(path)
                index.add(path)
            if reads or number == len(steps) - 1:
                assert list(index.after(start)) == sorted(p for p in there if p > start)
                below = [p for p in there if p.startswith(directory + b"/")]
                names = {p[len(directory) + 1 :].partition(b"/")[0] for p in below}
                assert list(index.names(directory + b"/", after)) == sorted(
                    name for name in names if name > after
                )


def test_nothing_is_kept_before_somebody_asks() -> None:
    index = PathIndex(lambda: [b"/a"])
    index.add(b"/b")
    assert index._added == set()
    assert list(index.after(b"")) == [b"/a"]
