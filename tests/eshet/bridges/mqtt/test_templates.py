"""Templates in discovery messages: results, missing values, and unsupported parts."""

import contextlib

import pytest
from hypothesis import given
from hypothesis import strategies as st

from eshet.bridges.mqtt.templates import (
    MissingValue,
    Template,
    TemplateFailed,
    UnsupportedTemplate,
)

JSON = '{"temperature": 21.46, "on": true, "list": [1, 2], "nested": {"a b": "x"}, "text": "Hi"}'


@pytest.mark.parametrize(
    ("template", "result"),
    [
        ("plain", "plain"),
        ("{{ value }}", JSON),
        ("{{ value_json.temperature }}", "21.46"),
        ("{{ value_json['temperature'] }}", "21.46"),
        ('{{value_json["nested"]["a b"]}}', "x"),
        ("{{ value_json.list[1] }}", "2"),
        ("{{ value_json.on }}", "True"),
        ("{{ value_json.temperature | round(1) }}", "21.5"),
        ("{{ value_json.temperature | round }}", "21"),
        ("{{ value_json.temperature|float + 0.54 }}", "22.0"),
        ("{{ (value_json.temperature * 2) | round(1) }}", "42.9"),
        ("{{ -value_json.list[0] + 2 * 3 - 4 / 2 }}", "3.0"),
        ("{{ 7 // 2 }} {{ 7 % 4 }}", "3 3"),
        ("{{ value_json.text | lower }}{{ value_json.text | upper }}", "hiHI"),
        ("{{ value_json.text ~ 1 }}", "Hi1"),
        ("{{ value_json.gone | default('none') }}", "none"),
        ("{{ value_json.gone.deeper | default(3) }}", "3"),
        ("{{ value_json.gone | int(7) }}", "7"),
        ("{{ '12.7' | int }}", "12"),
        ("{{ 'ON' if value_json.on else 'OFF' }}", "ON"),
        ("{{ 'ON' if value_json.temperature > 25 else 'OFF' }}", "OFF"),
        ("{{ 'a' if value_json.gone is defined else 'b' }}", "b"),
        ("{{ 'a' if value_json.text is not none and not false else 'b' }}", "a"),
        ("{{ 1 in value_json.list }} {{ 5 not in value_json.list }}", "True True"),
        ("{% if value_json.on is true %}yes{% else %}no{% endif %}", "yes"),
        ("{% if value_json.text == 'x' %}1{% elif value_json.text == 'Hi' %}2{% endif %}", "2"),
        ("{% if value_json.on %}{% if false %}a{% else %}b{% endif %}{% endif %}", "b"),
        ("{%- if value_json.on -%} yes {%- endif -%}", "yes"),
        ("{{ {'Hi': 'hello'}[value_json.text] }}", "hello"),
        ("{{ value_json.list | tojson }}", "[1, 2]"),
        ("{{ value_json.list | join(', ') }} {{ value_json.list | length }}", "1, 2 2"),
        ("{{ value_json.text | default('', True) | string | truncate(254, True, '', 0) }}", "Hi"),
        ("{{ value_json.on | iif('1', '0') }}", "1"),
        ("{# a comment #}x", "x"),
        ("{{ value_json.a or value_json.text }}", "Hi"),
        ("{{ value_json.text or 1 }} {{ value_json.text and 1 }}", "Hi 1"),
        ("{{ 'yes' | bool }} {{ 'x' | bool(3) }} {{ '1e999' | int(4) }}", "True 3 4"),
        ("{{ 'a long text' | truncate(6) }}", "a long text"),
        ("{{ 'a long text' | truncate(5) }}", "a..."),
        ("{{ 'a long text' | truncate(5, True) }}", "a ..."),
        ("{{ 'a long text' | truncate(9, True, '', 0) }}", "a long te"),
        ("{{ 'aXbX' | replace('X', '--') }}", "a--b--"),
        ("{{ value_json.list | first }} {{ value_json.list | last }} {{ -3 | abs }}", "1 2 3"),
        ("{{ value_json.gone | round(1, 'common', 5) }}", "5"),
        ("{{ {'a': 1, 'b': [2]} | tojson }}", '{"a": 1, "b": [2]}'),
        ("{{ 1 <= 2 }} {{ 2 >= 3 }} {{ 'a' != 'b' }} {{ 1 is number }}", "True False True True"),
    ],
)
def test_a_template_renders_the_same_text_as_in_home_assistant(template, result):
    assert Template(template).render(JSON) == result


@pytest.mark.parametrize(
    "template",
    ["{{ value_json.gone }}", "{{ value_json.gone | lower }}", "{{ value_json.nested.x + 1 }}"],
)
def test_a_missing_key_is_an_error_of_its_own(template):
    with pytest.raises(MissingValue, match="the payload has no"):
        Template(template).render(JSON)


def test_a_payload_that_is_not_json_has_no_keys():
    with pytest.raises(MissingValue):
        Template("{{ value_json.x }}").render("ON")
    assert Template("{{ value }}").render("ON") == "ON"


@pytest.mark.parametrize(
    "template",
    [
        "{{ 1 / 0 }}",
        "{{ value_json.text * 3 }}",
        "{{ value_json.text | float }}",
        "{{ value_json.list['a'] + 1 }}",
        "{{ {'a': 1}[value_json.text] }}",
        "{{ 1.5 | round(0, 'floor') }}",
        "{{ 'x' | bool }}",
        "{{ '1e999' | int }}",
    ],
)
def test_a_failed_evaluation_is_an_error(template):
    with pytest.raises(TemplateFailed):
        Template(template).render(JSON)


@pytest.mark.parametrize(
    ("template", "problem"),
    [
        ("{% for x in value_json %}{{ x }}{% endfor %}", "the statement 'for'"),
        ("{% set x = 1 %}", "the statement 'set'"),
        ("{{ now() }}", "the function 'now'"),
        ("{{ value | regex_replace('a') }}", "the filter 'regex_replace'"),
        ("{{ value is odd }}", "the test 'odd'"),
        ("{{ value.split(',') }}", "'('"),
        ("{{ value ** 2 }}", "'*'"),
        ("{{ value_json. }}", "no name"),
        ("{{ }}", "an incomplete expression"),
        ("{{ 'open }}", '"\'open"'),
        ("{% if value %}x", "a condition without its end"),
        ("x{% endif %}", "the statement 'endif'"),
        ("{{ " + "(" * 50 + "1" + ")" * 50 + " }}", "too deeply nested"),
        ("{{ " + "not " * 1000 + "1 }}", "too deeply nested"),
        ("{% if 1 %}" * 50, "too many nested conditions"),
        ("x" * 5000, "more than 4096 characters"),
    ],
)
def test_an_unsupported_part_is_named(template, problem):
    with pytest.raises(UnsupportedTemplate, match="in the template") as caught:
        Template(template)
    assert problem in caught.value.problem


def test_a_result_is_bounded():
    assert len(Template("{{ value }}").render("x" * 100_000)) == 65_536


@pytest.mark.parametrize(
    ("template", "result"),
    [
        ("a {{- value -}} b", "aHib"),
        ("{%if value%}yes{%endif%}", "yes"),
        ("{% if\nvalue %}yes{% endif %}", "yes"),
        ("{{ '}' }} } {", "} } {"),
    ],
)
def test_white_space_is_removed_as_by_jinja(template, result):
    assert Template(template).render("Hi") == result


def test_a_template_can_calculate_with_a_sent_number():
    assert Template("{{ value * 10 }}").render(2.5) == "25.0"
    assert Template('{"level": {{ value | int }}}').render(3.0) == '{"level": 3}'
    assert Template("{{ value_json }}").render(3) == "3"


@pytest.mark.parametrize(
    "template",
    [
        "{{ " + " ~ ".join(["value"] * 500) + " }}",
        "{{ value" + f" | replace('x', '{'x' * 90}')" * 10 + " }}",
        "{{ value | replace('', '" + "y" * 3000 + "') }}",
        "{{ [" + ",".join(["value"] * 500) + "] | tojson }}",
        "{{ [" + ",".join(["value"] * 50) + "] | join(value) }}",
        "{% if " + " or ".join(["'y' in value"] * 200) + " %}a{% endif %}",
        "{{ " + "1+" * 2000 + "1 }}",
    ],
)
def test_a_template_that_explodes_fails(template):
    with pytest.raises(TemplateFailed):
        Template(template).render("x" * 60_000)


@pytest.mark.parametrize(
    ("template", "problem"),
    [
        ("{{ value", "no '}}' after '{{'"),
        ("{{" * 2000, "no '}}' after '{{'"),
        ("{% if value", "no '%}' after '{%'"),
        ("{# comment", "no '#}' after '{#'"),
        ("{% %}", "the statement ''"),
        ("{% if %}x{% endif %}", "an incomplete expression"),
        ("{{ " + "- " * 1500 + "1 }}", "too deeply nested"),
        ("{{ " + "[" * 1000 + " }}", "too deeply nested"),
    ],
)
def test_a_template_that_does_not_end_is_named(template, problem):
    with pytest.raises(UnsupportedTemplate) as caught:
        Template(template)
    assert problem in caught.value.problem


@given(st.text("{}%#-'\" ()[]|.,:=+*/~<>abvalue_json01infelsd", max_size=60), st.text())
def test_any_text_is_a_template_or_an_error(template, payload):
    with contextlib.suppress(UnsupportedTemplate, TemplateFailed):
        assert isinstance(Template(template).render(payload), str)


TOKENS = "value value_json .a [0] ['a'] ( ) + - * / // % ~ == < in not and or if else is defined"
FILTERS = "|int |round(1) |lower |default('x') |tojson |first |join(',') |replace('a','b') |float"


@given(
    st.lists(st.sampled_from([*TOKENS.split(), *FILTERS.split(), "1", "'a'"]), max_size=12),
    st.sampled_from(["", "1", "[1, [2]]", '{"a": {"a": null}}', '"x"', "true", "1e300"]),
)
def test_any_sequence_of_words_is_a_template_or_an_error(tokens, payload):
    template = "{{ " + " ".join(tokens) + " }}"
    with contextlib.suppress(UnsupportedTemplate, TemplateFailed):
        assert isinstance(Template(template).render(payload), str)
