"""Templates that jinja2 evaluates, in a process that may be ended."""

import asyncio
import os
import signal

import pytest

from eshet.bridges.mqtt.templates import (
    JinjaTemplates,
    MissingValue,
    Template,
    TemplateFailed,
    UnsupportedTemplate,
    installed_jinja,
)
from tests.support.bridged import bridged_house
from tests.support.waiting import passing_time, until

LOOP = (
    "{% set n = namespace(sum=0) %}"
    "{% for x in value_json %}{% set n.sum = n.sum + x %}{% endfor %}{{ n.sum }}"
)
ENDLESS = "{% for x in range(99999) %}{% for y in range(99999) %}{% endfor %}{% endfor %}"


@pytest.fixture
async def render(advance):
    """Evaluate one template for a payload; an error is raised."""
    jinja = JinjaTemplates()

    async def render(template, value="5"):
        jinja.check(template)
        result = (await passing_time(jinja.render([template], value), advance, 0))[template]
        if isinstance(result, TemplateFailed):
            raise result
        return result

    render.jinja = jinja
    yield render
    await passing_time(jinja.close(), advance, 0)


async def test_loops_and_variables_are_evaluated(render):
    assert await render(LOOP, "[1, 2, 3.5]") == "6.5"


@pytest.mark.parametrize(
    ("template", "value", "text"),
    [
        ("{% set x = value_json.a %}{{ x | float }}", '{"a": "1.5"}', "1.5"),
        ("{% set x = 1 %}{{ value_json.b | default('none') }}", "{}", "none"),
        ("{% set x = 1 %}{% if value_json.a.b %}yes{% else %}no{% endif %}", '{"a": {}}', "no"),
        ("{% set x = 1 %}{{ value_json }}", 21.5, "21.5"),
        ("{% set x = value_json.b | bool %}{{ x | iif('an', 'aus') }}", '{"b": "off"}', "aus"),
        ("{% set x = value_json %}{{ x | tojson }}", '{"a": "<"}', '{"a": "<"}'),
        ("{% set x = '{}' | from_json %}{{ x.a is defined }} ", "", "False"),
        ("{% set x = value | int(default=7) %}{{ x }}", "x", "7"),
        ("{% set x = 'a\\nb' %}{{ x }}", "ä\n\u2028", "a\nb"),
        ("{% set x = value %}{{ x }}", "ä\n\u2028b", "ä\n\u2028b"),
    ],
)
async def test_filters_and_variables_are_as_in_our_own_templates(render, template, value, text):
    with pytest.raises(UnsupportedTemplate):
        Template(template)
    assert await render(template, value) == text


@pytest.mark.parametrize(
    "template",
    ["{{ value_json.a }}", "{{ value_json.a.b }}", "{{ value_json.a | is_defined }}"],
)
async def test_a_value_that_the_payload_lacks_is_missing(render, template):
    with pytest.raises(MissingValue, match="'a'"):
        await render("{% set x = 1 %}" + template, "{}")
    with pytest.raises(MissingValue):
        await render("{% set x = 1 %}" + template, "not JSON")


@pytest.mark.parametrize(
    ("template", "problem"),
    [
        ("{{ 1 // 0 }}", "ZeroDivisionError"),
        ("{{ value | float }}", "ValueError"),
        ("{{ value.__class__.__mro__ }}", "SecurityError"),
        ("{{ value_json.append(5) }}", "SecurityError"),
        ("{{ range(10**9) | list }}", "OverflowError"),
        ("{{ 'x' * 10**10 }}", "MemoryError"),
    ],
)
async def test_an_evaluation_that_fails_is_an_error(render, template, problem):
    for _ in range(2):
        with pytest.raises(TemplateFailed, match=problem):
            await render(template, '["x"]')
    assert await render(LOOP, "[1]") == "1"


@pytest.mark.parametrize(
    "template", [ENDLESS, "{{ 9 ** (9 ** (9 ** 9)) }}", "{{ value_json ** (10 ** 9) }}"]
)
async def test_a_template_that_does_not_end_is_ended_and_not_evaluated_again(
    render, template, advance
):
    both = [LOOP, template, "{{ value }}"]
    results = await passing_time(render.jinja.render(both, "5"), advance, 0)
    assert results["{{ value }}"] == "5"
    process = render.jinja._process
    with pytest.raises(TemplateFailed, match="too much time or memory"):
        await render(template)
    assert await render("{{ value }}") == "5"
    assert render.jinja._process is process  # it was not needed for the refusal


@pytest.mark.parametrize(
    ("template", "problem"),
    [
        ("{% for x in value %}", "Unexpected end of template"),
        ("{{ states('sensor.x') }}", "the variable 'states'"),
        ("{{ value | regex_replace('a', 'b') }}", "the filter 'regex_replace'"),
        ("{{ value is odder }}", "the test 'odder'"),
        ("{{ lipsum() }}", "the variable 'lipsum'"),
        ("{{ [1, 2] | random }}", "the filter 'random'"),
        ("{{ " + "(" * 2000 + "1" + ")" * 2000 + " }}", "recursion"),
        ("x" * 5000, "more than 4096 characters"),
    ],
)
async def test_a_template_that_needs_more_is_refused(render, template, problem):
    with pytest.raises(UnsupportedTemplate, match=problem):
        render.jinja.check(template)


async def test_a_check_does_not_evaluate(render):
    render.jinja.check("{{ 9 ** (9 ** (9 ** 9)) }}")


async def test_results_do_not_mix_when_an_evaluation_is_cancelled(render, advance):
    assert await render("{{ value }}", "1") == "1"
    cancelled = asyncio.ensure_future(render.jinja.render([LOOP], "[2]"))
    await asyncio.sleep(0)
    cancelled.cancel()
    assert await render("{{ value }}", "3") == "3"
    assert cancelled.cancelled()


async def test_the_process_starts_again_after_somebody_has_ended_it(render, advance):
    assert await render("{{ value }}", "1") == "1"
    process = render.jinja._process
    os.kill(process.pid, signal.SIGKILL)
    await until(lambda: process.returncode is not None, advance)
    assert await render("{{ value }}", "2") == "2"


async def test_a_process_that_can_not_start_is_an_error(render, monkeypatch):
    monkeypatch.setattr("sys.executable", "/nowhere/python")
    with pytest.raises(TemplateFailed, match="can't start jinja2"):
        await render("{{ value }}")


async def test_a_process_that_ends_at_once_is_an_error(render, monkeypatch):
    monkeypatch.setattr("sys.executable", "/bin/false")
    with pytest.raises(TemplateFailed, match="jinja2 does not start"):
        await render("{{ value }}")


# --- devices ----------------------------------------------------------------------------------


def sum_of(topic="node/t", **more):
    device = {"ids": "node-1", "name": "Node"}
    return {"name": "Sum", "stat_t": topic, "unit_of_meas": "W", "dev": device, **more}


async def settled(house, topic):
    """Let the process answer, until the messages of a topic are handled."""
    await until(
        lambda: (
            not any(
                each.queue_of(topic).is_busy or each.queue_of(topic)
                for each in house.bridge.connection._receiver._by_topic.get(topic, ())
            )
        ),
        house.advance,
    )
    await house.settle()


async def announce(house, topic, config):
    await house.publish(f"homeassistant/{topic}/config", config, retained=True)


async def test_a_device_with_such_a_template_is_read_and_the_template_named(house, caplog):
    await announce(house, "sensor/s", sum_of(val_tpl=LOOP))
    await announce(house, "sensor/p", sum_of("node/p", name="Plain", val_tpl="{{ value }}"))
    await house.publish("node/t", [1, 2, 3])
    await settled(house, "node/t")
    assert await house.get("Node/Sum") == 6
    info = await house.get("Node/info")
    assert info["jinja"] == ["sensor/s"]
    assert "unread" not in info
    assert caplog.messages == []


async def test_values_and_events_of_a_topic_keep_their_order(house):
    event = {"p": "event", "name": "Button", "stat_t": "node/t", "dev": sum_of()["dev"]}
    template = '{% set x = value_json %}{"event_type": "{{ x[0] }}"}'
    await announce(house, "sensor/s", sum_of(val_tpl=LOOP))
    await announce(house, "event/b", {**event, "val_tpl": template, "event_types": list("0123456")})
    await house.listen("Node/Button")
    await house.hear("Node/Sum")
    for number in range(7):
        await house.publish("node/t", [number])
    await settled(house, "node/t")
    values = [value for path, value in house.heard if path == "Node/Sum"]
    texts = [value for path, value in house.heard if path == "Node/Button"]
    assert values == [0, 1, 2, 3, 4, 5, 6]
    assert len(texts) == 7


async def test_a_template_that_does_not_end_delays_no_other_topic(house, caplog):
    await announce(house, "sensor/s", sum_of(val_tpl=ENDLESS))
    await announce(house, "sensor/p", sum_of("node/p", name="Plain", val_tpl="{{ value }}"))
    await house.publish("node/t", "1")
    await house.publish("node/p", "7")
    assert await house.get("Node/Plain") == 7
    await settled(house, "node/t")
    await house.publish("node/t", "2")
    await settled(house, "node/t")
    assert await house.get("Node/Sum") == "state_unknown"
    assert len(caplog.messages) == 1
    assert "it takes too much time or memory" in caplog.text


async def test_a_command_and_the_availability_have_such_templates(house):
    command = "{% set x = value + 1 %}{{ x }}"
    availability = "{% set x = value %}{{ x }}"
    number = sum_of(
        cmd_t="node/set", cmd_tpl=command, avty_t="node/a", avty_tpl=availability, max=100
    )
    await announce(house, "number/n", number)
    await house.publish("node/a", "online")
    await settled(house, "node/a")
    assert await house.get("Node/online") is True
    await passing_time(house.set("Node/Sum", 5), house.advance, 0)
    assert house.sent == [("node/set", 6)]


async def test_an_entity_that_is_removed_meanwhile_has_no_effect(house):
    await announce(house, "sensor/s", sum_of(val_tpl=LOOP))
    await house.publish("node/t", [1])
    await announce(house, "sensor/s", "")
    await settled(house, "node/t")
    assert await house.get("Node/Sum") == "path_not_found"


async def test_such_a_template_is_not_read_without_the_extra(advance, monkeypatch, caplog):
    monkeypatch.setattr("importlib.util.find_spec", lambda name: None)
    assert installed_jinja() is None
    async with bridged_house(advance) as house:
        await announce(house, "sensor/s", sum_of(val_tpl=LOOP))
        assert "the statement 'set'" in (await house.get("Node/info"))["unread"][0]
    [message] = caplog.messages
    assert message.endswith("pip install 'eshet-rules[jinja]'")
