"""The page of a runner of a cluster, in Chromium: it shows what all runners know."""

import re
import signal

import pytest

from tests.support.cluster_pair import pair
from tests.support.nats import nats_program, nats_server
from tests.web.support.house import CHROMIUM

try:
    from playwright.sync_api import expect, sync_playwright
except ModuleNotFoundError:
    pytest.skip("playwright is not installed", allow_module_level=True)
if CHROMIUM is None:
    pytest.skip("Chromium is not installed", allow_module_level=True)

PATIENCE = 10_000
"""Milliseconds to wait for what the page shows."""

expect.set_options(timeout=PATIENCE)


@pytest.fixture(scope="module")
def house(tmp_path_factory):
    place = tmp_path_factory.mktemp("house")
    with nats_server(place / "nats", nats_program()) as nats, pair(nats, place, ttl=15) as house:
        yield house


@pytest.fixture
def page():
    """A tab in which no script may fail."""
    errors = []
    with sync_playwright() as playwright:
        browser = playwright.chromium.launch(executable_path=CHROMIUM, args=["--no-sandbox"])
        page = browser.new_page()
        page.set_default_timeout(PATIENCE)
        page.on("pageerror", lambda error: errors.append(str(error)))
        yield page
        browser.close()
    assert errors == []


def section(page, title):
    heading = page.get_by_role("heading", name=title)
    return page.locator("section").filter(has=heading)


def test_rules_of_other_runners_are_explained_and_found(page, house):
    page.goto(f"{house.page}/#/path/lamp")
    why = section(page, "Why")
    expect(why).to_contain_text("published by lamp.follow at cellar")
    expect(why).to_contain_text("published by hall.follow at attic")
    expect(section(page, "Written by")).to_contain_text("lamp.follow at cellar")
    expect(section(page, "Read by")).to_contain_text("No rule of the cluster reads it.")
    section(page, "Written by").get_by_role("link", name="lamp.follow").click()
    expect(page.get_by_role("heading", level=1)).to_have_text("lamp.follow")
    expect(page.get_by_text("The runner cellar of the cluster runs it.")).to_be_visible()
    expect(page.get_by_text("It has no page that other machines can open.")).to_be_visible()
    expect(section(page, "Reads")).to_contain_text("/hall")
    expect(section(page, "Why")).to_contain_text("published by lamp.follow at cellar")
    expect(page.get_by_role("button", name="Disable")).to_have_count(0)
    page.goto(f"{house.page}/#/rules/lamp.folow")
    expect(page.get_by_text("there is no rule and no module")).to_be_visible()


def test_a_runner_that_does_not_answer_is_named_above_the_answer(page, house):
    house.cellar.process.send_signal(signal.SIGSTOP)
    try:
        page.goto(f"{house.page}/#/path/hall")
        gap = "this is without what the runner cellar knows: it does not answer, and runs lamp"
        why = section(page, "Why")
        expect(why).to_contain_text(gap)
        expect(why).to_contain_text("published by hall.follow at attic")
        expect(section(page, "Written by")).to_contain_text(re.compile("hall.follow at attic"))
    finally:
        house.cellar.process.send_signal(signal.SIGCONT)
