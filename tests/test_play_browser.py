"""The page to play with as a person meets it, in a real Chromium: what it computes is what minicnn computes."""

from __future__ import annotations

import base64
import json
import re

import numpy as np
import pytest
from browser import MARKS, look, pixels, press, start, webdriver
from PIL import Image
from selenium.webdriver.common.by import By
from selenium.webdriver.common.keys import Keys

import minicnn
from minicnn import nn, play, viz
from minicnn.models import ModelMeta, tinynet

pytestmark = MARKS
PHOTOGRAPHS = ("german shepherd", "goldfish", "rocket")


@pytest.fixture(scope="module")
def address(tmp_path_factory):
    return play.build(tinynet("standard"), tmp_path_factory.mktemp("play") / "play.html").path.as_uri()


@pytest.fixture(scope="module")
def network():
    """The network with the weights that the page has."""
    return play.restored(tinynet("standard").eval(), 16)


@pytest.fixture(scope="module")
def chromium(tmp_path_factory):
    driver = start(tmp_path_factory.mktemp("profile"))
    yield driver
    driver.quit()


@pytest.fixture
def page(chromium, address):
    look(chromium)
    chromium.get("about:blank")
    return opened(chromium, address)


def opened(driver, address):
    driver.get(address)
    wait(driver, "document.querySelectorAll('#answers li').length === 5 && document.getElementById('time').textContent")
    return driver


def wait(driver, condition: str) -> None:
    script = f"const done = arguments[0], ask = () => ({condition}) ? done(true) : setTimeout(ask, 20); ask();"
    driver.set_script_timeout(60)
    assert driver.execute_async_script(script)


def choose(driver, photograph: str) -> None:
    driver.find_element(By.CSS_SELECTOR, f"#photos button[title='{photograph}']").click()


def show(driver, layer: int, c: int, y: int, x: int) -> None:
    driver.execute_script(
        "showLayer(arguments[0], { map: arguments[1], y: arguments[2], x: arguments[3], hold: true })", layer, c, y, x
    )


def outputs(driver, what: str = "state.outputs") -> list[np.ndarray]:
    """The maps (C, H, W) of all layers, and the input before them."""
    text = "btoa(Array.from(new Uint8Array(o.data.slice().buffer), b => String.fromCharCode(b)).join(''))"
    found = driver.execute_script(f"return [state.input, ...{what}].map(o => [o.shape, {text}])")
    return [np.frombuffer(base64.b64decode(data), np.float32).reshape(shape) for shape, data in found]


def maps_of(network, x) -> list[np.ndarray]:
    with (
        minicnn.no_grad(),
        minicnn.kernels.exact(),
        viz.capture(network, ["features.*", "avgpool", "classifier"]) as maps,
    ):
        network(x)
    found = [maps[f"features.{i}"] for i in range(12)] + [maps["avgpool"], maps["classifier"]]
    return [x.numpy()[0], *(m.numpy()[0] if m.ndim == 4 else m.numpy()[0, :, None, None] for m in found)]


def difference(ours: list[np.ndarray], theirs: list[np.ndarray]) -> float:
    """The largest difference between two numbers at one place, as a part of the largest number of the layer."""
    assert [a.shape for a in ours] == [b.shape for b in theirs]
    return max(float(np.abs(a - b).max() / np.abs(b).max()) for a, b in zip(ours, theirs, strict=True))


def test_all_maps_of_three_photographs_are_minicnns(page, network):
    """With the page's weights to rounding; with the network's own to what 16 bits leave of them."""
    full, worst, lost = tinynet("standard").eval(), 0.0, 0.0
    for name in PHOTOGRAPHS:
        choose(page, name)
        x = viz.preprocess(viz.sample_folder() / f"{name.replace(' ', '_')}.jpg", network)
        ours = outputs(page)
        worst = max(worst, difference(ours, maps_of(network, x)))
        lost = max(lost, difference(ours, maps_of(full, x)))
    print(
        f"largest difference: {worst:.1e} of a layer's largest number; from the network before it was packed: {lost:.1e}"
    )
    assert worst < 2e-6  # float32 has 6e-8, and the longest sum has 3200 terms
    assert lost < 2e-4


def test_one_pixel_of_every_convolution_is_explain_pixels_sum(page, network):
    choose(page, "goldfish")
    inputs = outputs(page)  # of each layer, since they begin with the picture
    for index, (c, y, x_) in {0: (12, 0, 31), 3: (5, 7, 2), 6: (200, 7, 7), 8: (12, 3, 4), 10: (255, 0, 0)}.items():
        theirs = viz.explain_pixel(network.features[index], minicnn.tensor(inputs[index][None]), 0, c, y, x_)
        call = "explainPixel(network.layers[arguments[0]], outputAt(arguments[0] - 1), ...arguments[1])"
        ours = page.execute_script(f"return {call}", index, [c, y, x_])
        shape = theirs.left.shape
        for part, expected in (("patch", theirs.left), ("kernel", theirs.right), ("products", theirs.products)):
            found = np.array([channel[part] for channel in ours["channels"]]).reshape(shape)
            assert np.array_equal(found, expected), "products of two 32-bit numbers are exact in 64"
        assert np.array(ours["inside"]).reshape(shape[1:]).tolist() == theirs.inside.tolist()
        assert ours["bias"] == theirs.bias
        assert ours["value"] == pytest.approx(theirs.value, rel=1e-5, abs=1e-6)
        show(page, index, c, y, x_)
        shown = page.find_element(By.CSS_SELECTOR, "#explanation .sum .total td").text.replace("−", "-")
        assert float(shown) == pytest.approx(theirs.value, rel=1e-3, abs=1e-5)


def test_the_definition_and_the_fast_convolution_agree(page):
    """Odd numbers of filters and places, and every setting."""
    worst = page.execute_script("""
        let worst = 0;
        for (const [kernel, stride, padding, dilation] of [[3, 1, 1, 1], [2, 2, 0, 1], [3, 1, 2, 2], [5, 3, 4, 1], [1, 1, 0, 1]]) {
          const data = Float32Array.from({ length: 2 * 9 * 7 }, (_, i) => Math.sin(i)), outputs = 3;
          const weight = Float32Array.from({ length: outputs * 2 * kernel * kernel }, (_, i) => Math.cos(3 * i));
          const layer = { kernel, stride, padding, dilation, inputs: 2, outputs, weight, bias: new Float32Array([1, 2, 3]) };
          const a = conv2dByDefinition(maps(2, 9, 7, data), layer), b = conv2d(maps(2, 9, 7, data), layer);
          if (String(a.shape) !== String(b.shape)) return 1;
          a.data.forEach((value, i) => { worst = Math.max(worst, Math.abs(value - b.data[i])); });
        }
        return worst;""")
    assert worst < 1e-5


def test_it_asks_for_nothing_and_has_no_error(page, address):
    page.get_log("performance")
    opened(page, address)
    events = [json.loads(entry["message"])["message"] for entry in page.get_log("performance")]
    asked = {e["params"]["request"]["url"].split(":")[0] for e in events if e["method"] == "Network.requestWillBeSent"}
    assert asked <= {"file", "data"}
    assert page.get_log("browser") == []
    assert pixels(page).std() > 10


def test_a_file_enters_as_minicnn_preprocesses_it(page, network, tmp_path):
    rng = np.random.default_rng(0)
    wide = np.repeat(np.repeat(rng.integers(0, 256, (20, 31, 3), dtype=np.uint8), 9, 0), 9, 1)
    Image.fromarray(wide).save(tmp_path / "wide.png")
    page.find_element(By.ID, "file").send_keys(str(tmp_path / "wide.png"))
    wait(page, "document.getElementById('input').getAttribute('aria-label').endsWith('wide.png')")
    seen = np.array(page.execute_script("return Array.from(state.pixels.data)")).reshape(64, 64, 4)[:, :, :3]
    theirs = viz.frame(tmp_path / "wide.png", network).astype(int)
    assert np.abs(seen - theirs).max() <= 1 and (seen != theirs).mean() < 0.01  # Pillow rounds its weights
    x = viz.preprocess(seen.astype(np.uint8), network).numpy()[0]
    assert np.abs(outputs(page)[0] - x).max() < 1e-6
    (tmp_path / "no.png").write_text("no picture")
    page.find_element(By.ID, "file").send_keys(str(tmp_path / "no.png"))
    wait(page, "!document.getElementById('warning').hidden")
    assert "no.png is not a picture" in page.find_element(By.ID, "warning").text


def test_pointer_and_keys_reach_every_pixel(page):
    canvas = page.find_element(By.ID, "map")
    page.execute_script("arguments[0].scrollIntoView({ block: 'center', behavior: 'instant' })", canvas)
    webdriver.ActionChains(page).move_to_element_with_offset(canvas, 40, -30).perform()
    hovered = page.execute_script("return [state.y, state.x, state.held]")
    side = canvas.size["width"] / 32
    assert hovered == [int((canvas.size["height"] / 2 - 30) / side), int((canvas.size["width"] / 2 + 40) / side), False]
    webdriver.ActionChains(page).click().move_by_offset(30, 30).perform()
    assert page.execute_script("return [state.y, state.x, state.held]") == [*hovered[:2], True], "a click holds it"
    page.execute_script("arguments[0].focus()", canvas)
    press(page, Keys.ARROW_RIGHT, Keys.ARROW_DOWN)
    assert page.execute_script("return [state.y, state.x]") == [hovered[0] + 1, hovered[1] + 1]
    assert re.search(
        rf"row {hovered[0] + 1}, column {hovered[1] + 1}",
        page.find_element(By.ID, "status").get_attribute("textContent"),
    )
    overview, map_ = page.find_element(By.ID, "overview"), page.execute_script("return state.map")
    page.execute_script("arguments[0].focus()", overview)
    press(page, Keys.ARROW_LEFT)
    assert page.execute_script("return state.map") == map_ - 1
    page.execute_script("document.querySelector('#strip input:checked').focus()")
    press(page, Keys.ARROW_RIGHT)
    assert page.execute_script("return state.layer") == 1
    assert page.find_element(By.ID, "layername").text.startswith("features.1: negative becomes 0")


def test_every_layer_explains_itself_and_leads_on(page):
    """From a pixel of the picture by the buttons "On" to a class, and from the class back."""
    show(page, -1, 0, 30, 30)
    seen = []
    for _ in range(20):
        seen.append(page.execute_script("return state.layer"))
        on = [
            button for button in page.find_elements(By.CSS_SELECTOR, "#explanation .go") if button.text.startswith("On")
        ]
        if not on:
            break
        value = page.execute_script("return valueAt(state.layer, state.map, state.y, state.x)")
        total = page.find_elements(By.CSS_SELECTOR, "#explanation .total td, #explanation .subtotal b")[-1].text
        assert float(total.replace("−", "-")) == pytest.approx(value, rel=1e-3, abs=1e-4)
        page.execute_script("arguments[0].click()", on[0])
    assert seen == list(range(-1, 14))
    assert page.execute_script("return state.map") == page.execute_script("return strongest(state.outputs.at(-1))")
    page.find_element(By.CSS_SELECTOR, "#explanation .wide .go").click()
    assert page.execute_script("return state.layer") == 12
    show(page, 2, 7, 4, 4)
    page.find_element(By.CSS_SELECTOR, "#explanation .go").click()
    assert page.execute_script("return [state.layer, state.map]") == [1, 7]
    window = page.execute_script(
        "return [windowOf(network.layers[2], 1, 4, 4).best.value, valueAt(2, 7, 4, 4), valueAt(1, 7, state.y, state.x)]"
    )
    assert window[0] == window[1] == window[2]


def test_an_address_opens_a_map_and_pages_are_linked(chromium, tmp_path):
    links = {"The <atlas>": "atlas.html?a&b"}
    address = play.build(tinynet("standard"), tmp_path / "play.html", links=links).path.as_uri()
    chosen = "return [layerAt(state.layer).name, state.map]"
    chromium.get("about:blank")
    assert opened(chromium, f"{address}#features.8:12").execute_script(chosen) == ["features.8", 12]
    top = chromium.execute_script("return document.getElementById('layers').getBoundingClientRect().top")
    assert -1 <= top < 400
    for wrong in ("features.8:256", "nothing:1", "sandbox", "%E0%A4%A"):
        chromium.execute_script("location.hash = arguments[0]", wrong)
        assert chromium.execute_script(chosen) == ["features.8", 12]
    chromium.execute_script("location.hash = 'classifier:3'")
    wait(chromium, "layerAt(state.layer).name === 'classifier' && state.map === 3")
    link = chromium.find_element(By.LINK_TEXT, "The <atlas>")
    assert link.get_attribute("href").endswith("/atlas.html?a&b")
    assert chromium.get_log("browser") == []


def test_another_kernel_and_channels_off_give_what_minicnn_gives(page, network):
    choose(page, "german shepherd")
    x = viz.preprocess(viz.sample_folder() / "german_shepherd.jpg", network)
    page.execute_script("chooseFilter(5); fillKernel(KERNELS['vertical edge'])")
    page.execute_script("switchChannel(4, 17); switchChannel(4, 18)")
    wait(page, "pending === null && changed()")
    changed = play.restored(network, 16)
    kernel = page.execute_script("return [0, 1, 2].map(c => Array.from(kernelAt(5, c)))")
    with minicnn.no_grad():
        changed.features[0].weight[5] = minicnn.tensor(np.array(kernel, np.float32).reshape(3, 7, 7))

    def off(module, args, output):
        output = output.clone()
        output[:, 17:19] = 0
        return output

    with changed.features[4].register_forward_hook(off):
        theirs = maps_of(changed, x)
    theirs[5][17:19] = 0  # what was captured was taken before the hook
    assert difference(outputs(page), theirs) < 2e-6
    assert difference(outputs(page, "state.trained"), maps_of(network, x)) < 2e-6
    words = page.find_element(By.ID, "changes").text
    assert "filter 5 of features.0 edited" in words and "features.4: channel 17, 18 off" in words
    assert "was " in page.find_element(By.ID, "answers").text
    page.find_element(By.XPATH, "//button[text()='undo all']").click()
    wait(page, "pending === null && !changed()")
    assert difference(outputs(page), maps_of(network, x)) < 2e-6
    assert page.find_element(By.ID, "changes").text == ""


def test_each_channel_switched_off_in_turn(page, network):
    x = viz.preprocess(viz.sample_folder() / "german_shepherd.jpg", network)
    show(page, 12, 0, 0, 0)
    page.find_element(By.ID, "rank").click()
    wait(page, "document.querySelector('#ranking p')")
    averages, weight = maps_of(network, x)[13][:, 0, 0], network.classifier.weight.detach().numpy()
    logits = weight @ averages + network.classifier.bias.detach().numpy()
    without = np.exp(logits[:, None] - weight * averages)
    probability = (without / without.sum(0))[logits.argmax()]
    words = page.find_element(By.ID, "ranking").text
    most = int(probability.argmin())
    assert f"Without channel {most}, “German shepherd” falls most" in words
    assert f"to {round(100 * probability[most])} %" in words
    page.find_element(By.CSS_SELECTOR, "#ranking .go").click()
    assert page.execute_script("return state.map") == most
    choose(page, "goldfish")
    assert page.find_element(By.ID, "ranking").text == "", "it was about another picture"


def test_a_kernel_is_painted_by_pointer_and_by_keys(page):
    canvas = page.find_element(By.CSS_SELECTOR, "#grids canvas")
    page.execute_script("arguments[0].scrollIntoView({ block: 'center', behavior: 'instant' })", canvas)
    before = page.execute_script("return kernelAt(0, 0)[24]")
    webdriver.ActionChains(page).move_to_element(canvas).click().perform()
    assert page.execute_script("return kernelAt(0, 0)[24]") == pytest.approx(
        page.execute_script("return strongestWeight()")
    )
    assert page.execute_script("return kernelAt(0, 0)[24]") != before
    page.execute_script("arguments[0].focus()", canvas)
    press(page, Keys.ARROW_RIGHT, "+")
    assert page.execute_script("return [edit.cell, filterChanged(0)]") == [25, True]
    wait(page, "pending === null")


def test_the_small_convolution_follows_its_sliders(page):
    conv = minicnn.nn.functional.conv2d
    for size, kernel, stride, padding, dilation in [(7, 3, 1, 0, 1), (8, 2, 2, 1, 1), (9, 3, 2, 2, 2), (5, 5, 1, 3, 1)]:
        for name, value in (
            ("size", size),
            ("kernel", kernel),
            ("stride", stride),
            ("padding", padding),
            ("dilation", dilation),
        ):
            page.execute_script(
                "const s = document.getElementById('s-' + arguments[0]); s.value = arguments[1]; s.dispatchEvent(new Event('input'))",
                name,
                value,
            )
        x, weight = (np.array(page.execute_script(f"return small.{part}"), np.float32) for part in ("input", "weight"))
        expected = conv(
            minicnn.tensor(x.reshape(1, 1, size, size)),
            minicnn.tensor(weight.reshape(1, 1, kernel, kernel)),
            None,
            stride,
            padding,
            dilation,
        ).numpy()[0, 0]
        shown = [
            float(button.text.replace("−", "-")) for button in page.find_elements(By.CSS_SELECTOR, "#s-output button")
        ]
        assert shown == expected.ravel().tolist()
        assert page.find_element(By.ID, "s-size-rule").text.endswith(f"= {len(expected)}")
    last = page.find_elements(By.CSS_SELECTOR, "#s-output button")[-1]
    page.execute_script("arguments[0].focus()", last)
    assert page.find_element(By.ID, "s-sum").text.endswith(f"= {shown[-1]:.0f}".replace("-", "−"))
    page.execute_script("small.dilation = 3; small.padding = 0; paintSandbox()")
    assert "finds no place" in page.find_element(By.ID, "s-output").text


def test_drawing_and_camera(page):
    page.find_element(By.ID, "draw").click()
    press(page, " ")
    page.execute_script("document.getElementById('padcanvas').focus()")
    press(page, " ", *[Keys.ARROW_RIGHT] * 8, *[Keys.ARROW_DOWN] * 8)
    assert "your drawing" in page.find_element(By.ID, "input").get_attribute("aria-label")
    assert page.execute_script("return Math.min(...state.pixels.data)") < 60
    press(page, Keys.ESCAPE)
    page.find_element(By.ID, "watch").click()
    wait(page, "document.getElementById('input').getAttribute('aria-label').includes('camera')")
    page.find_element(By.CSS_SELECTOR, "#camera .close").click()
    # A dialog tells that it was closed in a task of its own, after the click: the tracks end then, not at once.
    wait(page, "document.getElementById('video').srcObject.getTracks().every(t => t.readyState === 'ended')")
    assert page.get_log("browser") == []


class Small(nn.Module):
    """Another chain: odd numbers of everything, convolutions without a ReLU or a pool behind them, two linear layers, no class names."""

    def __init__(self):
        super().__init__()
        self.first = nn.Sequential(
            nn.Conv2d(3, 5, 3, stride=2, padding=1, dilation=2), nn.Conv2d(5, 7, 1, bias=False), nn.MaxPool2d(2)
        )
        self.last = nn.Sequential(nn.Flatten(), nn.Dropout(), nn.Linear(7 * 16, 11), nn.ReLU(), nn.Linear(11, 2))
        self.meta = ModelMeta("small", (0.1, 0.2, 0.3), (1.0, 1.0, 2.0), (3, 17, 17), ("<b>", "&amp;"))

    def forward(self, x):
        return self.last(self.first(x))


@pytest.mark.parametrize("bits", [8, 16])
def test_another_chain_of_layers(chromium, tmp_path, bits):
    minicnn.manual_seed(0)
    model = Small().eval()
    photograph = np.random.default_rng(0).integers(0, 256, (17, 17, 3), dtype=np.uint8)
    look(chromium)
    chromium.get(play.build(model, tmp_path / "small.html", bits=bits, photographs=[photograph]).path.as_uri())
    wait(chromium, "document.querySelectorAll('#answers li').length === 2")
    packed = play.restored(model, bits)
    x = viz.preprocess(photograph, packed)
    with minicnn.no_grad(), viz.capture(packed, ["first.*", "last.2", "last.3", "last.4"]) as found:
        packed(x)
    theirs = [t.numpy()[0] if t.ndim == 4 else t.numpy()[0, :, None, None] for t in (x, *found.values())]
    assert difference(outputs(chromium), theirs) < 2e-6
    for layer in range(-1, 6):
        show(chromium, layer, 1, 0, 0)
        assert chromium.find_element(By.ID, "explanation").text
        for button in chromium.find_elements(By.CSS_SELECTOR, "#explanation .go")[:1]:
            chromium.execute_script("arguments[0].click()", button)
    show(chromium, 3, 4, 0, 0)
    named = chromium.find_element(By.CSS_SELECTOR, "#explanation .wide .go")
    map_, y, column = map(int, re.findall(r"\d+", named.text))
    named.click()
    assert chromium.execute_script("return [state.layer, state.map, state.y, state.x]") == [2, map_, y, column]
    assert {"<b>", "&amp;"} == {name.text for name in chromium.find_elements(By.CSS_SELECTOR, "#answers .name")}
    chromium.execute_script("fillKernel(KERNELS.spot); switchChannel(0, 1)")
    wait(chromium, "pending === null && changed()")
    assert chromium.get_log("browser") == []


def test_a_picture_is_dropped_and_a_camera_refused(page):
    page.execute_script("""
        const canvas = document.createElement('canvas'), transfer = new DataTransfer();
        canvas.width = canvas.height = 80;
        canvas.toBlob((blob) => {
          transfer.items.add(new File([blob], 'dropped.png', { type: 'image/png' }));
          document.dispatchEvent(new DragEvent('drop', { dataTransfer: transfer, cancelable: true, bubbles: true }));
        });""")
    wait(page, "document.getElementById('input').getAttribute('aria-label').endsWith('dropped.png')")
    assert page.execute_script("return Math.min(...state.pixels.data)") == 255, "what is transparent lies on white"
    page.execute_script(
        "document.dispatchEvent(new DragEvent('drop', { dataTransfer: new DataTransfer(), cancelable: true }))"
    )
    assert page.find_element(By.ID, "warning").text == "What was dropped is not a file."
    page.execute_script(
        "navigator.mediaDevices.getUserMedia = () => Promise.reject(new DOMException('no', 'NotAllowedError'))"
    )
    page.find_element(By.ID, "watch").click()
    wait(page, "document.getElementById('warning').textContent.includes('may not use it (NotAllowedError)')")
    assert not page.find_element(By.ID, "camera").is_displayed()


def test_the_engine_can_be_read_in_the_page(page):
    page.execute_script("document.querySelector('#source summary').click()")
    wait(page, "document.querySelector('#source pre').textContent.includes('function conv2dByDefinition')")


def test_on_a_phone_nothing_hangs_over_in_light_and_dark(page):
    look(page, 390, 844, mobile=True)
    for layer, c in ((-1, 0), (0, 3), (3, 3), (5, 3), (10, 3), (12, 3), (13, 3)):
        show(page, layer, c, 0, 0)
        assert page.execute_script("return document.documentElement.scrollWidth <= innerWidth"), layer
    page.execute_script(
        "Object.assign(small, { size: 10, padding: 3, input: square(10, INPUTS['a slope']) }); paintSandbox()"
    )
    assert page.execute_script("return document.documentElement.scrollWidth <= innerWidth"), "16 numbers side by side"
    light = pixels(page).mean()
    look(page, 390, 844, scheme="dark", mobile=True)
    assert light > 150 and pixels(page).mean() < 110


def test_whatever_is_used_has_a_name(page):
    """Every control, canvas and picture that a screen reader meets says what it is."""
    nameless = page.execute_script("""
        const labelled = (e) => e.labels && [...e.labels].some((label) => label.textContent.trim());
        const named = (e) => e.getAttribute('aria-label') || e.textContent.trim() || e.title || labelled(e);
        return [...document.querySelectorAll('button, input:not([hidden]), select, canvas, [role], a, video')]
          .filter((e) => !e.closest('[aria-hidden]') && !named(e) && e.getAttribute('role') !== 'status')
          .map((e) => e.outerHTML.slice(0, 200));""")
    assert nameless == []
    levels = [int(h.tag_name[1]) for h in page.find_elements(By.CSS_SELECTOR, "h1, h2, h3") if h.is_displayed()]
    assert levels[0] == 1 and all(b - a <= 1 for a, b in zip(levels, levels[1:], strict=False))
