import functools

import pytest

from eshet.utils import RunSerially
from eshet_rules import rule
from eshet_rules.exceptions import RuleMisuse
from eshet_rules.rule import OnReload, Rule, collect_rules, main_rule


def test_a_rule_is_named_as_its_function_and_runs_in_a_task():
    @rule
    async def light():
        pass

    assert light.name == "light"
    assert light.strategy is None  # as is configured


def test_name_and_strategy_can_be_chosen():
    @rule(strategy=RunSerially(retry=True), name="hall light")
    async def light():
        pass

    assert light.name == "hall light"
    assert light.strategy == RunSerially(retry=True)


def test_empty_brackets_are_as_good_as_none():
    @rule()
    async def light():
        pass

    assert light == Rule("light", light.function)


async def test_a_rule_can_be_awaited_as_the_function_it_was():
    @rule
    async def light():
        return "set up"

    assert await light() == "set up"


def test_each_makes_a_rule_of_one_function_for_each_argument():
    with collect_rules() as rules:

        @rule.each("bath", ("hall", 3), strategy=RunSerially(), on_reload="restart")
        async def light(room, lamps=1):
            pass

    assert list(rules) == ["light[bath]", "light[hall, 3]"]
    assert rules["light[hall, 3]"].args == ("hall", 3)
    assert light["bath"] is rules["light[bath]"]
    assert {each.strategy for each in rules.values()} == {RunSerially()}
    assert {each.on_reload for each in rules.values()} == {OnReload.RESTART}


async def test_a_rule_of_each_can_be_awaited_with_what_it_is_given_by_name():
    @rule.each("bath")
    async def light(room, log):
        return room, log

    assert await light["bath"](log="a log") == ("bath", "a log")
    assert light["bath"].asks_for == ["log"]


def test_a_module_may_have_its_main_as_its_only_rule():
    async def main(client):
        pass

    main.__module__ = "hall"
    assert main_rule({"main": main}, "hall").name == "main"
    assert main_rule({"main": main}, "bath") is None  # it was imported
    assert main_rule({"main": lambda: None}, "hall") is None
    assert main_rule({}, "hall") is None


def test_rules_are_collected_in_the_order_of_making():
    with collect_rules() as rules:
        for name in ("b", "a"):

            @rule(name=name)
            async def light():
                pass

    assert list(rules) == ["b", "a"]


def test_rules_made_while_others_are_collected_belong_to_the_inner_ones():
    with collect_rules() as outer, collect_rules() as inner:

        @rule
        async def light():
            pass

    assert outer == {}
    assert list(inner) == ["light"]


def test_two_rules_of_one_name_are_refused():
    with collect_rules():
        rule(coroutine_function)
        with pytest.raises(RuleMisuse, match="named 'coroutine_function'"):
            rule(coroutine_function)


async def coroutine_function():
    pass


async def asks(client, *, light, lamp, optional=1):
    pass


async def yields():
    yield


class Lamp:
    async def light(self):
        pass


@pytest.mark.parametrize(
    ("misuse", "advice"),
    [
        (lambda: rule(RunSerially()), r"write @rule\(strategy=RunSerially\("),
        (lambda: rule(strategy=RunSerially), r"write strategy=RunSerially\(\)"),
        (lambda: rule(strategy="serially"), r"write strategy=RunSerially\(retry=True\)"),
        (lambda: rule(name=""), "write a text"),
        (lambda: rule(name=7), "write a text"),
        (lambda: rule(name="a\nb"), "write a text"),
        (lambda: rule(lambda: None), "async def"),
        (lambda: rule(yields), "rule yields has a `yield`"),
        (
            lambda: rule(asks),
            r"has unknown parameters: light, lamp\. .*`client`, the module's .*; `config`, ",
        ),
        (lambda: rule(on_reload="stop"), 'write "hand over" or "restart"'),
        (lambda: rule.each()(coroutine_function), r'write @rule.each\("bath"\)'),
        (lambda: rule.each(coroutine_function), r'write @rule.each\("bath"\)'),
        (lambda: rule.each("bath")(coroutine_function), "give it a parameter for each"),
        (lambda: rule(Lamp), "is not a function"),
        (lambda: rule(functools.partial(asks, 1, log=2)), "is not a function"),
        (lambda: rule(rule(coroutine_function)), "write @rule once"),
        (lambda: rule(strategie=1), "no argument `strategie`: did you mean `strategy`"),
        (lambda: rule(retries=1), "no argument `retries`: Its arguments are strategy, name, on_re"),
        (lambda: rule.each("hall", on_relaod="restart"), "did you mean `on_reload`"),
        (lambda: rule.each("hall", name="light"), "Its arguments are strategy, on_reload$"),
    ],
)
def test_wrong_use_is_an_error_that_says_what_to_write(misuse, advice):
    with pytest.raises(RuleMisuse, match=advice):
        misuse()


def test_misuse_is_a_type_error_too():
    with pytest.raises(TypeError):
        rule(strategy=1)
