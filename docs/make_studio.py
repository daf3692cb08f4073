"""Makes the pictures of docs/studio.md in a headless Chromium: ``python docs/make_studio.py``.

Needs jaxstyle[studio], the package selenium, and Chromium with its driver (Debian: chromium and chromium-driver).
"""

import contextlib
import io
import shutil
import tempfile
import time
from collections.abc import Iterator
from pathlib import Path
from typing import Any

from PIL import Image
from selenium import webdriver
from selenium.webdriver.chrome.service import Service

from jaxstyle.runtime import cache
from jaxstyle.studio import serve

HERE = Path(__file__).parent
FIT = HERE.parent / "examples" / "inr" / "chelsea_starry_night.safetensors"
CHROMIUM = shutil.which("chromium") or shutil.which("chromium-browser") or shutil.which("google-chrome")
DRIVER = shutil.which("chromedriver")
FLAGS = (
    "--headless",
    "--no-sandbox",
    "--disable-gpu",
    "--disable-quic",
    "--no-first-run",
    "--disable-background-networking",
    "--disable-component-update",
    "--disable-sync",
    "--hide-scrollbars",
)
PATIENCE = 120


@contextlib.contextmanager
def browser(width: int = 1440, height: int = 960, *more: str) -> Iterator[Any]:
    """A Chromium with an empty profile and a log of all its requests."""
    with tempfile.TemporaryDirectory(prefix="jaxstyle-chromium-", ignore_cleanup_errors=True) as profile:
        options = webdriver.ChromeOptions()
        options.binary_location = f"{CHROMIUM}"
        for flag in (*FLAGS, f"--user-data-dir={profile}", *more):
            options.add_argument(flag)
        options.set_capability("goog:loggingPrefs", {"browser": "ALL", "performance": "ALL"})
        found = webdriver.Chrome(options=options, service=Service(f"{DRIVER}"))
        try:
            found.set_window_size(width, height)
            size(found, width, height)
            found.set_script_timeout(PATIENCE)
            yield found
        finally:
            found.quit()


def size(found: Any, width: int, height: int) -> None:
    """Gives the page itself this size, whatever the window has around it."""
    metrics = {"width": width, "height": height, "deviceScaleFactor": 1, "mobile": width < 600}
    found.execute_cdp_cmd("Emulation.setDeviceMetricsOverride", metrics)


def wait(found: Any, condition: str, seconds: float = PATIENCE) -> Any:
    """What a JavaScript expression gives as soon as it is true."""
    end = time.monotonic() + seconds
    while not (value := found.execute_script(f"return {condition}")):
        if time.monotonic() > end:
            raise TimeoutError(f"never true: {condition}")
        time.sleep(0.05)
    return value


SHOWN = "window.studio && studio.stage.frame.dataset.preview && !studio.stage.frame.classList.contains('busy')"
"""Whether a preview is there and no other is on its way."""

STROKE = """
studio.stage.dispatchEvent(new CustomEvent("begin"));
studio.stage.map.begin({mode: "paint", strength: 1, hardness: 0.3, radius: 90});
for (const [x, y] of [[330, 60], [420, 130], [330, 190], [440, 250], [300, 280]]) studio.stage.map.to(x, y);
studio.stage.map.finish();
studio.stage.redraw();
studio.stage.dispatchEvent(new CustomEvent("stroke"));
"""


def shot(found: Any, name: str, quality: int = 72) -> None:
    """Writes what the page shows."""
    time.sleep(0.4)
    picture = Image.open(io.BytesIO(found.get_screenshot_as_png())).convert("RGB")
    picture.save(HERE / "studio" / f"{name}.jpg", quality=quality, optimize=True)


def main() -> None:
    """Writes all of them anew."""
    cache.enable()
    (HERE / "studio").mkdir(exist_ok=True)
    with serve.in_thread() as place, browser(1280, 800) as page:
        page.get(place.url)
        wait(page, SHOWN)
        page.execute_script("studio.stage.split(34)")
        shot(page, "paint")
        page.execute_script("document.querySelector('[data-mode=brush]').click()")
        page.execute_script(STROKE)
        time.sleep(1)
        wait(page, SHOWN)
        page.execute_script("document.getElementById('theme').click(); document.getElementById('theme').click()")
        shot(page, "brush")
        page.execute_script("document.getElementById('tab-zoom').click()")
        page.find_element("id", "fit-file").send_keys(str(FIT))
        wait(page, "document.getElementById('viewer').dataset.level")
        page.execute_script("studio.zoom.go(3, 0.33, 0.42)")
        time.sleep(1)
        wait(page, "studio.zoom.whole")
        shot(page, "zoom")
        page.execute_script("document.getElementById('tab-paint').click()")
        page.execute_script("document.querySelector('[data-mode=compare]').click()")
        page.execute_script("document.getElementById('theme').click()")
        size(page, 390, 844)
        shot(page, "phone")


if __name__ == "__main__":
    main()
