"""The answers on the page about a night are real; run this file to write them anew."""

import re
from pathlib import Path
from types import ModuleType

from eshet_rules.testing.house import House

PAGE = Path(__file__).parents[2] / "docs" / "explanation" / "why.md"
_ANSWER = re.compile(r"(?:<!-- answer -->\n)|(?:^```console\n.*?^```\n)", re.MULTILINE | re.DOTALL)


def rules_of_page():
    [text] = re.findall(r"^```python\n(.*?)^```$", PAGE.read_text(), re.MULTILINE | re.DOTALL)
    module = ModuleType("night")
    code = compile(text, str(PAGE.parent / "night.py"), "exec")
    exec(code, module.__dict__)  # noqa: S102 - the rules of the page
    return [module.hall_light, module.way_out, module.heating, module.door]


async def night(house):
    """Live the night, and return the questions with their answers."""
    asked = []

    async def until(clock):
        hours, minutes = map(int, clock.split(":"))
        now = house.now
        wanted = hours * 60 + minutes - now.hour * 60 - now.minute
        await house.advance(minutes=wanted % (24 * 60), seconds=-now.second)

    def ask(command, answer):
        asked.append(f"$ eshet-rules {command}\n{answer}\n")

    house.at("2026-11-25 22:00", tz="Europe/Berlin")
    house.device("/hall/light", 0)
    house.device("/living/valve", False)
    house.action("/notify/phone")
    lux = house.device("/hall/lux", 80, settable=False)
    house.device("/hall/smoke", False, settable=False)
    temperature = house.device("/living/temperature", 20.5, settable=False)
    window = house.device("/living/window", False, settable=False)
    front = house.device("/door/open", False, settable=False)
    for each in rules_of_page():
        await house.rule(each)

    await until("22:05")
    await house.emit("/hall/motion", "Anna")
    await house.advance(10)
    ask("why-not /hall/light --is 100", house.why_not("/hall/light", 100))
    await until("22:30")
    await lux.report(5)
    await until("22:40")
    await house.emit("/hall/motion", "Ben")
    await house.advance(10)
    ask("why /hall/light", house.why("/hall/light"))
    await until("22:41")
    await house.set("/hall/light", 30)
    await until("22:50")
    await house.emit("/hall/motion", "Ben")
    await house.advance(10)
    ask("why /hall/light", house.why("/hall/light"))
    await until("23:15")
    await window.report(True)
    await until("02:00")
    await front.report(True)
    await until("02:12")
    ask("why /notify/phone", house.why("/notify/phone"))
    await front.report(False)
    await temperature.report(16.5)
    await until("03:00")
    ask("why /living/valve", house.why("/living/valve"))
    ask("why-not /living/valve --is true", house.why_not("/living/valve", True))
    return asked


def answers():
    with House([PAGE.parent]) as house:
        found = house.run(night(house))
        assert house.errors == []
    return [re.sub(r"\((\w+\.py:\d+), version \w+\)", r"(\1)", each) for each in found]


def test_the_answers_of_the_page_are_real():
    shown = re.findall(r"^```console\n(.*?)^```$", PAGE.read_text(), re.MULTILINE | re.DOTALL)
    assert shown == answers()


if __name__ == "__main__":
    blocks = iter(answers())
    PAGE.write_text(_ANSWER.sub(lambda _: f"```console\n{next(blocks)}```\n", PAGE.read_text()))
