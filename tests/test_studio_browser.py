"""The studio's page in a real Chromium, headless: what people do with it, and that nothing leaves this machine."""

import http.client
import io
import json
import runpy
import shutil
import time
from pathlib import Path

import numpy as np
import pytest
from PIL import Image

from jaxstyle import image
from jaxstyle.methods.inr import files
from jaxstyle.painting import deep
from jaxstyle.studio import painter, serve
from tests import studio as pages
from tests.pictures import smooth

DOCS, FIT = (Path(__file__).parents[1] / name for name in ("docs", "examples/inr/chelsea_starry_night.safetensors"))

pytest.importorskip("selenium", reason="selenium is not installed")
pytestmark = [
    pytest.mark.slow,
    pytest.mark.skipif(
        not (shutil.which("chromedriver") and (shutil.which("chromium") or shutil.which("google-chrome"))),
        reason="Chromium and its driver are not installed (Debian: chromium, chromium-driver)",
    ),
    pytest.mark.skipif(not (DOCS / "make_studio.py").exists(), reason="not a checkout"),
]

IDLE = "window.studio && studio.stage.frame.dataset.preview && !studio.stage.frame.classList.contains('busy')"


@pytest.fixture(scope="module")
def tools():
    return runpy.run_path(str(DOCS / "make_studio.py"))


@pytest.fixture(scope="module")
def place():
    with serve.in_thread(max_bytes=16 << 20) as found:
        yield found


@pytest.fixture
def page(tools, place):
    """A page with its first preview, whose console says nothing and whose requests all go to the studio."""
    with tools["browser"](1280, 800) as found:
        found.get_log("performance")  # of Chromium's own first page
        found.get(place.url)
        tools["wait"](found, IDLE)
        yield found
        assert elsewhere(found, place) == []
        bad = [
            line
            for line in found.get_log("browser")
            if line["level"] == "SEVERE" and "status of" not in line["message"]
        ]
        assert bad == []


def elsewhere(page, place):
    """The addresses that a page has asked which are not the studio's."""
    found = []
    for line in page.get_log("performance"):
        message = json.loads(line["message"])["message"]
        if message["method"] in ("Network.requestWillBeSent", "Network.webSocketCreated"):
            url = message["params"].get("request", message["params"])["url"]
            if not url.startswith(
                (place.url.partition(place.token)[0], "blob:", "data:", "chrome:", "chrome-untrusted:")
            ):  # the last two: what a new tab shows at first
                found.append(url)
    return found


def click(page, selector):
    page.execute_script("document.querySelector(arguments[0]).click()", selector)


def put(page, name, value):
    """Gives a control a value as a user does."""
    page.execute_script(
        "const one = document.getElementById(arguments[0]); one.value = arguments[1];"
        "for (const kind of ['input', 'change']) one.dispatchEvent(new Event(kind, {bubbles: true}))",
        name,
        value,
    )


def settled(tools, page):
    """Waits until the preview is that of the newest settings."""
    page.execute_script("window.before = studio.stage.frame.dataset.preview")
    time.sleep(0.3)
    tools["wait"](page, IDLE)


def send(page, name, path):
    page.find_element("id", name).send_keys(str(path))


def fetched(place, page, path):
    """The file behind a link of the page."""
    connection = http.client.HTTPConnection(place.host, place.port, timeout=60)
    try:
        connection.request("GET", f"/{place.token}/{path}")
        answer = connection.getresponse()
        assert answer.status == 200
        return answer.read()
    finally:
        connection.close()


def drag(page, points):
    """A stroke with the mouse over places in [0, 1] of the picture."""
    from selenium.webdriver.common.action_chains import ActionChains

    stage = page.find_element("id", "stage")
    box = stage.size
    places = [((x - 0.5) * box["width"], (y - 0.5) * box["height"]) for x, y in points]
    chain = ActionChains(page, duration=20).move_to_element_with_offset(stage, *places[0]).click_and_hold()
    for at in places[1:]:
        chain = chain.move_to_element_with_offset(stage, *at)
    chain.release().perform()


@pytest.fixture
def own(tmp_path):
    """A photo and a painting of one's own."""
    image.write(tmp_path / "photo.png", smooth(240, 320))
    image.write(tmp_path / "painting.png", np.random.default_rng(0).random((64, 64, 3), np.float32))
    return tmp_path


def upload(tools, page, own):
    send(page, "photo-file", own / "photo.png")
    tools["wait"](page, "studio.pictures.photo.name === 'photo.png'")
    send(page, "painting-file", own / "painting.png")
    tools["wait"](
        page, "studio.pictures.paintings.length === 1 && studio.pictures.paintings[0].picture.name === 'painting.png'"
    )
    settled(tools, page)


def full(tools, page, place):
    """The full result as it is downloaded, a PNG file."""
    click(page, "#full")
    tools["wait"](page, "document.getElementById('shown').textContent.startsWith('Full result')")
    link = page.execute_script("return document.querySelector('[data-kind=png]').getAttribute('href')")
    return fetched(place, page, link)


def test_upload_paint_and_download(tools, page, place, own):
    upload(tools, page, own)
    shown = page.execute_script("return [studio.stage.after.naturalWidth, studio.stage.after.naturalHeight]")
    assert shown == [320, 240]
    put(page, "alpha", "50")
    settled(tools, page)
    assert "--alpha 0.5" in page.execute_script("return document.getElementById('command').textContent")
    found = np.asarray(Image.open(io.BytesIO(full(tools, page, place))))
    assert found.shape == (240, 320, 3) and np.abs(found / 255 - smooth(240, 320)).mean() > 0.02
    put(page, "alpha", "0")
    settled(tools, page)
    assert "earlier" in page.execute_script("return document.getElementById('downloads-note').textContent")
    found = np.asarray(Image.open(io.BytesIO(full(tools, page, place))))
    np.testing.assert_array_equal(found, np.asarray(Image.open(own / "photo.png")))  # degree 0 is the photo itself


DROP = """
const [selector, kind, name, done] = arguments;
const example = name === "other.jpg" ? "rocket" : "coffee";
fetch(`pictures/example-${example}?side=256`).then((answer) => answer.blob()).then((blob) => {
  const transfer = new DataTransfer();
  transfer.items.add(new File([blob], name, {type: "image/jpeg"}));
  const options = {bubbles: true, cancelable: true};
  const event = kind === "drop" ? new DragEvent("drop", {...options, dataTransfer: transfer})
    : new ClipboardEvent("paste", {...options, clipboardData: transfer});
  document.querySelector(selector).dispatchEvent(event);
  done();
});
"""


def test_drop_and_paste(tools, page):
    for selector, kind, name in (("#stage", "drop", "dropped.jpg"), ("body", "paste", "pasted.jpg")):
        page.execute_async_script(DROP, selector, kind, name)
        tools["wait"](page, f"studio.pictures.photo.name === '{name}'")
    page.execute_async_script(DROP, "#paintings", "drop", "painting.jpg")
    tools["wait"](page, "studio.pictures.paintings[0].picture.name === 'painting.jpg'")
    assert page.execute_script("return studio.pictures.paintings.length") == 1  # instead of the one that was there
    settled(tools, page)
    click(page, "#mix")
    page.execute_async_script(DROP, "#paintings", "drop", "other.jpg")
    tools["wait"](page, "studio.pictures.paintings.length === 2")
    for expected in (3, 2):  # added, and taken away
        click(page, "#painting-examples button:last-child")
        tools["wait"](page, f"studio.pictures.paintings.length === {expected}")
    weight = "const one = document.querySelector('#chosen li:last-child input'); one.value = 2;"
    page.execute_script(weight + "one.dispatchEvent(new Event('input', {bubbles: true}))")
    settled(tools, page)
    assert "--weights 1,2" in page.execute_script("return document.getElementById('command').textContent")


def test_focus_by_a_click(tools, page):
    from selenium.webdriver.common.action_chains import ActionChains

    facts = page.execute_script("return studio.painting.facts.methods")
    attending = next(method["name"] for method in facts if method["attends"])
    assert not page.find_element("css selector", "[data-mode=focus]").is_displayed()
    put(page, "method", attending)
    settled(tools, page)
    click(page, "[data-mode=focus]")
    ActionChains(page).move_to_element_with_offset(page.find_element("id", "stage"), 40, -20).click().perform()
    tools["wait"](page, "document.querySelector('#found img').naturalHeight === 384")
    assert page.find_element("id", "found").is_displayed()


def test_brush_half_of_the_photo(tools, page, place, own):
    upload(tools, page, own)
    click(page, "[data-mode=brush]")
    put(page, "hardness", "100")
    put(page, "brush-size", "40")
    strokes = [(0.8, 0.02), (0.8, 0.98), (0.7, 0.98), (0.7, 0.02), (0.95, 0.02), (0.95, 0.98)]
    drag(page, strokes)
    once = page.execute_script("return Array.from(studio.maps.alpha.data)")
    assert page.execute_script("return [studio.maps.alpha.width, studio.maps.alpha.height]") == [320, 240]
    drag(page, strokes)  # the same again adds nothing
    assert page.execute_script("return Array.from(studio.maps.alpha.data)") == once
    map_ = np.asarray(once, np.uint8).reshape(240, 320)
    assert map_[:, 200:].min() == 255 and map_[:, :160].max() == 0
    settled(tools, page)
    found = np.asarray(Image.open(io.BytesIO(full(tools, page, place)))).astype(int)
    photo = np.asarray(Image.open(own / "photo.png")).astype(int)
    np.testing.assert_array_equal(found[:, :140], photo[:, :140])
    assert np.abs(found - photo)[:, 220:].mean() > 10
    click(page, "#undo")
    click(page, "#undo")
    assert page.execute_script("return studio.maps.alpha.data.every((value) => value === 0)")
    click(page, "#redo")
    assert page.execute_script("return Array.from(studio.maps.alpha.data)") == once
    words = page.execute_script("return studio.maps.names.alpha_map")
    assert words == "photo_alpha.png"


def test_masks_of_two_paintings_share_the_picture(tools, page, place, own):
    upload(tools, page, own)
    click(page, "#mix")
    image.write(own / "other.png", np.random.default_rng(1).random((64, 64, 3), np.float32))
    send(page, "painting-file", own / "other.png")
    tools["wait"](page, "studio.pictures.paintings.length === 2")
    click(page, "[data-mode=brush]")
    put(page, "target", "0")
    put(page, "brush-size", "60")
    drag(page, [(0.2, 0.2), (0.2, 0.8)])
    settled(tools, page)
    assert "masked" in page.execute_script("return document.getElementById('chosen').textContent")
    sent = page.execute_async_script("studio.maps.settings().then(arguments[0])")
    assert list(sent) == ["mask"] and len(sent["mask"]) == 2
    one, rest = (np.frombuffer(fetched(place, page, f"maps/{name}"), np.uint8).astype(int) for name in sent["mask"])
    assert one.max() == 255 and (one + rest == 255).all()
    assert "--mask photo_mask1.png photo_mask2.png" in page.execute_script(
        "return document.getElementById('command').textContent"
    )


def begin_large(tools, page, place, folder):
    """Begins a full result of many tiles."""
    image.write(folder / "large.png", smooth(1200, 1600))
    send(page, "photo-file", folder / "large.png")
    tools["wait"](page, "studio.pictures.photo.name === 'large.png'")
    settled(tools, page)
    click(page, "#full")
    tools["wait"](page, "document.getElementById('progress').value > 0")
    assert place.studio.queue.waiting == 1


def test_closing_the_tab_stops_its_work(tools, page, place, tmp_path, monkeypatch):
    monkeypatch.setattr(painter, "TILE", 128)
    first, results = page.current_window_handle, len(place.studio.results)
    page.switch_to.new_window("tab")
    page.get(place.url)
    tools["wait"](page, IDLE)
    begin_large(tools, page, place, tmp_path)
    page.close()
    page.switch_to.window(first)
    pages.until(lambda: place.studio.queue.waiting == 0)
    assert len(place.studio.results) == results
    put(page, "alpha", "70")
    settled(tools, page)


def test_cancel_stops_the_work(tools, page, place, tmp_path, monkeypatch):
    monkeypatch.setattr(painter, "TILE", 128)
    begin_large(tools, page, place, tmp_path)
    click(page, "#cancel")
    tools["wait"](page, "document.getElementById('status').textContent === 'Cancelled.'")
    pages.until(lambda: place.studio.queue.waiting == 0)
    assert not page.find_element("id", "downloads").is_displayed() and page.find_element("id", "full").is_displayed()
    put(page, "alpha", "70")  # and the page goes on
    settled(tools, page)


def test_deep_zoom_to_level_12(tools, page, place):
    click(page, "#tab-zoom")
    send(page, "fit-file", FIT)
    tools["wait"](page, "document.getElementById('viewer').dataset.level")
    x, y, middle = 0.34, 0.41, "const c = document.querySelector('#viewer canvas'); "
    middle += "return [...c.getContext('2d').getImageData(c.width / 2, c.height / 2, 1, 1).data].slice(0, 3)"
    params = files.load(FIT)
    (width, height), places = deep.level_size(params.size, 12), []

    def expected(alpha):
        at = int(x * width), int(y * height)
        tile = deep.tile(params, 12, at[0] // 256, at[1] // 256, alpha)
        return tile[at[1] % 256, at[0] % 256].astype(int)

    def shown(alpha):
        def reached():
            found = np.abs(np.asarray(page.execute_script(middle)) - expected(alpha)).max()
            places.append(found)
            return found <= 3

        pages.until(reached, 90)

    page.execute_script("studio.zoom.go(12, arguments[0], arguments[1])", x, y)
    shown(1.0)
    assert float(page.execute_script("return document.getElementById('viewer').dataset.level")) == pytest.approx(
        12, abs=0.1
    )
    at = f" 12 {int(x * width) // 256}_{int(y * height) // 256} "
    pages.until(lambda: any(at in key for key in place.studio.fits.tiles._kept))
    shown(1.0)
    put(page, "zoom-alpha", "20")
    shown(0.2)
    assert np.abs(expected(1.0) - expected(0.2)).max() > 6  # else it would prove nothing
    assert fetched(place, page, page.execute_script("return document.getElementById('fit-save').getAttribute('href')"))


def test_a_pair_is_fitted_and_cancelled(tools, page, place):
    click(page, "#tab-zoom")
    click(page, "#fit")
    tools["wait"](page, "document.getElementById('fit-progress').value > 0")
    tools["wait"](page, "!document.getElementById('strip').hidden && document.getElementById('strip').naturalWidth > 0")
    click(page, "#fit-cancel")
    tools["wait"](page, "document.getElementById('status').textContent === 'Cancelled.'")
    pages.until(lambda: place.studio.queue.waiting == 0)
    assert page.find_element("id", "fit").is_displayed() and not page.find_element("id", "strip").is_displayed()


def test_two_tabs_at_once(tools, page, place):
    first = page.current_window_handle
    page.switch_to.new_window("tab")
    page.get(place.url)
    tools["wait"](page, IDLE)
    click(page, "#photo-examples button:first-child")
    click(page, "#painting-examples button:first-child")
    second = page.current_window_handle
    names = []
    for handle in (first, second):
        page.switch_to.window(handle)
        settled(tools, page)
        names.append(page.execute_script("return studio.pictures.photo.name"))
        click(page, "#full")
    assert names[0] != names[1]
    for handle in (first, second):
        page.switch_to.window(handle)
        tools["wait"](page, "document.getElementById('shown').textContent.startsWith('Full result')")
    sizes = page.execute_script("return document.getElementById('shown').textContent")
    page.switch_to.window(first)
    assert page.execute_script("return document.getElementById('shown').textContent") != sizes
    open_ = len(place.studio.pages)
    page.switch_to.window(second)
    page.close()
    page.switch_to.window(first)
    pages.until(lambda: len(place.studio.pages) == open_ - 1)


BAD = """
const done = arguments[0];
const paths = ["preview", "results", "command", "focus", "fits", "pictures", "maps?width=3&height=3", "../x", "jobs/x"];
const bodies = [null, "{", "[]", "{}", '{"page": 1}', new Uint8Array(2000), '{"page": "x", "settings": {"photo": 1}}'];
const asked = [];
for (let i = 0; i < 200; i++) {
  const options = {method: ["POST", "PUT", "DELETE"][i % 3], body: bodies[i % bodies.length]};
  asked.push(fetch(paths[i % paths.length], options).then((answer) => answer.status));
}
Promise.all(asked).then(done, (error) => done(String(error)));
"""


def test_two_hundred_bad_requests_of_a_page(tools, page, place):
    codes = page.execute_async_script(BAD)
    assert len(codes) == 200 and {code for code in codes if not 400 <= code < 500} <= {200}
    assert codes.count(200) < 20
    put(page, "alpha", "60")
    settled(tools, page)
    assert place.studio.queue.waiting == 0


def test_the_keyboard_does_all(tools, page):
    from selenium.webdriver.common.keys import Keys

    page.find_element("id", "tab-paint").send_keys(Keys.ARROW_RIGHT)
    assert page.find_element("id", "zoom").is_displayed()
    page.switch_to.active_element.send_keys(Keys.ARROW_LEFT)
    assert page.find_element("id", "paint").is_displayed()
    slider = page.find_element("id", "compare")
    page.execute_script("arguments[0].focus()", slider)
    slider.send_keys(Keys.END)
    assert page.execute_script("return studio.stage.frame.style.getPropertyValue('--at')") == "100%"
    page.find_element("css selector", "[data-mode=compare]").send_keys(Keys.ARROW_RIGHT)
    assert page.execute_script("return studio.stage.mode") == "brush"
    stage = page.find_element("id", "stage")
    page.execute_script("arguments[0].focus()", stage)
    stage.send_keys(Keys.ARROW_LEFT, Keys.SPACE)
    assert page.execute_script("return studio.maps.alpha.data.some((value) => value === 255)")
    stage.send_keys(Keys.CONTROL, "z")
    assert page.execute_script("return studio.maps.alpha.data.every((value) => value === 0)")


LABELS = """
return [...document.querySelectorAll("button, input, select, a, img, [role]")].filter((one) => {
  const label = one.ariaLabel ?? one.getAttribute("aria-labelledby") ?? one.closest("label")?.firstChild.data;
  const decoration = one.id === "status" || (one.tagName === "IMG" && one.alt === "");
  const text = one.tagName === "SELECT" ? "" : one.textContent;
  return !(label?.trim() || text.trim() || one.title || one.alt || decoration);
}).map((one) => one.outerHTML);
"""


@pytest.mark.parametrize(("width", "height"), [(1280, 800), (390, 844)])
def test_everything_has_a_name_and_fits_the_width(tools, page, width, height):
    assert page.execute_script(LABELS) == []
    tools["size"](page, width, height)
    for tab in ("paint", "zoom"):
        click(page, f"#tab-{tab}")
        if tab == "paint":
            click(page, "[data-mode=brush]")
        assert page.execute_script("return document.documentElement.scrollWidth") <= width
        box = page.find_element("css selector", f"#{tab} .hero .room").rect
        assert box["height"] >= 200 and box["width"] >= width * 0.5
    click(page, "#tab-paint")
    target = page.execute_script("return document.getElementById('stage').getBoundingClientRect().toJSON()")
    assert target["left"] >= 0 and target["right"] <= width and target["height"] > 150


@pytest.mark.parametrize("theme", ["light", "dark"])
def test_text_stands_out_in_light_and_dark(page, theme):
    """WCAG: 4.5 to 1 for text."""
    page.execute_script("document.documentElement.dataset.theme = arguments[0]", theme)

    def colour(name):
        value = page.execute_script(
            "return getComputedStyle(document.documentElement).getPropertyValue(arguments[0])", f"--{name}"
        )
        parts = np.asarray([int(value.strip()[i : i + 2], 16) for i in (1, 3, 5)]) / 255
        linear = np.where(parts <= 0.04045, parts / 12.92, ((parts + 0.055) / 1.055) ** 2.4)
        return float(linear @ [0.2126, 0.7152, 0.0722])

    for text, ground in (("ink", "paper"), ("ink", "sheet"), ("soft", "paper"), ("soft", "sheet"), ("soft", "wall")):
        lighter, darker = sorted((colour(text), colour(ground)), reverse=True)
        assert (lighter + 0.05) / (darker + 0.05) >= 4.5, (text, ground)
    lighter, darker = sorted((colour("on-accent"), colour("accent")), reverse=True)
    assert (lighter + 0.05) / (darker + 0.05) >= 4.5


STROKES = """
const done = arguments[0];
import("./brush.js").then(({GreyMap, rest}) => {
  const found = {};
  const stroke = (map, options, ...points) => {
    map.begin({mode: "paint", strength: 1, hardness: 0.5, radius: 8, ...options});
    for (const [x, y] of points) map.to(x, y);
    map.finish();
    return Array.from(map.data);
  };
  const across = [[4, 16], [28, 16]];
  const map = new GreyMap(32, 32);
  found.once = stroke(map, {}, ...across);
  found.twice = stroke(map, {}, ...across);
  found.back = stroke(map, {}, ...across, [4, 16], [28, 16]);
  found.weaker = stroke(map, {strength: 0.4}, ...across);
  found.replaced = stroke(map, {mode: "replace", strength: 0.4}, ...across);
  found.replacedAgain = stroke(map, {mode: "replace", strength: 0.4}, ...across);
  found.erased = stroke(map, {mode: "erase"}, [16, 16]);
  found.erasedAgain = stroke(map, {mode: "erase"}, [16, 16]);
  while (map.canUndo) map.undo();
  found.undone = Array.from(map.data);
  while (map.canRedo) map.redo();
  found.redone = Array.from(map.data);
  map.fill(0); stroke(map, {hardness: 1}, [16, 16]);
  found.hard = Array.from(map.data);
  map.feather(6);
  found.feathered = Array.from(map.data);
  map.invert();
  found.inverted = Array.from(map.data);
  found.rest = Array.from(rest(32, 32, [map]).data);
  found.outside = stroke(new GreyMap(8, 8), {}, [-100, -100], [100, 100]);
  done(found);
}, (error) => done(String(error)));
"""


def test_strokes_never_add_up(page):
    found = page.execute_async_script(STROKES)
    assert isinstance(found, dict), found
    maps = {
        name: np.asarray(values, np.uint8).reshape(-1, 32 if len(values) > 64 else 8) for name, values in found.items()
    }
    once = maps["once"]
    assert once[16, 4:28].min() == 255 and once[0].max() == 0 and 0 < once[10, 16] < 255  # the edge is soft
    for name in ("twice", "back", "weaker"):  # the maximum: the same stroke, to and fro, or a weaker one
        np.testing.assert_array_equal(maps[name], once, name)
    np.testing.assert_array_equal(maps["replaced"], maps["replacedAgain"])
    assert maps["replaced"][16, 16] == 102 and set(np.unique(maps["replaced"][:, 16])) <= {0, 102, *np.unique(once)}
    np.testing.assert_array_equal(maps["erased"], maps["erasedAgain"])
    assert maps["erased"][16, 16] == 0 and maps["erased"][16, 5] == 102
    assert maps["undone"].max() == 0
    np.testing.assert_array_equal(maps["redone"], maps["erased"])
    y, x = np.mgrid[:32, :32] + 0.5
    disc = np.hypot(x - 16, y - 16)
    assert (maps["hard"][disc < 7.9] == 255).all() and (maps["hard"][disc >= 8] == 0).all()
    soft = maps["feathered"].astype(int)
    assert abs(soft.sum() - maps["hard"].sum(dtype=int)) < 0.02 * soft.sum() and 0 < soft[16, 24] < 255
    assert np.abs(np.diff(soft, axis=1)).max() < 80
    np.testing.assert_array_equal(maps["inverted"], 255 - soft)
    np.testing.assert_array_equal(maps["rest"], soft)
    assert maps["outside"].shape == (8, 8)
