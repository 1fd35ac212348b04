"""Draws docs/slip-page.png: the verifying page with a genuine slip, in a window of a phone's width, both languages."""

from __future__ import annotations

import io
import shutil
import sys
import tempfile
from pathlib import Path

from PIL import Image
from playwright.sync_api import sync_playwright

sys.path.insert(0, str(Path(__file__).parent.parent))

from tests.broker import Town
from tests.slip_pages import make
from tests.test_slip_page_browser import Fleet, Host

OUT = Path(__file__).parent.parent / "docs" / "slip-page.png"


def main() -> None:
    """A demonstration's fleet on a web server of this machine."""
    with tempfile.TemporaryDirectory() as directory:
        place = Town(Path(directory) / "town", demo=False)
        host = Host(Path(directory) / "www")
        make(host.root / "S", place.fleet.ca.read_bytes(), address="https://verify.example.cn/S/")
        host.start()
        fleet = Fleet(place, host)
        fleet.publish()
        with sync_playwright() as playwright:
            browser = playwright.chromium.launch(
                executable_path=shutil.which("chromium"), args=["--no-sandbox"]
            )
            shots = []
            for locale in ("zh-CN", "en-GB"):
                page = browser.new_context(locale=locale, viewport={"width": 390, "height": 1100}).new_page()
                page.goto(f"{host.address}#{fleet.slip().partition('#')[2]}")
                page.wait_for_selector("#verdict:not([hidden])")
                shots.append(Image.open(io.BytesIO(page.screenshot())))
            browser.close()
        host.stop()
    sheet = Image.new("RGB", (sum(one.width for one in shots) + 20, shots[0].height), "#888888")
    for number, shot in enumerate(shots):
        sheet.paste(shot, (number * (shot.width + 20), 0))
    sheet.quantize(64).save(OUT, optimize=True)


if __name__ == "__main__":
    main()
