"""The studio's routes: what is sent, previews, full results, focus, fits and tiles, and one line for what is wrong."""

import io
import re
import shlex
import struct
import threading
from pathlib import Path

import numpy as np
import pytest
from PIL import Image

import jaxstyle
from jaxstyle import image, methods
from jaxstyle.cli import arguments, main
from jaxstyle.controls.controls import Controls
from jaxstyle.controls.degree import read_maps
from jaxstyle.methods import inr
from jaxstyle.methods.inr.schedule import PRESETS
from jaxstyle.painting import deep
from jaxstyle.sheet.focus import attends
from jaxstyle.studio import painter
from jaxstyle.studio.command import fit_command
from jaxstyle.studio.settings import Wish
from jaxstyle.studio.store import Upload
from jaxstyle.studio.work import Job
from tests import studio as pages
from tests.pictures import LONG, SHORT, smooth

PACKAGE = Path(jaxstyle.__file__).parent / "studio"


@pytest.fixture(scope="module")
def client():
    with pages.client(max_bytes=1 << 20, max_pixels=250_000) as found:
        yield found


def file_of(pixels, format="PNG", **options):
    buffer = io.BytesIO()
    image.write(buffer, pixels, format=format, **options)
    return buffer.getvalue()


def send(client, pixels, name="photo.png", **options):
    data = pixels if isinstance(pixels, bytes) else file_of(pixels, **options)
    answer = client.post("pictures", files={"file": (name, data)})
    assert answer.status_code == 200, answer.text
    return answer.json()["id"]


@pytest.fixture(scope="module")
def photo(client):
    return send(client, smooth(SHORT, LONG))


@pytest.fixture(scope="module")
def painting(client):
    return send(client, np.random.default_rng(0).random((SHORT, SHORT, 3), np.float32), "painting.png")


def full(client, settings):
    """What is told in the end of a full result."""
    told, done = [], threading.Event()

    class Page:
        name = client.page

        def tell(self, event, **facts):
            told.append((event, facts))
            if event in ("done", "failed", "cancelled"):
                done.set()

    client.studio.pages._open[client.page] = Page()
    answer = client.post("results", json={"page": client.page, "settings": settings})
    assert answer.status_code == 200, answer.text
    assert done.wait(120)
    return told


# ---- the page ----------------------------------------------------------------------------------------------


def test_the_page_and_all_that_it_names_are_there(client):
    page = client.get("")
    assert page.status_code == 200 and page.headers["content-type"].startswith("text/html")
    names = re.findall(r'(?:src|href)="([^"#]+)"', page.text)
    assert len(names) >= 3
    for name in names:
        if not name.startswith("data:"):
            assert client.get(name).status_code == 200, name
    for script in (PACKAGE / "page").glob("*.js"):
        for name in re.findall(r'from "\./([^"]+)"', script.read_text(encoding="utf-8")):
            answer = client.get(name)
            assert answer.status_code == 200 and answer.headers["content-type"].startswith("text/javascript"), name
    assert "default-src 'none'" in page.headers["content-security-policy"]
    assert page.headers["referrer-policy"] == "no-referrer" and page.headers["cache-control"] == "no-store"


FETCHES_NOTHING = {
    "page/vendor/openseadragon.min.js": (
        "names of formats that are compared with, never fetched (IIIF, DeepZoom), a tile source of maps that is not "
        "used, and where its own pages are"
    )
}
"""Files of others, kept as they are, in which addresses stand all the same, and why. The page's policy lets it load
nothing from elsewhere, and tests/test_studio_browser.py watches that it does not try."""


def test_nothing_that_is_shipped_has_an_address_elsewhere():
    found = []
    for path in PACKAGE.rglob("*"):
        name = path.relative_to(PACKAGE).as_posix()
        if path.suffix in (".py", ".html", ".css", ".js", ".txt", ".md") and name not in FETCHES_NOTHING:
            found += [(name, match) for match in re.findall(r"https?://\S*", path.read_text(encoding="utf-8"))]
    assert found == []
    for name in FETCHES_NOTHING:
        hosts = set(re.findall(r"https?://([\w.]+)", (PACKAGE / name).read_text(encoding="utf-8")))
        assert hosts == {
            "iiif.io",
            "library.stanford.edu",
            "openseadragon.github.io",
            "schemas.microsoft.com",
            "tile.openstreetmap.org",
        }


def test_facts_are_those_of_the_library(client):
    facts = client.get("facts").json()
    assert [m["name"] for m in facts["methods"]] == [name for name in methods.METHODS if methods.shipped(name)]
    attending = {name for name, method in methods.METHODS.items() if attends(method)}
    assert {method["name"] for method in facts["methods"] if method["attends"]} == attending
    assert [preset["name"] for preset in facts["presets"]] == list(PRESETS)
    assert (facts["max_bytes"], facts["max_pixels"]) == (1 << 20, 250_000)
    for kind in ("photos", "paintings"):
        assert len(facts["examples"][kind]) >= 5
        for one in facts["examples"][kind]:
            assert client.get(f"pictures/{one['id']}?side=256").status_code == 200


def test_shipped_pictures_are_those_of_the_examples():
    folder = Path(__file__).parents[1] / "examples" / "content"
    shipped = {path.name: path for path in (PACKAGE / "examples" / "photos").glob("*.jpg")}
    assert set(shipped) == {path.name for path in folder.glob("*.jpg")}
    for name, path in shipped.items():
        small, large = image.read(path).pixels, image.read(folder / name).pixels
        assert np.abs(small - image.resize(large, small.shape[:2])).mean() < 0.03, name
    assert sum(path.stat().st_size for path in (PACKAGE / "examples").rglob("*.jpg")) < 600_000


# ---- what is sent ------------------------------------------------------------------------------------------


def test_a_picture_is_sent_and_shown(client):
    exif = Image.Exif()
    exif[0x0112] = 6  # turned by a quarter
    buffer = io.BytesIO()
    Image.fromarray(np.uint8(smooth(40, 80) * 255)).save(buffer, "JPEG", exif=exif)
    answer = client.post("pictures", files={"file": ("dir/ph\u00e9to.jpg", buffer.getvalue())})
    assert {**answer.json(), "id": ""} == {"id": "", "name": "ph\u00e9to.jpg", "width": 40, "height": 80}
    view = client.get(f"pictures/{answer.json()['id']}?side=256")
    assert view.headers["content-type"] == "image/jpeg" and image.dimensions(view.content) == (80, 40)
    large = send(client, smooth(300, 200))
    assert image.dimensions(client.get(f"pictures/{large}?side=256").content) == (256, 171)
    assert client.get(f"pictures/{large}?side=100").json() == {"error": "side: expected one of (256, 2048), got 100"}


@pytest.mark.parametrize(
    ("files", "status", "problem"),
    [
        ({"file": ("a.png", b"")}, 400, "a.png: cannot be read: it is an empty file"),
        ({"file": ("a.svg", b"<svg></svg>")}, 400, "a.svg: cannot be read: it is an SVG drawing"),
        ({"file": ("a.png", file_of(smooth(500, 600)))}, 400, "a.png: 600 x 500 is 0.3 megapixels"),
        ({"file": ("a.png", b"\x89PNG\r\n\x1a\n" + bytes(100))}, 400, "a.png: "),
        ({"file": ("a.png", bytes(2 << 20))}, 413, "too large: at most 1 MiB"),
        ({"one": ("a.png", b"1"), "two": ("b.png", b"2")}, 400, "Too many files"),
        ({}, 400, "file: expected a form with one file"),
    ],
)
def test_what_is_no_picture_is_refused(client, files, status, problem):
    answer = client.post("pictures", files=files)
    assert answer.status_code == status
    assert answer.text.startswith(problem) or answer.json()["error"].startswith(problem)


def test_a_bomb_is_refused_by_its_header(client):
    def chunk(kind, data):
        import zlib

        return struct.pack(">I", len(data)) + kind + data + struct.pack(">I", zlib.crc32(kind + data))

    header = struct.pack(">2I5B", 60000, 60000, 8, 2, 0, 0, 0)
    bomb = b"\x89PNG\r\n\x1a\n" + chunk(b"IHDR", header) + chunk(b"IDAT", b"") + chunk(b"IEND", b"")
    answer = client.post("pictures", files={"file": ("bomb.png", bomb)})
    assert answer.status_code == 400 and "60000 x 60000 is 3600.0 megapixels" in answer.json()["error"]


def test_maps_come_as_bytes_or_as_files_and_go_as_both(client):
    values = np.arange(12, dtype=np.uint8).reshape(3, 4) * 20
    name = client.post("maps?width=4&height=3", content=values.tobytes()).json()["id"]
    assert client.get(f"maps/{name}").content == values.tobytes()
    file = client.get(f"maps/{name}.png")
    np.testing.assert_array_equal(np.asarray(Image.open(io.BytesIO(file.content))), values)
    again = client.post("maps?width=4&height=3", files={"file": ("m.png", file.content)}).json()["id"]
    assert client.get(f"maps/{again}").content == values.tobytes()
    doubled = client.post("maps?width=8&height=6", files={"file": ("m.png", file.content)}).json()["id"]
    assert len(client.get(f"maps/{doubled}").content) == 48
    for query, content, problem in (
        ("width=4&height=3", b"12", "map: expected 12 bytes, one for each pixel, got 2"),
        ("width=0&height=3", b"", "map: expected 1 to 250000 pixels"),
        ("width=4000&height=3000", b"", "map: expected 1 to 250000 pixels"),
        ("width=-1&height=3", b"", "width: expected a whole number"),
        ("height=3", b"", "width: expected a whole number"),
    ):
        assert client.post(f"maps?{query}", content=content).json()["error"].startswith(problem)


# ---- painting ----------------------------------------------------------------------------------------------


def test_a_preview_is_what_the_library_makes(client, photo, painting):
    for more in ({"alpha": 0.75}, {"preserve_color": "match", "gradient": "left:0,right:1", "weights": [1]}):
        settings = {"photo": photo, "styles": [painting]} | more
        answer = client.post("preview", json={"page": client.page, "settings": settings})
        assert answer.status_code == 200, answer.text
        look = np.random.default_rng(0).random((SHORT, SHORT, 3), np.float32)
        expected = jaxstyle.stylize(np.uint8(smooth(SHORT, LONG) * 255 + 0.5), np.uint8(look * 255 + 0.5), **more)
        found = image.read(answer.content).pixels
        assert np.abs(found - np.asarray(expected) / 255).mean() < 0.02  # it is a JPEG


def test_maps_are_read_as_those_of_files(client):
    values = np.random.default_rng(0).integers(0, 256, (40, 50), np.uint8)
    file = read_maps(Controls(alpha_map=file_of(values))).alpha_map
    np.testing.assert_array_equal(painter.Grey(values).read(3, 30, 4, 41), file.read(3, 30, 4, 41))
    name = client.post("maps?width=50&height=40", content=values.tobytes()).json()["id"]
    small = client.studio.painter._smaller_map(name, 20, 25).read(0, 20, 0, 25)
    np.testing.assert_allclose(small, values.reshape(20, 2, 25, 2).mean((1, 3)) / 255, atol=1e-6)


def test_where_the_map_is_black_the_preview_is_the_photo(client, photo, painting):
    half = np.zeros((SHORT, LONG), np.uint8)
    half[:, LONG // 2 :] = 255
    name = client.post(f"maps?width={LONG}&height={SHORT}", content=half.tobytes()).json()["id"]
    settings = {"photo": photo, "styles": [painting], "alpha_map": name}
    answer = client.post("preview", json={"page": client.page, "settings": settings})
    off = np.abs(image.read(answer.content).pixels - smooth(SHORT, LONG)).mean((0, 2))
    assert off[: LONG // 2 - 2].max() < 0.03 < off[LONG // 2 + 2 :].min()


def test_only_the_newest_preview_of_a_page_counts(client, photo, painting):
    held, release = threading.Event(), threading.Event()

    def hold(job):
        held.set()
        while not release.wait(0.01):
            job.step()

    client.studio.queue.submit(Job(hold, client.page, slot="preview"))
    assert held.wait(10)
    settings = {"photo": photo, "styles": [painting]}
    answers = {}

    def ask(number):
        answers[number] = client.post("preview", json={"page": client.page, "settings": settings}).status_code

    threads = [threading.Thread(target=ask, args=(number,)) for number in range(5)]
    blocking = client.studio.queue.submit(Job(hold, "another page"))
    for thread in threads:
        thread.start()
    pages.until(lambda: list(answers.values()).count(409) == 4)
    release.set()
    for thread in threads:
        thread.join(60)
    assert sorted(answers.values()) == [200, 409, 409, 409, 409] and blocking.future.done()


def test_the_full_result_is_what_the_copied_command_makes(client, tmp_path, monkeypatch):
    monkeypatch.chdir(tmp_path)
    monkeypatch.setenv("JAXSTYLE_CACHE_DIR", "off")
    exif = Image.Exif()
    exif[315] = "An Artist"
    rng = np.random.default_rng(1)
    files = {"photo.png": file_of(smooth(SHORT, LONG), exif=exif.tobytes())}
    files |= {"it's one.png": file_of(rng.random((19, 19, 3))), "two.png": file_of(rng.random((18, 24, 3)))}
    map_, mask = rng.integers(0, 256, (2, SHORT, LONG), np.uint8)
    names = {name: send(client, data, name) for name, data in files.items()}
    for name, data in files.items():
        (tmp_path / name).write_bytes(data)
    place = f"maps?width={LONG}&height={SHORT}"
    sent = [client.post(place, content=one.tobytes()).json()["id"] for one in (map_, mask, 255 - mask)]
    settings = {
        "photo": names["photo.png"],
        "styles": [names["it's one.png"], names["two.png"]],
        "alpha": 0.9,
        "alpha_map": sent[0],
        "weights": [2, 1],
        "mask": sent[1:],
        "preserve_color": "luminance",
        "size": 18,
        "gradient": "left:0.5,right:1",
    }
    found = client.post("command", json={"settings": settings}).json()
    for name, one in zip([found["alpha_map"], *found["mask"]], sent, strict=True):
        (tmp_path / name).write_bytes(client.get(f"maps/{one}.png").content)
    words = shlex.split(found["command"])
    assert words[0] == "jaxstyle" and main.main(words[1:]) == 0
    event, facts = full(client, settings)[-1]
    assert event == "done" and (facts["width"], facts["height"]) == (25, 18), facts
    png = client.get(f"results/{facts['result']}.png")
    assert png.headers["content-disposition"] == 'attachment; filename="photo_stylized.png"'
    ours, theirs = (Image.open(io.BytesIO(data)) for data in (png.content, (tmp_path / words[-1]).read_bytes()))
    np.testing.assert_array_equal(np.asarray(ours), np.asarray(theirs))
    for kind, format in (("png", "PNG"), ("jpg", "JPEG"), ("tif", "TIFF")):
        opened = Image.open(io.BytesIO(client.get(f"results/{facts['result']}.{kind}").content))
        assert opened.format == format and opened.size == (25, 18) and opened.getexif()[315] == "An Artist"
    assert client.get(f"results/{facts['result']}.view").headers["content-type"] == "image/jpeg"
    assert client.get(f"results/{facts['result']}.exe").status_code == 404


def test_all_controls_stand_in_the_command(client, photo, painting):
    settings = {"photo": photo, "styles": [painting], "alpha": 0.25, "alpha_blend": "features", "size": [30, 20]}
    settings |= {"style_size": 64, "refine": 3, "preserve_color": "histogram", "method": next(iter(methods.METHODS))}
    words = shlex.split(client.post("command", json={"settings": settings}).json()["command"])
    found = arguments.controls(main.parse(words[1:]))
    for name in ("alpha", "alpha_blend", "style_size", "refine", "preserve_color"):
        assert getattr(found, name) == settings[name]
    assert found.size == (30, 20) and words[-2:] == ["-o", "photo_stylized.png"]
    shipped = {"photo": "example-chelsea", "styles": ["example-the-kiss"]}
    words = shlex.split(client.post("command", json={"settings": shipped}).json()["command"])
    assert Path(words[2]).is_file() and words[3:5] == ["--style", "@the-kiss"]
    dash = send(client, smooth(20, 20), "-o.png")
    words = shlex.split(client.post("command", json={"settings": {"photo": dash, "styles": [dash]}}).json()["command"])
    assert main.parse(words[1:]).content == ["./-o.png"]


def test_large_results_come_in_tiles_that_are_told_and_can_be_ended(client, painting, tmp_path, monkeypatch):
    monkeypatch.setattr(painter, "WHOLE", 100)
    monkeypatch.setattr(painter, "TILE", 64)
    monkeypatch.setenv("JAXSTYLE_CACHE_DIR", "off")
    monkeypatch.chdir(tmp_path)
    image.write("photo.png", smooth(100, 150))
    image.write("painting.png", np.random.default_rng(0).random((SHORT, SHORT, 3), np.float32))
    large = send(client, Path("photo.png").read_bytes())
    told = full(client, {"photo": large, "styles": [painting]})
    assert main.main(["stylize", "photo.png", "--style", "painting.png", "--tile", "64", "-o", "out.png"]) == 0
    ours = Image.open(io.BytesIO(client.get(f"results/{told[-1][1]['result']}.png").content))
    np.testing.assert_array_equal(np.asarray(ours), np.asarray(Image.open("out.png")))
    steps = [facts["done"] for event, facts in told if event == "progress"]
    assert len(steps) > 4 and steps == sorted(steps) and told[-1][0] == "done"
    done = []

    class Stopped(Exception):
        pass

    def step():
        if len(done) >= 4:
            raise Stopped

    with pytest.raises(Stopped):
        settings = client.studio.painter.checked({"photo": large, "styles": [painting]})
        client.studio.painter.full(settings, step, lambda number, total: done.append(number))
    assert len(done) == 4 < len(steps)


def test_a_failed_result_is_told(client, painting):
    cut = file_of(smooth(100, 150))[:-2000]
    told = full(client, {"photo": send(client, cut, "cut.png"), "styles": [painting]})
    assert told[-1][0] == "failed" and told[-1][1]["error"].startswith(("picture: ", "cut.png: ")), told[-1]


def test_a_job_is_ended_by_its_name(client, photo, painting):
    held = threading.Event()

    def hold(job):
        while not held.wait(0.01):
            job.step()

    client.studio.queue.submit(Job(hold, "another page"))
    told = []
    done = threading.Event()

    class Page:
        name = client.page

        def tell(self, event, **facts):
            told.append(event)
            done.set()

    client.studio.pages._open[client.page] = Page()
    settings = {"photo": photo, "styles": [painting]}
    job = client.post("results", json={"page": client.page, "settings": settings}).json()["job"]
    assert client.delete(f"jobs/{job}").status_code == 200
    assert done.wait(10) and told == ["cancelled"]
    held.set()
    assert client.delete("jobs/none").status_code == 410


@pytest.mark.slow
def test_focus_is_the_row_of_the_verb(client, photo, painting):
    (attending,) = [name for name, method in methods.METHODS.items() if attends(method)]
    ask = {"page": client.page, "photo": photo, "painting": painting, "method": attending, "x": 0.5, "y": 0.25}
    answer = client.post("focus", json=ask)
    assert answer.status_code == 200 and image.dimensions(answer.content)[0] == 384
    without = next(name for name, method in methods.METHODS.items() if not attends(method))
    long = send(client, smooth(8, 400))
    for change, problem in (
        ({"method": without}, "without attention"),
        ({"x": 1}, "at: expected two numbers"),
        ({"y": "a"}, "at: expected two numbers"),
        ({"photo": long}, "400 x 8 is too long"),
        ({"method": [1]}, "method: expected one of"),
    ):
        answer = client.post("focus", json=ask | change)
        assert answer.status_code == 400 and problem in answer.json()["error"]


# ---- fits and tiles ----------------------------------------------------------------------------------------

SPEC = inr.Spec(octaves=4, width=8, depth=3, skip=0, bottleneck=4)


@pytest.fixture(scope="module")
def params():
    import jax

    return inr.init(jax.random.key(0), SPEC, size=(300, 200))


@pytest.fixture(scope="module")
def fit(client, params, tmp_path_factory):
    path = tmp_path_factory.mktemp("fit") / "inr.safetensors"
    inr.save(path, params)
    answer = client.post("fits/open", files={"file": ("mine.safetensors", path.read_bytes())})
    assert answer.status_code == 200, answer.text
    facts = {"name": "mine.safetensors", "width": 300, "height": 200, "tile": 256}
    facts |= {"command": "jaxstyle render mine.safetensors -o out.png --size 1024x683 --alpha 0.5"}
    assert answer.json() == facts | {"fit": answer.json()["fit"]}
    assert client.get(f"fits/{answer.json()['fit']}.safetensors").content == path.read_bytes()
    return answer.json()["fit"]


def test_the_command_of_a_fit(photo):
    pair = [Upload(name, b"", 30, 20) for name in ("-a photo.png", "b.png")]
    words = shlex.split(fit_command(Wish("p", "q", "preview", steps=5, seed=7), pair, "a_b.safetensors"))
    found = main.parse(words[1:])
    assert (found.content, found.style, found.output) == ("./-a photo.png", "b.png", "a_b.safetensors")
    assert (found.preset, found.size, found.steps, found.seed) == ("preview", None, 5, 7)


def tile(client, fit, level, x, y, alpha=1.0):
    answer = client.get(f"tile/{fit}/{level}/{x}_{y}.png?alpha={alpha}")
    assert answer.status_code == 200, answer.text
    return np.asarray(Image.open(io.BytesIO(answer.content)))


def test_tiles_are_the_picture(client, fit, params):
    whole = np.asarray(inr.render_image(params, (600, 400), 0.5))
    put = np.zeros((400, 600, 3), np.uint8)
    for x in range(3):
        for y in range(2):
            found = tile(client, fit, 1, x, y, 0.5)
            put[y * 256 : y * 256 + 256, x * 256 : x * 256 + 256] = found
    assert np.abs(put / 255 - whole).max() <= 0.6 / 255


def test_a_tile_of_level_12_is_where_it_belongs(client, fit, params):
    """A million pixels wide: its colours are those of its points, computed from the definition of the coordinates."""
    width, height, x, y = 300 << 12, 200 << 12, 2345, 1234
    found = tile(client, fit, 12, x, y)
    rows, columns = np.mgrid[0:256:51, 0:256:51]
    at = np.stack([-1 + (2 * (x * 256 + columns) + 1) / width, -1 + (2 * (y * 256 + rows) + 1) / height], -1)
    expected = np.asarray(inr.render(params, at.astype(np.float32), 1.0))
    assert np.abs(found[::51, ::51] / 255 - expected).max() <= 0.6 / 255


def test_tiles_are_kept_and_bounded(client, fit):
    before = len(client.studio.fits.tiles)
    first = tile(client, fit, deep.DEEPEST, 0, 0)
    assert np.ptp(first.astype(int), axis=(0, 1)).max() <= 1  # all of it is one point
    np.testing.assert_array_equal(tile(client, fit, deep.DEEPEST, 0, 0), first)
    assert len(client.studio.fits.tiles) == before + 1
    for path, problem in (
        (f"tile/{fit}/41/0_0.png", "level: expected 0 to 40"),
        (f"tile/{fit}/0/2_0.png", "tile: there is no 2_0 in level 0 of 300 x 200"),
        (f"tile/{fit}/0/-1_0.png", "x: expected a whole number"),
        (f"tile/{fit}/0/0_0.png?alpha=2", "alpha: expected a number"),
        (f"tile/{fit}/0/0_0.png?alpha=nan", "alpha: expected a number"),
        (f"tile/{fit}/0/0_0.png?alpha=a", "alpha: expected a number"),
        (f"tile/{fit}/{'9' * 4000}/0_0.png", "level: expected a whole number"),
        ("tile/none/0/0_0.png", "fit: it is not here any more"),
    ):
        answer = client.get(path)
        assert answer.status_code in (400, 410) and answer.json()["error"].startswith(problem), path


@pytest.mark.parametrize("data", [b"", b"no fit", b"\xff" * 8 + b"{}", (8).to_bytes(8, "little") + b'{"a": 1}'])
def test_what_is_no_fit_is_refused(client, data):
    answer = client.post("fits/open", files={"file": ("../mine.safetensors", data)})
    assert answer.status_code == 400 and answer.json()["error"].startswith("mine.safetensors: ")
    assert "/" not in answer.json()["error"].replace("safetensors/", "")


@pytest.mark.parametrize(
    ("change", "problem"),
    [
        ({"preset": "none"}, "preset: expected one of"),
        ({"preset": 3}, "preset: expected text"),
        ({"size": 5000}, "size: expected a whole number from 16 to 1024"),
        ({"steps": True}, "steps: expected a whole number"),
        ({"seed": -1}, "seed: expected a whole number"),
        ({"stage": 1}, "fit: expected an object with"),
    ],
)
def test_bad_fits_are_one_line(client, photo, painting, change, problem):
    wanted = {"photo": photo, "painting": painting, "preset": "preview"} | change
    answer = client.post("fits", json={"page": client.page, "fit": wanted})
    assert answer.status_code == 400 and answer.json()["error"].startswith(problem)


# ---- what is wrong -----------------------------------------------------------------------------------------


@pytest.mark.parametrize(
    ("path", "body", "status", "problem"),
    [
        ("preview", b"", 400, "request: expected JSON"),
        ("preview", b"[" * 100_000, 400, "request: expected JSON"),
        ("preview", b"1" * 10_000, 400, "request: expected JSON"),
        ("preview", b"\xff\xfe", 400, "request: expected JSON"),
        ("preview", b"{}", 400, "request: expected an object with page, settings"),
        ("preview", b'{"page": "none", "settings": {}}', 400, "page: it is closed"),
        ("preview", b'{"page": {}, "settings": {}}', 400, "page: it is closed"),
        ("results", b'{"page": 1, "settings": {"photo": "x", "styles": ["y"]}}', 410, "picture: it is not here"),
        ("command", b'{"settings": {"photo": "x", "styles": ["y"]}}', 410, "picture: it is not here"),
        ("nothing", b"", 404, "Not Found"),
    ],
)
def test_bad_requests_are_one_line(client, path, body, status, problem):
    answer = client.post(path, content=body)
    assert answer.status_code == status and answer.json()["error"].startswith(problem), answer.text


def test_a_mistake_of_ours_is_said_and_not_the_end(client, monkeypatch, capsys):
    monkeypatch.setattr(painter.Painter, "checked", lambda *arguments: {}["missing"])
    answer = client.post("command", json={"settings": {}})
    assert answer.status_code == 500 and "made a mistake (KeyError)" in answer.json()["error"]
    assert "Traceback" in capsys.readouterr().err
    monkeypatch.undo()
    assert client.get("facts").status_code == 200


def test_no_path_of_a_client_is_opened(client, photo, painting, tmp_path, monkeypatch):
    """Whatever names are sent: the only files that are opened are temporary ones of its own."""
    secret = tmp_path / "secret.png"
    secret.write_bytes(file_of(smooth(8, 8)))
    opened = []

    def hook(event, arguments):
        if event == "open" and isinstance(arguments[0], str | bytes | Path) and watching:
            opened.append(str(arguments[0]))

    watching = True
    import sys

    sys.addaudithook(hook)
    for name in (str(secret), f"..{secret}", f"file:{secret}", "%2e%2e%2f" * 8 + str(secret)):
        for settings in ({"photo": name}, {"alpha_map": name}, {"mask": [name]}, {"styles": [name]}):
            ask = {"photo": photo, "styles": [painting]} | settings
            assert client.post("command", json={"settings": ask}).status_code == 410
        for path in (f"pictures/{name}", f"maps/{name}", f"maps/{name}.png", f"fits/{name}.safetensors", name):
            assert client.get(path).status_code in (403, 404, 410)
        assert client.post("pictures", files={"file": (name, b"x")}).status_code == 400
    watching = False
    assert not [path for path in opened if "secret" in path]
