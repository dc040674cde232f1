"""Timelines in the documentation are those of a run, and their pictures show that run."""

import importlib
import io
import re
import sys
from pathlib import Path
from xml.etree import ElementTree as ET

import pytest
from sphinx.cmd.build import main as sphinx_build
from timelines.picture import draw
from timelines.play import checked, play
from timelines.rows import Mistake, moment, parse, seconds, text_of, value_of, word_of

ROOT = Path(__file__).parents[2]
PAGES = [ROOT / "CONTRIBUTING.md", *sorted((ROOT / "docs" / "reference").glob("reactive*.md"))]
MODULES = (
    "aggregates",
    "changes",
    "filters",
    "switching",
    "time.fsm",
    "time.holding",
    "time.operators",
    "time.plans",
    "time.schedules",
)
CSS = (ROOT / "docs" / "_static" / "timelines.css").read_text()

_BLOCK = re.compile(r"^```\{timeline\}\n((?::\w+: [^\n]*\n)*)(.*?)^```$", re.MULTILINE | re.DOTALL)
_OPTION = re.compile(r"^:(\w+): (.*)$", re.MULTILINE)
_KINDS = {"step": seconds, "start": moment}


def blocks(page):
    for options, content in _BLOCK.findall(page.read_text()):
        given = {name: _KINDS[name](text) for name, text in _OPTION.findall(options)}
        yield content.splitlines(), given


def lines(text):
    return text.strip("\n").splitlines()


def drawn(text, step=1.0, start=None):
    timeline, tracks = checked(lines(text), step, start)
    return ET.fromstring(draw(tracks, step, start, "\n".join(text_of(timeline))))  # noqa: S314 - it is ours


def found(picture, kind):
    return [each for each in picture.iter() if kind in each.get("class", "").split()]


# --- the pages --------------------------------------------------------------------------------


@pytest.mark.parametrize("page", PAGES, ids=lambda path: path.name)
def test_the_timelines_of_a_page_are_those_of_a_run(page):
    for content, options in blocks(page):
        checked(content, **options)


def test_every_operator_of_time_and_changes_has_a_timeline():
    text = "\n".join("\n".join(content) for page in PAGES for content, _ in blocks(page))
    modules = [importlib.import_module(f"eshet.reactive.{name}") for name in MODULES]
    names = {name for module in modules for name in module.__all__} - {"NOTHING"}
    assert {name for name in names if not re.search(rf"\b{name}\(.*?\)\S*  ", text)} == set()


# --- rows -------------------------------------------------------------------------------------


def test_a_wrong_cell_is_refused_with_its_line_and_the_right_rows():
    with pytest.raises(Mistake, match=r"debounce\(source, 2\)  - - - a") as caught:
        checked(["source               - a - -", "debounce(source, 2)  - - a -"])
    assert caught.value.line == 1


def test_rows_that_are_not_aligned_are_refused():
    with pytest.raises(Mistake, match="aligned"):
        checked(["source  - a", "count(source)  0 1"])


@pytest.mark.parametrize(
    ("text", "line", "message"),
    [
        ("", 0, "at least one row"),
        ("source  1 2\n\nsource", 2, "'source' has no cells"),
        ("a  1 2\nb  1", 1, "b has 1 cells, and a has 2"),
        ("count  1 2", 0, "count has a meaning already"),
        ("a  1 2\nlen(a  1 1", 1, "never closed"),
        (">>> 1 / 0\na  1 2", 0, "ZeroDivisionError"),
        ("a  1 2\n1 + 1  2 2", 1, "is 2, and no Value or Event"),
        ("a  1 2 0\nfn(lambda x: 1 / x)(a)  1 - -", 0, "moment 2 raises ZeroDivisionError"),
    ],
)
def test_mistakes_are_reported_with_their_lines(text, line, message):
    with pytest.raises(Mistake, match=re.escape(message)) as caught:
        checked(text.splitlines())
    assert caught.value.line == line


@pytest.mark.parametrize("word", ["T", "F", "?", "_", "x", "3", "-0.5", "on", "07:30"])
def test_a_value_has_the_word_that_means_it(word):
    assert word_of(value_of(word)) == word


def test_numbers_are_no_truth_values_and_lists_have_commas():
    assert [word_of(value) for value in (1, 0, 5.0)] == ["1", "0", "5"]
    assert word_of([1, True, None]) == "1,T,x"
    assert word_of([]) == "[]"


def test_durations_and_moments_have_units_and_zones():
    assert [seconds(text) for text in ("1 s", "0.5s", "5 min", "6 h", "1 d")] == [
        1,
        0.5,
        300,
        21600,
        86400,
    ]
    assert moment("2026-03-28 06:00 Europe/Berlin").isoformat() == "2026-03-28T06:00:00+01:00"
    with pytest.raises(ValueError, match='"6 h"'):
        seconds("6")


# --- runs -------------------------------------------------------------------------------------


def test_inputs_of_a_moment_are_one_transaction():
    checked(["a      1 2", "b      1 2", "a + b  2 4"])


def test_a_cell_has_what_happens_until_the_next_moment():
    timeline = parse(["source              - a - - -", "delay(source, 1.5)  - - a - -"])
    (_, late) = play(timeline, 1)
    assert late.changes == ((2.5, "a"),)
    assert late.row.cells == ("-", "-", "a", "-", "-")


def test_several_changes_of_a_cell_are_joined():
    text = """
source                                            - a   - -
merge(delay(source, 1.2), count(source), source)  - 1+a a -
"""
    checked(lines(text))


def test_code_may_use_sources_that_follow_it():
    text = """
>>> lowest = fn(lambda _: low)
low                       1 - 3
selector                  T - -
switch(lowest(selector))  1 - 3
"""
    checked(lines(text))


# --- pictures ---------------------------------------------------------------------------------


def test_a_mark_is_where_the_emission_is():
    picture = drawn("source              - a - - -\ndelay(source, 1.5)  - - a - -")
    source, late = (float(mark.get("x")) for mark in found(picture, "mark"))
    ticks = [float(each.get("x")) for each in found(picture, "time")]
    assert late - source == pytest.approx(1.5 * (ticks[1] - ticks[0]))


def test_bands_follow_each_other_without_a_gap():
    picture = drawn("source  1 - 20 ? - _")
    boxes = {each.get("x"): each for each in found(picture, "band") + found(picture, "absent")}
    edges = [(float(box.get("x")), float(box.get("width"))) for box in boxes.values()]
    assert [x + width for x, width in edges[:-1]] == [x for x, _ in edges[1:]]
    assert len(found(picture, "band")) == 2


def test_true_is_high_and_false_is_low():
    picture = drawn("source  F - T - F")
    assert len(found(picture, "true")) == 1
    heights = [re.findall(r"[\d.]+", each.get("d")) for each in found(picture, "level")]
    assert [height[2] for height in heights[1:]] == [heights[1][2], heights[0][1]]


@pytest.mark.parametrize("text", ["e  - x - ?", "v  1 - ? -", "v  T - ? -"])
def test_unknown_is_hatched(text):
    picture = drawn(text)
    (pattern,) = (each for each in picture if each.tag.endswith("pattern"))
    filled = [each for each in picture.iter() if each.get("fill") == f"url(#{pattern.get('id')})"]
    assert len(filled) == 1


def test_long_words_do_not_overlap():
    picture = drawn("event  - 07:30 08:30 - -")
    first, second = found(picture, "mark")
    assert float(first.get("x")) + float(first.get("width")) < float(second.get("x"))


def test_the_axis_has_the_unit_of_its_step_or_times_of_day():
    def times(step, start=None):
        picture = drawn("source  1 - 2 - 3", step, start)
        return [each.text for each in found(picture, "time")]

    assert times(1) == ["0", "1", "2", "3", "4", "5", "s"]
    assert times(600)[-2:] == ["50", "min"]
    assert times(0.5)[1] == "0.5"
    # Clocks go from 02:00 to 03:00.
    night = times(3600, moment("2026-03-29 00:00 Europe/Berlin"))
    assert night == ["Sun 29 Mar", "03:00", "05:00"]


def test_a_picture_has_its_text_and_no_colours_of_its_own():
    picture = drawn("a      1 - 3\na < 2  T - F")
    title, text = (each.text for each in picture if each.tag.endswith(("title", "desc")))
    assert title == "Timeline of a < 2"
    assert text == "a      1 - 3\na < 2  T - F"
    assert {each.get("fill") for each in picture.iter()} == {"none", None}


def test_all_classes_of_pictures_have_a_style():
    picture = drawn("a  T - 3 - ? _\nb  F - T - ? _\nc  - x - ? - 1")
    classes = {name for each in picture.iter() for name in each.get("class", "").split()}
    assert {name for name in classes - {"timeline"} if f".{name} " not in CSS} == set()


# --- Sphinx -----------------------------------------------------------------------------------


def build(folder, builder, page):
    (folder / "conf.py").write_text(
        'extensions = ["myst_parser", "timelines"]\nhtml_theme = "basic"\n'
    )
    (folder / "index.md").write_text(page)
    shown = io.StringIO()
    with pytest.MonkeyPatch.context() as patch:
        patch.setattr(sys, "stderr", shown)
        code = sphinx_build(["-q", "-W", "-b", builder, str(folder), str(folder / builder)])
    return code, shown.getvalue()


PAGE = """# Count

```{timeline}
:step: 1 min
>>> three = 3
source         - a - b
count(source)  0 1 - 2
```
"""


def test_a_page_gets_a_picture(tmp_path):
    assert build(tmp_path, "html", PAGE) == (0, "")
    html = (tmp_path / "html" / "index.html").read_text()
    assert html.count('<svg class="timeline"') == 1
    assert html.count("count(source)  0 1 - 2") == 1  # in the description of the picture
    assert "three" in html


def test_other_builders_get_the_text(tmp_path):
    assert build(tmp_path, "text", PAGE) == (0, "")
    text = (tmp_path / "text" / "index.txt").read_text()
    assert "count(source)  0 1 - 2" in text
    assert "svg" not in text


def test_a_wrong_row_fails_the_build_with_its_line(tmp_path):
    code, shown = build(tmp_path, "text", PAGE.replace("0 1 - 2", "0 1 - 1"))
    assert code == 1
    assert "index.md:7: ERROR: a run has these rows" in shown
