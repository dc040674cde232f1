"""The page of a running runner, in Chromium: what a person sees, and what clicks do."""

import json
import re
from contextlib import contextmanager
from pathlib import Path

import pytest

from eshet.gateway.tokens import Scope
from tests.web.support.house import CHROMIUM, house

try:
    from playwright.sync_api import expect, sync_playwright
except ModuleNotFoundError:
    pytest.skip("playwright is not installed", allow_module_level=True)
if CHROMIUM is None:
    pytest.skip("Chromium is not installed", allow_module_level=True)

HERE = Path(__file__).parent
AXE = HERE / "vendor" / "axe.min.js"
SCREENSHOTS = HERE.parents[1] / "build" / "screenshots"
PATIENCE = 10_000
"""Milliseconds to wait for what the page shows."""

expect.set_options(timeout=PATIENCE)

VIEWS = {
    "overview": ("#/", "Overview"),
    "rules": ("#/rules", "Rules"),
    "rule": ("#/rules/hall.hall_light", "hall.hall_light"),
    "failed": ("#/rules/garden.irrigation", "garden.irrigation"),
    "paths": ("#/paths", "Paths"),
    "directory": ("#/paths/house/hall", "/house/hall"),
    "path": ("#/path/house/hall/light", "/house/hall/light"),
    "numbers": ("#/path/house/hall/lux?range=1h", "/house/hall/lux"),
    "missing": ("#/path/house/hall/lihgt", "/house/hall/lihgt"),
    "trail": ("#/trail?rule=hall.*", "Trail"),
    "devices": ("#/bridges", "Devices and bridges"),
    "versions": ("#/versions", "Versions"),
    "module": ("#/versions/hall", "hall"),
    "search": ("#/search?q=light", "Search: light"),
    "nothing": ("#/no_such_view", "Not found"),
}


@pytest.fixture(scope="module")
def browser():
    with sync_playwright() as playwright:
        browser = playwright.chromium.launch(executable_path=CHROMIUM, args=["--no-sandbox"])
        yield browser
        browser.close()


@pytest.fixture(scope="module")
def home(tmp_path_factory):
    with house(tmp_path_factory.mktemp("house")) as home, home.running():
        home.devices.event_emit("/house/hall/motion", "cat")
        for number in range(20):
            home.change("/house/hall/lux", 20 + number % 7 * 2.5)
        home.change("/house/hall/light", 30)
        yield home


@pytest.fixture
def page(browser, home):
    """A tab with nothing in it, in which no error may occur."""
    with tab(browser) as page:
        yield page


@contextmanager
def tab(browser, *, refuses=()):
    """Open a tab; the test fails if a script fails or the browser refuses something.

    Args:
        browser: the browser.
        refuses: parts of the errors that are meant to occur.
    """
    errors = []

    def log(message):
        if message.type == "error" and not any(each in message.text for each in refuses):
            errors.append(message.text)

    size = {"width": 1280, "height": 900}
    context = browser.new_context(viewport=size, reduced_motion="reduce")
    try:
        page = context.new_page()
        page.set_default_timeout(PATIENCE)
        page.on("pageerror", lambda error: errors.append(str(error)))
        page.on("console", log)
        yield page
    finally:
        context.close()
    assert errors == []


def visit(page, home, view):
    """Open a view, and wait until all of it is there."""
    page.goto("about:blank")  # also if only the hash is another one
    page.goto(f"{home.url}/{view}".replace("//#", "/#"))
    page.get_by_role("heading", level=1).wait_for()
    expect(page.get_by_text("Loading…")).to_have_count(0)
    expect(page.get_by_text("Drawing…")).to_have_count(0)


def sign_in(page, home, token=None):
    visit(page, home, "#/")
    page.get_by_role("banner").get_by_role("button", name="Sign in").click()
    dialog = page.get_by_role("dialog")
    dialog.get_by_label("Token").fill(token or home.token)
    dialog.get_by_role("button", name="Sign in").click()
    page.get_by_role("button", name="Sign out").wait_for()


def width_of(page):
    return page.evaluate("document.documentElement.scrollWidth")


def findings_of_axe(page):
    """What axe-core has to say about the page, in short."""
    page.evaluate(AXE.read_text("utf-8"))  # not as a script of the page, which would be refused
    result = page.evaluate("axe.run(document, {resultTypes: ['violations']})")
    return [
        (finding["id"], finding["help"], [node["html"][:200] for node in finding["nodes"][:3]])
        for finding in result["violations"]
    ]


@pytest.mark.parametrize("name", VIEWS)
def test_a_view_is_complete_accessible_and_fits_all_screens(page, home, name):
    SCREENSHOTS.mkdir(parents=True, exist_ok=True)
    view, heading = VIEWS[name]
    visit(page, home, view)

    expect(page.get_by_role("heading", level=1)).to_have_text(heading)
    expect(page).to_have_title(re.compile("eshet-rules$"))
    for scheme in ("light", "dark"):
        page.emulate_media(color_scheme=scheme)
        page.screenshot(path=SCREENSHOTS / f"{name}-{scheme}.png", full_page=True)
        assert findings_of_axe(page) == [], scheme
    for width in (320, 1920):
        page.set_viewport_size({"width": width, "height": 900})
        page.screenshot(path=SCREENSHOTS / f"{name}-{width}.png", full_page=True)
        assert width_of(page) <= width
    page.set_viewport_size({"width": 320, "height": 900})
    assert findings_of_axe(page) == [], "on a phone"


def test_dark_is_dark(page, home):
    visit(page, home, "#/")
    ground = "getComputedStyle(document.documentElement).backgroundColor"
    page.emulate_media(color_scheme="light")
    assert page.evaluate(ground) == "rgb(245, 246, 247)"
    page.emulate_media(color_scheme="dark")
    assert page.evaluate(ground) == "rgb(15, 18, 21)"


def test_the_overview_begins_with_the_worst_problems(page, home):
    visit(page, home, "#/")

    problems = page.get_by_role("table", name="Problems").get_by_role("row")
    expect(problems.nth(1)).to_contain_text("not loaded")
    expect(problems.nth(2)).to_contain_text("garden.irrigation")
    problems.nth(2).get_by_role("link").click()
    expect(page.get_by_role("heading", level=1)).to_have_text("garden.irrigation")


def test_a_failed_rule_shows_its_source_with_the_line_that_has_failed(page, home):
    visit(page, home, "#/rules/garden.irrigation")

    line = page.locator(".line.failing")
    expect(line).to_contain_text("state_regster")
    expect(line).to_contain_text("failed here")
    expect(line).to_have_attribute("data-line", "8")


def test_values_change_while_they_are_on_the_screen(page, home):
    visit(page, home, "#/path/house/bath/humidity")
    value = page.locator(".now-big .live")
    expect(value).to_have_text("61")
    home.change("/house/bath/humidity", 62.5)
    expect(value).to_have_text("62.5")

    visit(page, home, "#/paths/house/kitchen")
    row = page.get_by_role("row", name="energy")
    home.change("/house/kitchen/energy", {"total": 99})
    expect(row).to_contain_text('{"total": 99}')


def test_the_page_catches_up_when_the_runner_is_back(browser, tmp_path):
    with house(tmp_path) as home, tab(browser, refuses=["WebSocket", "Failed to load"]) as page:
        with home.running():
            address = home.address
            visit(page, home, "#/path/house/bath/humidity")
            expect(page.locator(".now-big .live")).to_have_text("61")
            home.process.stop()
        expect(page.get_by_text("Connection lost since")).to_be_visible()
        page.get_by_role("button", name="6h").click()  # what can't be fetched now
        expect(page.get_by_role("button", name="6h", pressed=True)).to_be_visible()
        expect(page.get_by_text("the runner does not answer")).to_have_count(0)
        home.change("/house/bath/humidity", 44)
        with home.running(address):
            page.get_by_role("button", name="Try now").click()
            expect(page.get_by_text("Connection lost since")).to_have_count(0)
            expect(page.locator(".now-big .live")).to_have_text("44")
            home.change("/house/bath/humidity", 45)
            expect(page.locator(".now-big .live")).to_have_text("45")


def test_the_page_says_that_the_runner_has_lost_its_server(browser, tmp_path):
    with house(tmp_path) as home, home.running(), tab(browser, refuses=["Failed"]) as page:
        visit(page, home, "#/")
        home.stop_server()
        expect(page.get_by_text("The runner has no connection to its server.")).to_be_visible()


def test_a_page_that_may_not_be_read_asks_for_a_token(browser, home):
    asked = []

    def refuse(route):
        asked.append(route.request.url)
        route.fulfill(status=401, json={"error": "no_token", "message": "a token is needed"})

    with tab(browser, refuses=["401", "WebSocket"]) as page:
        page.route("**/api/1/**", refuse)
        page.route("**/access", lambda route: route.fulfill(json={"read": False, "act": False}))
        page.goto(home.url)
        expect(page.get_by_role("main").get_by_text("a token is needed")).to_be_visible()
        page.get_by_role("main").get_by_role("button", name="Sign in").click()
        expect(page.get_by_role("dialog", name="Sign in")).to_be_visible()
        assert len(asked) < 4


def focused(page):
    return page.evaluate(
        "(document.activeElement.getAttribute('aria-label') || document.activeElement.textContent)"
    )


def test_everything_can_be_reached_by_keyboard(page, home):
    visit(page, home, "#/")
    page.keyboard.press("Tab")
    assert focused(page) == "Skip to the content"
    page.keyboard.press("Enter")
    assert page.evaluate("document.activeElement.id") == "main"

    page.keyboard.press("/")
    assert focused(page) == "Search rules and paths"
    page.keyboard.type("heating")
    page.keyboard.press("Enter")
    expect(page.get_by_role("heading", level=1)).to_be_focused()
    while "hall.hall_heating" not in focused(page):
        page.keyboard.press("Tab")
    page.keyboard.press("Enter")
    expect(page.get_by_role("heading", level=1)).to_have_text("hall.hall_heating")
    expect(page.get_by_role("heading", level=1)).to_be_focused()
    expect(page).to_have_title(re.compile("^hall.hall_heating"))


def test_tab_goes_through_a_view_and_out_again(page, home):
    visit(page, home, "#/rules/hall.hall_light")
    seen = set()
    for _ in range(200):
        page.keyboard.press("Tab")
        if page.evaluate("document.activeElement === document.body"):
            break
        seen.add(page.evaluate("document.activeElement.outerHTML"))
    else:
        pytest.fail("the focus does not leave the page")
    assert len(seen) > 20


def test_a_dialog_closes_with_escape_and_gives_the_focus_back(page, home):
    visit(page, home, "#/rules")
    button = page.get_by_role("button", name="Actions of hall.hall_light")
    button.focus()
    page.keyboard.press("Enter")
    expect(page.get_by_role("dialog", name="hall.hall_light")).to_be_visible()
    page.keyboard.press("Escape")
    expect(page.get_by_role("dialog")).to_have_count(0)
    expect(button).to_be_focused()


def test_rules_are_filtered_and_sorted(page, home):
    visit(page, home, "#/rules")
    names = page.locator("tbody th")
    expect(names.first).to_contain_text("garden.irrigation")

    page.get_by_role("button", name="Rule", exact=True).click()
    expect(names.first).to_contain_text("garden.fountain")
    page.get_by_role("button", name="Rule", exact=True).click()
    expect(names.first).to_contain_text("hall.hall_light")
    expect(page.locator("th[aria-sort=descending]")).to_have_text("Rule")

    page.get_by_label("Name or path").fill("hall.hall")
    expect(names).to_have_count(3)
    page.get_by_label("State").select_option("failed")
    expect(page.get_by_text("No rule matches.")).to_be_visible()
    assert page.url.endswith("#/rules?search=hall.hall&state=failed")


def test_nothing_can_be_changed_without_a_token(page, home):
    visit(page, home, "#/rules/hall.hall_light")

    expect(page.get_by_role("button", name="Disable")).to_have_count(0)
    page.get_by_role("button", name="Sign in to control it").click()
    expect(page.get_by_role("dialog")).to_contain_text("eshet-rules web token --act")


def test_a_wrong_token_is_refused_in_the_words_of_the_runner(browser, home):
    with tab(browser, refuses=["401", "403", "429"]) as page:
        visit(page, home, "#/")
        page.get_by_role("banner").get_by_role("button", name="Sign in").click()
        page.get_by_label("Token").fill("wrong")
        page.get_by_role("dialog").get_by_role("button", name="Sign in").click()
        expect(page.get_by_role("dialog").get_by_role("alert")).to_contain_text("token")


def test_a_token_for_reading_does_not_pass_for_one_that_acts(page, home):
    visit(page, home, "#/rules/hall.hall_light")
    page.get_by_role("button", name="Sign in to control it").click()
    dialog = page.get_by_role("dialog")
    expect(dialog).to_contain_text(f"eshet-rules web token --act --rules {home.folder.path}")
    dialog.get_by_label("Token").fill(home.reading_token)
    dialog.get_by_role("button", name="Sign in").click()
    expect(dialog.get_by_role("alert")).to_contain_text("only for reading")
    dialog.get_by_label("Token").fill(home.token)
    dialog.get_by_role("button", name="Sign in").click()
    expect(page.get_by_role("button", name="Disable")).to_be_visible()


def test_a_rule_is_disabled_enabled_restarted_and_reloaded_by_clicks(page, home):
    sign_in(page, home)
    visit(page, home, "#/rules/hall.hall_heating")
    state = page.locator(".view-title .status")

    page.get_by_role("button", name="Disable").click()
    expect(state).to_have_text("disabled")
    expect(page.get_by_text("Strategy")).to_have_count(0)
    page.get_by_role("button", name="Enable").click()
    expect(state).to_have_text("running")
    expect(page.get_by_text("Strategy")).to_be_visible()
    page.get_by_role("button", name="Restart…").click()
    page.get_by_role("dialog").get_by_role("button", name="Restart").click()
    expect(page.get_by_role("dialog")).to_have_count(0)
    page.get_by_role("button", name="Reload").click()
    home.process.wait_for("page.acted", action="disable", subject="hall.hall_heating")
    home.process.wait_for("page.acted", action="enable")
    home.process.wait_for("page.acted", action="restart")
    home.process.wait_for("page.acted", action="reload")


BLINDS = """\
from eshet_rules import rule


@rule
async def up():
    height = {}
"""


def test_a_module_with_a_mistake_shows_it_beside_its_versions(page, home):
    home.folder.write("lamp.py", "level = 2O\n")
    home.process.wait_for("module.import_failed", module="lamp")
    visit(page, home, "#/")
    page.get_by_role("link", name="lamp", exact=True).click()
    expect(page.get_by_text("invalid decimal literal")).to_be_visible()
    home.folder.remove("lamp.py")
    expect(page.get_by_text("invalid decimal literal")).to_have_count(0)


def test_a_module_is_rolled_back_by_clicks(page, home):
    home.folder.write("blinds.py", BLINDS.format(1))
    home.process.wait_for("module.loaded", module="blinds")
    home.folder.write("blinds.py", BLINDS.format(2))
    home.process.wait_for("module.reloaded", module="blinds")
    sign_in(page, home)
    visit(page, home, "#/versions/blinds")

    page.get_by_role("link", name="Compare").click()
    expect(page.locator(".diff .added")).to_contain_text("height = 2")
    page.get_by_role("button", name="Roll back…").click()
    dialog = page.get_by_role("dialog")
    dialog.get_by_label("Reason").fill("too bright")
    dialog.get_by_role("button", name="Roll back").click()
    expect(dialog).to_have_count(0)
    expect(page.get_by_text("rolled back")).to_be_visible()
    home.process.wait_for("module.rolled_back", why="too bright")


def test_a_token_that_was_removed_ends_what_the_page_may_do_and_it_says_so(browser, home):
    token = home.tokens.add("guest", Scope.ACT, 0)
    with tab(browser, refuses=["401"]) as page:
        sign_in(page, home, token)
        visit(page, home, "#/rules/hall.hall_light")
        home.tokens.remove("guest")
        page.get_by_role("button", name="Disable").click()
        expect(page.get_by_role("status").first).to_contain_text("Your token is not valid any more")
        page.get_by_role("button", name="Sign in to control it").click()
        page.get_by_label("Token").fill(home.token)
        page.get_by_role("dialog").get_by_role("button", name="Sign in").click()
        expect(page.get_by_role("button", name="Disable")).to_be_visible()
        expect(page.get_by_text("not valid any more")).to_have_count(0)


def test_a_refused_action_says_why_beside_its_button(browser, home):
    with tab(browser, refuses=["Failed to load resource"]) as page:
        sign_in(page, home)
        visit(page, home, "#/rules/garden.lamp")
        page.get_by_role("button", name="Reload").click()
        expect(page.locator(".actions").get_by_role("alert")).to_contain_text("failed in set-up")

        visit(page, home, "#/path/house/hall/dark")
        page.get_by_role("button", name="Set true").click()
        expect(page.locator("form.act").get_by_role("alert")).to_contain_text("/house/hall/dark")


def test_a_value_is_set_and_an_action_called(page, home):
    sign_in(page, home)
    visit(page, home, "#/path/house/hall/mode")
    page.get_by_label("New value").fill("day")
    expect(page.get_by_text('sends "day"')).to_be_visible()
    page.get_by_role("button", name="Set", exact=True).click()
    expect(page.locator(".now-big .live")).to_have_text('"day"')

    visit(page, home, "#/path/house/hall/ring")
    page.get_by_label("Arguments").fill('2, "long"')
    page.get_by_role("button", name="Call").click()
    expect(page.get_by_text("rung (2, 'long')")).to_be_visible()


def test_an_override_is_shown_and_released(page, home):
    home.change("/house/hall/light", 31)
    sign_in(page, home)
    visit(page, home, "#/path/house/hall/light")

    expect(page.get_by_text("A person has set 31")).to_be_visible()
    page.get_by_role("button", name="Let the rules decide").click()
    expect(page.get_by_text("A person has set")).to_have_count(0)


def test_why_and_why_not_answer(page, home):
    visit(page, home, "#/path/house/hall/dark")
    answer = page.locator(".why li")
    expect(answer.first).to_contain_text("/house/hall/dark = ")

    page.get_by_role("button", name="Why not another").click()
    expect(answer.first).to_contain_text("/house/hall/dark is")
    expect(page.get_by_text("eshet-rules why-not /house/hall/dark")).to_be_visible()
    page.get_by_role("textbox", name="Wanted value").fill("True")
    page.get_by_role("button", name="Ask").click()
    expect(answer.first).to_contain_text("for True:")
    page.get_by_role("button", name="Why this value").click()
    page.get_by_role("textbox", name="At").fill("tomorrowish")
    page.get_by_role("button", name="Ask").click()
    expect(page.get_by_text("“tomorrowish” is no time")).to_be_visible()


def test_a_graph_is_a_drawing_and_a_list(page, home):
    visit(page, home, "#/rules/hall.hall_light")
    expect(page.locator("svg.graph .node.rule")).to_have_count(2)
    page.get_by_text("The same as a list").click()
    items = page.locator(".graph-list > li")
    expect(items.filter(has_text="/house/hall/motion")).to_contain_text("leads to hall.hall_light")

    page.get_by_role("button", name="Inside").click()
    expect(page.locator("svg.graph .node.output")).to_have_count(1)
    expect(items.filter(has_text="hold at hall.py:14").first).to_be_attached()


def test_the_command_of_a_view_is_copied(page, home):
    page.context.grant_permissions(["clipboard-read", "clipboard-write"])
    visit(page, home, "#/rules?search=hall")
    page.get_by_role("button", name="Copy as command").click()
    expect(page.get_by_text("Copied")).to_be_visible()
    assert page.evaluate("navigator.clipboard.readText()") == "eshet-rules list '*hall*'"


@pytest.mark.parametrize(("motion", "count"), [("reduce", 0), ("no-preference", 1)])
def test_a_change_flashes_unless_less_motion_is_wanted(page, home, motion, count):
    page.emulate_media(reduced_motion=motion)
    visit(page, home, "#/path/house/bath/humidity")
    value = page.locator(".now-big .live")
    page.evaluate("flashes = 0; Element.prototype.animate = () => { flashes += 1; }; null")
    home.change("/house/bath/humidity", f"after {motion}")
    expect(value).to_have_text(f'"after {motion}"')
    assert page.evaluate("flashes") == count
    home.change("/house/bath/humidity", 61)
    expect(value).to_have_text("61")


def test_an_open_record_stays_open_when_records_are_fetched_again(page, home):
    home.change("/house/hall/temperature", 18.25)
    visit(page, home, "#/trail?path=/house/hall/temperature")
    record = page.locator("tr.record", has_text="18.25").first
    record.get_by_role("button", name="All fields").click()
    expect(page.locator(".fields")).to_contain_text('"value": 18.25')
    with page.expect_response(re.compile("/api/1/trail")):
        page.get_by_role("button", name="Follow").click()
    home.change("/house/hall/temperature", 18.5)
    expect(page.locator("tr.record").first).to_contain_text("18.5")
    expect(page.locator(".fields")).to_contain_text('"value": 18.25')


def test_the_trail_is_filtered_and_followed(page, home):
    visit(page, home, "#/trail")
    page.get_by_label("Path", exact=True).fill("/house/hall/temperature")
    page.get_by_role("button", name="Filter").click()
    records = page.locator("tr.record")
    expect(records.first).to_contain_text("/house/hall/temperature")
    page.get_by_role("button", name="Follow").click()
    home.change("/house/hall/temperature", 18.75)
    expect(records.first).to_contain_text("18.75")
    command = "eshet-rules audit --path /house/hall/temperature --follow"
    expect(page.locator(".view-head .command")).to_contain_text(command)

    records.first.get_by_role("button", name="All fields").click()
    expect(page.locator(".fields")).to_contain_text('"value": 18.75')
    page.locator(".fields").get_by_role("link", name="Everything with cause").click()
    expect(page).to_have_url(re.compile("cause="))


HOSTILE = "<img src=x onerror=alert(1)>\u202egnp.exe\x1b[31m"
VISIBLE = "<img src=x onerror=alert(1)>\\u202egnp.exe\\u001b[31m"


def test_hostile_texts_stay_text(browser, home):
    home.change("/house/hall/mode", HOSTILE)
    rule = f"from eshet_rules import rule\n\n\n@rule\nasync def bad():\n    {HOSTILE!r}.nothing\n"
    home.folder.write("hostile.py", rule)
    home.process.wait_for("module.loaded", module="hostile")
    asked = []
    with tab(browser, refuses=["404"]) as page:
        page.on("dialog", lambda dialog: asked.append(dialog.message))

        visit(page, home, "#/path/house/hall/mode")
        expect(page.locator(".now-big .live")).to_have_text(f'"{VISIBLE}"')
        visit(page, home, "#/rules/hostile.bad")
        expect(page.locator(".failing")).to_contain_text("onerror=alert(1)")
        visit(page, home, f"#/rules/{HOSTILE}")
        expect(page.get_by_role("main").get_by_role("alert")).to_contain_text("there is no rule")

        assert page.locator("img").count() == 0
        assert asked == []
    home.folder.remove("hostile.py")


def test_long_paths_and_long_words_are_no_wider_than_the_page(page, home):
    word = "</b>" + "W" * 300
    rule = f"""from eshet import yarp
from eshet_rules import rule


@rule
async def long():
    await yarp.state_register("/long/{"path_" * 60}", yarp.Value({word!r}))
    await yarp.state_register("/long/short", yarp.Value({word!r}))
"""
    home.folder.write("long.py", rule)
    home.process.wait_for("module.loaded", module="long")
    for view in ("#/rules/long.long", "#/path/long/short"):
        visit(page, home, view)
        expect(page.locator(".why")).to_contain_text("published by long.long")
        assert page.locator(".why a").filter(has_text="/b").count() == 0, "a text is no path"
        for width in (320, 1280):
            page.set_viewport_size({"width": width, "height": 900})
            assert width_of(page) <= width
    home.folder.remove("long.py")


def test_errors_of_a_running_rule_are_seen_on_a_phone(page, home):
    rule = """from eshet import yarp
from eshet_rules import rule


@rule
async def sets():
    await yarp.set_value("/long/absent", yarp.Value(1))
"""
    home.folder.write("sets.py", rule)
    home.process.wait_for("rule.failed", module="sets")
    page.set_viewport_size({"width": 360, "height": 760})
    visit(page, home, "#/rules?search=sets")
    expect(page.get_by_text("1 error", exact=True)).to_be_visible()
    page.set_viewport_size({"width": 1280, "height": 760})
    expect(page.get_by_text("1 error", exact=True)).to_be_hidden()
    home.folder.remove("sets.py")


def test_a_long_value_is_cut_and_can_be_shown_whole(page, home):
    text = "long " * 13_000
    home.change("/house/hall/mode", text)
    visit(page, home, "#/path/house/hall/mode")

    live = page.locator(".now-big .live")
    expect(live).to_have_text(re.compile("^.{200}…$"))
    page.get_by_text("All of it").click()
    expect(page.locator(".now-big pre")).to_contain_text(text.strip())
    page.set_viewport_size({"width": 320, "height": 900})
    assert width_of(page) <= 320


def test_thousands_of_paths_are_shown_in_parts(page, home):
    for number in range(1200):
        home.devices.event_register(f"/house/many/entry_{number:04}")
    listing = f"{home.url}/api/1/paths?under=/house/many"
    while page.request.get(listing).json()["total"] < 1200:
        """The runner lists the paths at most once a second."""
    visit(page, home, "#/paths/house/many")
    rows = page.locator("tbody tr")
    expect(rows).to_have_count(101)
    for count in (201, 301, 401, 500):
        page.get_by_role("button", name="Show more").click()
        expect(rows).to_have_count(count)
    expect(page.get_by_text("Only 500 rows are shown")).to_be_visible()


@pytest.mark.parametrize(
    ("value", "text"),
    [
        ({"$bytes": "AP8Q"}, "bytes(3) 00ff10"),
        ({"$float": "NaN"}, "NaN"),
        ({"$int": "12345678901234567890"}, "12345678901234567890"),
        ({"$map": [[1, "a"], [{"$bytes": ""}, None]]}, '{1: "a", bytes(0): null}'),
        ({"$map": [["$bytes", 1]]}, '{"$bytes": 1}'),
        ({"a": [1, 2.5, True, None]}, '{"a": [1, 2.5, true, null]}'),
        ("a\nb\u2028\U000e0041\u200b", '"a\\nb\\u2028\\u{e0041}\\u200b"'),
        ("\ud800", '"\\ud800"'),
        ("größer 😀", '"größer 😀"'),
    ],
    ids=repr,
)
def test_a_value_has_a_text_in_which_nothing_is_hidden(values, value, text):
    assert values(f"valueText({json.dumps(value)})") == text


@pytest.mark.parametrize(
    ("typed", "value"),
    [
        ("21", 21),
        ("night", "night"),
        ('"21"', "21"),
        ("true", True),
        ("[1, 2]", [1, 2]),
        ("9007199254740993", {"$int": "9007199254740993"}),
        ("1e3", 1000),
        ("", ""),
    ],
)
def test_what_a_person_types_is_json_or_else_a_text(values, typed, value):
    assert values(f"typedValue({json.dumps(typed)})") == value


@pytest.mark.parametrize(
    ("words", "line"),
    [
        (["eshet-rules", "why", "/hall/lamp"], "eshet-rules why /hall/lamp"),
        (["a b", "it's", "$(rm)", "hall.*"], "'a b' 'it'\\''s' '$(rm)' 'hall.*'"),
        (["a\nb'\u202e"], "$'a\\nb\\'\\U0000202e'"),
    ],
)
def test_a_command_is_safe_in_a_shell(values, words, line):
    assert values(f"commandLine(...{json.dumps(words)})") == line


@pytest.fixture(scope="module")
def values(browser, home):
    """Evaluates an expression with the functions of `values.js`."""
    with tab(browser) as page:
        page.goto(home.url)

        def evaluate(expression):
            name = expression.partition("(")[0]
            rest = expression[len(name) :]
            return page.evaluate(
                "import(document.querySelector('script').src.replace('app.js', 'values.js'))"
                f".then((module) => module.{name}{rest})"
            )

        yield evaluate
