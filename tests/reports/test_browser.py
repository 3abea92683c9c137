"""The report in a browser: quick, silent, usable by keyboard, and readable without its script."""

import itertools
import shutil
import time

import pytest

from reports.html import write_report
from reports.journal import parse
from tests.reports import synthetic as s
from tests.reports.test_html import HOSTILE, hostile

sync_api = pytest.importorskip("playwright.sync_api", reason="playwright is not installed")
CHROMIUM = shutil.which("chromium") or shutil.which("chromium-browser") or shutil.which("google-chrome")
pytestmark = pytest.mark.skipif(CHROMIUM is None, reason="there is no chromium on this machine")
# a shared machine may be slow, a page that grows with the square of its cells is slower
PATIENCE = 15
# headers, controls and sections without a name
UNNAMED = """() => [
  ...[...document.querySelectorAll("thead th, tbody th")].filter((th) => !th.hasAttribute("scope")),
  ...[...document.querySelectorAll("input, select")].filter((control) => !control.labels.length),
  ...[...document.querySelectorAll("section")].filter((part) => !document.getElementById(
    part.getAttribute("aria-labelledby"))),
].map((element) => element.outerHTML)"""
# texts of less than 4.5 to 1
WEAK = """() => {
  const parse = (text) => text.match(/[\\d.]+/g).map(Number);
  const light = (rgb) => rgb.slice(0, 3).map((v) => v / 255)
    .map((v) => (v <= 0.03928 ? v / 12.92 : ((v + 0.055) / 1.055) ** 2.4))
    .reduce((sum, v, n) => sum + v * [0.2126, 0.7152, 0.0722][n], 0);
  const behind = (element) => {
    for (let at = element; at; at = at.parentElement) {
      const rgb = parse(getComputedStyle(at).backgroundColor);
      if (rgb.length === 3 || rgb[3] > 0) return rgb;
    }
    return [255, 255, 255];
  };
  const found = [];
  for (const element of document.querySelectorAll("body *")) {
    const own = [...element.childNodes].some((node) => node.nodeType === 3 && node.data.trim());
    if (!own || !element.checkVisibility() || element.closest(":disabled, script")) continue;
    const [a, b] = [light(parse(getComputedStyle(element).color)), light(behind(element))];
    const ratio = (Math.max(a, b) + 0.05) / (Math.min(a, b) + 0.05);
    if (ratio < 4.5) found.push(`${ratio.toFixed(2)} ${element.outerHTML.slice(0, 120)}`);
  }
  return found;
}"""


@pytest.fixture(scope="module")
def browser():
    with sync_api.sync_playwright() as playwright:
        browser = playwright.chromium.launch(executable_path=CHROMIUM, args=["--no-sandbox", "--headless"])
        yield browser
        browser.close()


@pytest.fixture(scope="module")
def reports(tmp_path_factory):
    """Addresses of a small, a large and a hostile report."""
    folder = tmp_path_factory.mktemp("reports")
    small = [*s.journal({"tanh": "pass", "exp": "fail", "sin": "crash", "cos": "unsupported"})]
    for name, lines in (("small", small), ("large", s.large()), ("hostile", hostile())):
        write_report(parse(s.encode(lines)), folder / f"{name}.html")
    return {path.stem: path.as_uri() for path in folder.iterdir()}


@pytest.fixture
def visit(browser, reports):
    """Opens a report, and fails on any error or request that it makes."""
    contexts, complaints = [], []

    def visit(name, width=1280, height=900, **options):
        context = browser.new_context(viewport={"width": width, "height": height}, **options)
        contexts.append(context)
        page = context.new_page()
        page.on("console", lambda message: complaints.append(message.text))
        page.on("pageerror", lambda error: complaints.append(str(error)))
        page.on("dialog", lambda dialog: complaints.append(dialog.message))
        page.on("request", lambda request: request.url.startswith("file:") or complaints.append(request.url))
        page.goto(reports[name])
        return page

    yield visit
    for context in contexts:
        context.close()
    assert complaints == []


def rows(page):
    return page.locator("#cells-tool tbody tr")


def said(page):
    return page.locator("#cells-tool [role=status]")


def expect(locator):
    return sync_api.expect(locator)


def test_a_large_report_is_ready_at_once(visit):
    began = time.perf_counter()
    page = visit("large")
    expect(said(page)).to_have_text("1 to 100 of 50,000")
    assert time.perf_counter() - began < PATIENCE  # half a second on an idle core


def test_the_gravest_cells_come_first(visit):
    expect(rows(visit("large")).first.locator(".tag")).to_have_text("crash")


def test_search_finds_cells_by_words_in_any_order(visit):
    page = visit("large")
    page.get_by_label("Search id and detail").fill("jvp OP_0003")
    expect(said(page)).to_have_text("1 to 10 of 10")
    page.get_by_label("Search id and detail").fill("no such thing")
    expect(said(page)).to_have_text("No cell matches.")


def test_filters_narrow_and_clear(visit):
    page = visit("large")
    tool = page.locator("#cells-tool")
    tool.get_by_label("Outcome").select_option("crash")
    assert {text.strip() for text in rows(page).locator(".tag").all_inner_texts()} == {"crash"}
    tool.get_by_label("Device and mode").select_option(label="cuda:0 eager")
    assert all("cuda:0" in text for text in rows(page).locator("th code").all_inner_texts())
    tool.get_by_role("button", name="Clear").click()
    expect(said(page)).to_have_text("1 to 100 of 50,000")


def test_a_column_sorts_both_ways_and_says_so(visit):
    page = visit("large")
    button = page.locator("#cells-tool").get_by_role("button", name="ulp")
    head = page.locator("#cells-tool thead th", has=page.get_by_role("button", name="ulp"))
    for way in ("descending", "ascending"):
        button.click()
        expect(head).to_have_attribute("aria-sort", way)
    button.click()
    assert float(rows(page).first.locator("td").nth(2).inner_text().replace(",", "")) == 4100


def test_pages_turn(visit):
    page = visit("large")
    page.locator("#cells-tool").get_by_role("button", name="Next").click()
    expect(said(page)).to_have_text("101 to 200 of 50,000")
    page.locator("#cells-tool").get_by_role("button", name="Previous").click()
    expect(page.locator("#cells-tool").get_by_role("button", name="Previous")).to_be_disabled()


def test_a_family_of_the_matrix_is_drawn_when_it_is_opened(visit):
    page = visit("large")
    assert page.locator(".grid").count() == 0
    page.locator(".family summary").first.click()
    assert page.locator(".grid tbody tr").count() == 30
    head = page.locator(".grid thead th").all_inner_texts()
    assert head[:3] == ["Subject", "value", "vjp"]


def test_the_matrix_says_outcomes_in_words(visit):
    page = visit("small")
    page.locator(".family summary").click()
    assert page.locator(".grid .c").all_inner_texts() == ["0.25", "fail 510", "crash", "n/a"]
    page.locator("#matrix-dtype").select_option(label="each, in a line of its own")
    expect(page.locator(".grid tbody th").first).to_have_text("tanh, float32")


def test_a_subject_of_the_matrix_leads_to_its_cells(visit):
    page = visit("small")
    page.locator(".family summary").click()
    page.locator(".grid").get_by_role("link", name="exp").click()
    expect(said(page)).to_have_text("1 to 1 of 1")


def test_a_failing_cell_leads_to_its_failure(visit):
    page = visit("small")
    page.locator(".subject").first.locator("> summary").click()
    link = rows(page).first.get_by_role("link", name="crash")
    link.click()
    expect(page.locator("article").first).to_be_in_viewport()


def test_the_script_can_be_copied(visit):
    page = visit("small", permissions=["clipboard-read", "clipboard-write"])
    page.get_by_role("button", name="Copy script").first.click()
    expect(page.get_by_role("button", name="Copied")).to_be_visible()
    assert page.evaluate("navigator.clipboard.readText()") == s.SCRIPT


def test_all_can_be_done_by_keyboard(visit):
    page = visit("small")
    page.keyboard.press("Tab")
    expect(page.get_by_role("link", name="Skip to the report")).to_be_focused()
    page.locator(".family summary").focus()
    page.keyboard.press("Enter")
    expect(page.locator(".grid")).to_be_visible()
    page.get_by_label("Search id and detail").focus()
    page.keyboard.type("exp")
    expect(said(page)).to_have_text("1 to 1 of 1")
    for _ in range(6):
        page.keyboard.press("Tab")
    page.keyboard.press("Enter")
    expect(said(page)).to_have_text("1 to 4 of 4")


def test_without_its_script_the_verdict_and_the_failures_can_be_read(visit):
    page = visit("large", java_script_enabled=False)
    expect(page.get_by_role("heading", level=1)).to_have_text("Deviates")
    expect(page.locator(".sentence")).to_contain_text("/ 50,000 total")
    article = page.locator("article").first
    for text in ("Reproduction script", "Shrunk case", "Worst element", "assert torch.tanh"):
        expect(article).to_contain_text(text)
    expect(article.get_by_role("button", name="Copy script")).to_be_hidden()
    expect(page.get_by_text("By family (the cells themselves need JavaScript)")).to_be_visible()


@pytest.mark.parametrize(("width", "height"), [(360, 740), (1920, 1080)])
def test_nothing_leaves_the_viewport(visit, width, height):
    page = visit("large", width, height)
    page.locator(".family summary").first.click()
    assert page.evaluate("document.documentElement.scrollWidth") <= width


def test_hostile_text_is_shown_and_does_nothing(visit):
    page = visit("hostile", 390, 800)
    page.locator(".family summary").first.click()
    expect(rows(page).first).to_contain_text(HOSTILE[:40])
    assert page.locator("img").count() == 0
    assert page.evaluate("document.documentElement.scrollWidth") <= 390


def test_headings_tables_and_controls_are_named(visit):
    page = visit("small")
    page.locator(".family summary").click()
    assert page.evaluate(UNNAMED) == []
    names = page.evaluate("[...document.querySelectorAll('h1,h2,h3,h4,h5')].map(h => h.tagName)")
    levels = [int(name[1]) for name in names]
    assert levels[0] == 1 and all(after - before <= 1 for before, after in itertools.pairwise(levels))


@pytest.mark.parametrize("scheme", ["light", "dark"])
def test_text_has_contrast(visit, scheme):
    page = visit("small", color_scheme=scheme)
    page.locator(".family summary").click()
    assert page.evaluate(WEAK) == []
