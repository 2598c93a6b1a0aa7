"""The atlas as a person meets it: in a real Chromium, from file://, with the network off."""

from __future__ import annotations

import base64
import json
import re
import time
from urllib.parse import unquote

import pytest
from atlas_network import HOSTILE, folder, network
from browser import MARKS, look, pixels, press, start, webdriver
from selenium.webdriver.common.by import By
from selenium.webdriver.common.keys import Keys
from selenium.webdriver.support.wait import WebDriverWait

from minicnn import atlas
from minicnn.atlas.writing import FORMS, write

pytestmark = MARKS


@pytest.fixture(scope="module")
def built(tmp_path_factory):
    path = tmp_path_factory.mktemp("atlas")
    return atlas.build(
        network(), path / "all.html", folder=folder(path / "photos"), steps=3, progress=False, say=lambda line: None
    )


@pytest.fixture(scope="module", params=FORMS)
def form(request):
    return request.param


@pytest.fixture(scope="module")
def address(built, form):
    """The same atlas in each of its forms; the folder's name needs its escapes."""
    path = built.path.with_name(f"100% {form}#.html")
    write(built.contents, path, form)
    return path.as_uri()


@pytest.fixture(scope="module")
def chromium(tmp_path_factory):
    driver = start(tmp_path_factory.mktemp("profile"))
    yield driver
    driver.quit()


@pytest.fixture
def page(chromium, address):
    """The atlas at its first page, on a desktop's window, in light."""
    look(chromium)
    chromium.get("about:blank")
    chromium.get(address)
    settled(chromium, "overview")
    return chromium


def shown(driver) -> list[str]:
    """The ids of the pages that can be seen, when the browser has come to what a click has asked for."""
    time.sleep(0.1)
    return [page.get_attribute("id") for page in driver.find_elements(By.CSS_SELECTOR, ".page") if page.is_displayed()]


def go(driver, name: str) -> None:
    """To a page by its address; back when it is there, with the pictures that can be seen."""
    driver.execute_script("location.hash = arguments[0]", name)
    settled(driver, name)


def settled(driver, name: str) -> None:
    """Wait for a page, and for the pictures on it."""
    ready = """return document.querySelector(".page.current")?.id === arguments[0] && [...document.querySelectorAll(".current .i")]
        .every((picture) => getComputedStyle(picture).backgroundImage.startsWith("url"))"""
    WebDriverWait(driver, 20).until(lambda driver: driver.execute_script(ready, name), f"{name} is not shown")


def test_it_opens_offline_without_a_request_or_an_error(page):
    page.get_log("performance")
    page.get(page.current_url)
    page.refresh()
    assert shown(page) == ["overview"]
    events = [json.loads(entry["message"])["message"] for entry in page.get_log("performance")]
    asked = {e["params"]["request"]["url"].split(":")[0] for e in events if e["method"] == "Network.requestWillBeSent"}
    assert asked <= {"file", "data"} and "file" in asked
    assert page.get_log("browser") == []
    assert pixels(page).std() > 10


def test_hostile_names_run_nothing(page):
    for target in ("overview", "folder", "photograph", "unit-classifier-0"):
        go(page, target)
        assert "broken into" not in page.title or HOSTILE in page.title
    assert HOSTILE in page.find_element(By.CSS_SELECTOR, ".current h2").text, "the class is called so, and that is all"
    assert page.execute_script("return document.querySelectorAll('script:not([type])').length") == 1
    page.execute_script("document.body.insertAdjacentHTML('beforeend', '<img src=x onerror=\"document.title=1\">')")
    page.implicitly_wait(0.2)
    assert page.title != "1"
    refused = [entry["message"] for entry in page.get_log("browser")]
    assert refused and all("Content Security Policy" in message for message in refused)


def test_search_finds_units_classes_layers_and_the_keys_reach_them(page):
    press(page, "/")
    box = page.find_element(By.ID, "search")
    assert page.switch_to.active_element == box
    box.send_keys("penguin")
    links = page.find_elements(By.CSS_SELECTOR, "#found a")
    assert links[0].text.startswith("king penguin")
    assert "page" in page.find_element(By.ID, "status").get_attribute("textContent")
    box.send_keys(Keys.ARROW_DOWN)
    press(page, Keys.ENTER)
    assert shown(page) == ["unit-classifier-2"]
    assert page.switch_to.active_element.text == "king penguin"
    press(page, Keys.ARROW_RIGHT)
    assert shown(page) == ["unit-classifier-3"]
    press(page, Keys.ARROW_LEFT)
    page.back()
    assert shown(page) == ["unit-classifier-3"]
    box.send_keys("features.0:4", Keys.ENTER)
    assert shown(page) == ["unit-features.0-4"]
    box.send_keys("no such thing")
    assert page.find_element(By.ID, "found").text == "nothing found"
    press(page, Keys.ESCAPE)
    assert page.find_element(By.ID, "found").text == ""


def test_from_the_first_page_to_what_a_unit_responds_to_and_where_that_comes_from(page):
    page.find_element(By.LINK_TEXT, "classifier").click()
    assert shown(page) == ["layer-classifier"]
    page.find_element(By.CSS_SELECTOR, ".current .units a[href='#unit-classifier-4']").click()
    assert shown(page) == ["unit-classifier-4"]
    before = page.find_elements(By.CSS_SELECTOR, ".current .links a.unit")
    assert before
    target = before[0].get_attribute("hash")
    before[0].click()
    settled(page, target[1:])
    assert [f"#{name}" for name in shown(page)] == [target]
    for picture in page.find_elements(By.CSS_SELECTOR, ".current .i"):
        assert picture.size["width"] > 20 and picture.size["height"] > 20
        assert "data:image/webp" in picture.value_of_css_property("background-image")
    frame = page.find_element(By.CSS_SELECTOR, ".current .patches .i i")
    assert 0 < frame.size["width"] <= 96


def test_a_word_leads_to_its_entry_and_back(page):
    go(page, "unit-features.0-1")
    page.find_element(By.CSS_SELECTOR, ".current a.word[href='#word-receptive-field']").click()
    assert shown(page) == ["words"] and page.title.startswith("Words")
    entry = page.find_element(By.ID, "word-receptive-field")
    header = page.find_element(By.CSS_SELECTOR, "body > header").rect["height"]
    assert header - 1 <= page.execute_script("return arguments[0].getBoundingClientRect().top", entry) < 500
    assert page.switch_to.active_element == entry
    page.back()
    assert shown(page) == ["unit-features.0-1"]
    press(page, "/")
    page.find_element(By.ID, "search").send_keys("stride")
    assert "Words" in [link.text for link in page.find_elements(By.CSS_SELECTOR, "#found a")]


def test_zoom_and_hover(page):
    page.get(page.current_url.partition("#")[0] + "#unit-classifier-1")
    settled(page, "unit-classifier-1")
    page.find_element(By.CSS_SELECTOR, ".current .maximised button").click()
    image = page.find_element(By.CSS_SELECTOR, "dialog img")
    assert page.execute_async_script(
        "const done = arguments[1]; arguments[0].decode().then(() => setTimeout(() => done(arguments[0].width > 200), 50))",
        image,
    )
    assert "maximises" in image.get_attribute("alt")
    press(page, Keys.ESCAPE)
    assert not page.find_element(By.ID, "zoom").is_displayed()
    link = page.find_element(By.CSS_SELECTOR, ".current .links a.unit")
    page.execute_async_script(
        "arguments[0].scrollIntoView(); requestAnimationFrame(() => setTimeout(arguments[1], 50))", link
    )
    webdriver.ActionChains(page).move_to_element(link).perform()
    card = page.find_element(By.ID, "hover")
    assert card.is_displayed() and link.text.split("\n")[0] in card.text
    webdriver.ActionChains(page).move_to_element(page.find_element(By.CSS_SELECTOR, ".current h2")).perform()
    assert not card.is_displayed()


def test_at_1280_pixels_nothing_is_cut_and_pictures_do_not_touch(page):
    """All of the navigation, all of the placeholder; a gap between a patch and its photograph, and the grey explained."""
    nav = page.find_element(By.CSS_SELECTOR, "header nav")
    assert page.execute_script("return arguments[0].scrollWidth <= arguments[0].clientWidth", nav)
    field = page.find_element(By.ID, "search")
    assert page.execute_script(
        "const c = document.createElement('canvas').getContext('2d'), s = getComputedStyle(arguments[0]);"
        "c.font = s.font; return c.measureText(arguments[0].placeholder).width + 2 * parseFloat(s.paddingLeft) + 2"
        " <= arguments[0].clientWidth", field
    )  # fmt: skip
    go(page, "unit-features.0-1")
    gaps = page.execute_script(
        "return [...document.querySelectorAll('.current .patches button')].filter(b => b.children.length > 1)"
        ".map(b => b.children[1].getBoundingClientRect().left - b.children[0].getBoundingClientRect().right)"
    )
    assert gaps and min(gaps) >= 4
    assert "Grey is beyond the photograph's border" in page.page_source


def test_on_a_phone_nothing_hangs_over(page):
    look(page, 390, 844, mobile=True)
    for name in (
        "overview",
        "layer-features.0",
        "unit-features.0-1",
        "unit-classifier-0",
        "photograph",
        "folder",
        "words",
    ):
        go(page, name)
        assert shown(page) == [name]
        assert page.execute_script("return document.documentElement.scrollWidth <= innerWidth"), name


def test_dark_where_the_reader_has_it_dark(page):
    light = pixels(page).mean()
    look(page, scheme="dark")
    assert light > 180
    assert pixels(page).mean() < 90


PAGES = 1 + 3 + 6 + 8 + 5 + 3  # overview, layers, their units, photograph, folder and words


def test_without_the_script_everything_is_on_one_page_or_the_overview_says_why_not(page, form):
    page.execute_cdp_cmd("Emulation.setScriptExecutionDisabled", {"value": True})
    try:
        page.refresh()
        text = page.find_element(By.TAG_NAME, "main").text
        assert len(shown(page)) == (PAGES if form == "all" else 1)
        assert ("here scripts are switched off" in text) == (form != "all")
    finally:
        page.execute_cdp_cmd("Emulation.setScriptExecutionDisabled", {"value": False})


def test_only_the_page_that_is_shown_is_in_the_document_with_its_pictures(page, form):
    if form == "all":
        assert len(page.find_elements(By.CSS_SELECTOR, ".page")) == PAGES
        return
    rules = "return [...document.querySelectorAll('head style')].reduce((sum, style) => sum + style.sheet.cssRules.length, 0)"
    for name in ("unit-classifier-2", "layer-features.0", "unit-classifier-0", "overview", "words", "photograph"):
        go(page, name)
        assert [element.get_attribute("id") for element in page.find_elements(By.CSS_SELECTOR, ".page")] == [name]
        assert len(page.find_elements(By.CSS_SELECTOR, "script:not([type])")) == 1
    assert page.execute_script(rules) > 60
    page.execute_script(
        "location.hash = 'unit-classifier-2'; location.hash = 'overview'; location.hash = 'unit-features.0-1'"
    )
    settled(page, "unit-features.0-1")
    assert len(page.find_elements(By.CSS_SELECTOR, ".page")) == 1, "the last one that was asked for"


def found_slowly(index: dict[str, list[str]], query: str) -> list[str]:
    """The pages in whose words all words of a query are: first one that is called so, then those that say it in one piece."""

    def missed(row: tuple[str, str]) -> tuple[bool, ...]:
        name, text = row[1].lower(), f" {' '.join(row[1:4])} ".lower()
        return name != query, f" {query} " not in text, query not in name

    rows = zip(*(index[column] for column in ("id", "name", "find", "about")), strict=True)
    hits = [row for row in rows if all(word in " ".join(row[1:]).lower() for word in query.split())]
    return [row[0] for row in sorted(hits, key=missed)]


def test_search_finds_the_same_in_every_form(page, built):
    (text,) = re.findall(
        '<script type="application/json" id="index">(.*?)</script>', built.path.read_text(encoding="utf-8")
    )
    index = {name: column.split("\n") for name, column in json.loads(text).items()}
    assert len(index["id"]) == PAGES
    box = page.find_element(By.ID, "search")
    for query in (
        "convolution 2",
        "penguin",
        "features.0:1",
        "features.0",
        "unit 1",
        "plain",
        "class",
        "stride",
        "<b>",
    ):
        box.clear()
        box.send_keys(query)
        expected = found_slowly(index, query)
        links = page.find_elements(By.CSS_SELECTOR, "#found a")
        assert expected and [unquote(link.get_attribute("hash")[1:]) for link in links] == expected[:30], query
        told = page.find_element(By.ID, "status").get_attribute("textContent")
        assert told.startswith(f"{len(expected)} page")
        pictures = [index["picture"][index["id"].index(name)] for name in expected[:30]]
        assert len(page.find_elements(By.CSS_SELECTOR, "#found .i")) == sum(map(bool, pictures))
        assert page.execute_script("return document.documentElement.scrollWidth <= innerWidth"), "the list hangs over"


def test_a_printed_page_has_its_pictures(page, form):
    go(page, "unit-classifier-1")
    printed = page.execute_cdp_cmd("Page.printToPDF", {})["data"]  # backgrounds are off, as browsers have it
    pictures = base64.b64decode(printed).count(b"/Subtype /Image")
    assert pictures >= page.execute_script("return document.querySelectorAll('.current .i').length") // 2


def test_a_folder_that_is_missing_is_said(chromium, built):
    output = built.path.with_name("moved & lost.html")
    write(built.contents, output, "folder")
    output.with_name("moved & lost.html.pages").rename(output.with_name("elsewhere"))
    chromium.get(output.as_uri())
    main = chromium.find_element(By.TAG_NAME, "main")
    WebDriverWait(chromium, 20).until(lambda page: "could not be read" in main.text)
    assert "There is no moved & lost.html.pages/" in main.text and "The folder goes where this file goes" in main.text
    assert shown(chromium) == ["overview"]
    chromium.get_log("browser")
