"""The verifying page in a real browser: every way in, every verdict, both languages, no network, nothing sent out."""

from __future__ import annotations

import functools
import http.server
import json
import os
import shutil
import threading
from collections.abc import Iterator
from dataclasses import dataclass, field
from datetime import timedelta
from pathlib import Path
from typing import Any, Final

import numpy as np
import pytest
import zxingcpp
from PIL import Image
from playwright.sync_api import Browser, BrowserContext, Page, sync_playwright

from edged.central import slip_files
from edged.messages import text as say
from edged.slip import content, url
from edged.slip.facts import SlipFacts
from edged.slip.signing import sign_slip
from edged.uplink import slip_status
from edged.uplink.names import Role
from edged.uplink.slip_status import DeviceSlips, Superseded
from edged.verdict import Kind
from tests import slips
from tests.broker import NOW, Town
from tests.directories import Made
from tests.slip_pages import make

CHROMIUM: Final = shutil.which("chromium")
T: Final = int(NOW.timestamp())
PAGE_PATH: Final = "/S/"
"""Upper case, as a QR code has it."""
SIZE: Final = (640, 640)
PATIENCE_MS: Final = 15_000

pytestmark = pytest.mark.skipif(
    CHROMIUM is None, reason="the page is tested in Chromium: apt install chromium"
)


@dataclass
class Host:
    """A plain web server, and what it was asked for."""

    root: Path
    requests: list[str] = field(default_factory=list)
    server: http.server.ThreadingHTTPServer | None = None

    def start(self, port: int = 0) -> None:
        outer = self

        class Handler(http.server.SimpleHTTPRequestHandler):
            def log_message(self, *_: Any) -> None:
                outer.requests.append(self.requestline + " " + str(self.headers.get("Referer", "")))

        self.server = http.server.ThreadingHTTPServer(
            ("127.0.0.1", port), functools.partial(Handler, directory=str(self.root))
        )
        threading.Thread(
            target=self.server.serve_forever, kwargs={"poll_interval": 0.02}, daemon=True
        ).start()

    @property
    def address(self) -> str:
        assert self.server is not None
        return f"http://localhost:{self.server.server_address[1]}{PAGE_PATH}"

    def stop(self) -> None:
        assert self.server is not None
        self.server.shutdown()
        self.server.server_close()


@dataclass
class Fleet:
    """A fleet, its page on a web server, and what the centre publishes beside it."""

    place: Town
    host: Host

    @property
    def out(self) -> Path:
        return self.host.root / PAGE_PATH.strip("/")

    def slip(self, device: str = "box-1", **changes: Any) -> str:
        return url.build("https://verify.example.cn/S", self.cose(device, **changes))

    def cose(self, device: str = "box-1", **changes: Any) -> bytes:
        facts = slips.facts(**({"device": device, "at": T - 60, "expires": T + slips.DAY} | changes))
        return sign_slip(facts, self.place.signer(Role.DEVICE, device), "https://verify.example.cn/S").cose

    def publish(self, *, at: int = T, made: Made | None = None, **devices: DeviceSlips) -> None:
        found = {name.replace("_", "-"): one for name, one in devices.items()} or {"box-1": slips.nothing()}
        signer = self.place.signer(Role.COLLECTOR, "centre")
        now = NOW + timedelta(seconds=at - T)
        slip_files.write_status(self.out, slip_status.seal_status(found, now=now, signer=signer))
        made = made or Made(self.place)
        pages = dict(zip(made.payload.pages, made.pages, strict=True))
        slip_files.write_directory(self.out, made.head.decode(), pages)


def photo(text: str) -> Image.Image:
    """The code of a slip on white paper, as a camera sees it: grey, not to the edge."""
    code = zxingcpp.create_barcode(text, zxingcpp.BarcodeFormat.QRCode, ec_level="M")
    drawn = Image.fromarray(np.array(code.to_image(scale=5, add_quiet_zones=True)))
    paper = Image.new("L", SIZE, 235)
    paper.paste(drawn.resize((560, 560)), (40, 40))
    return paper


def y4m(path: Path, picture: Image.Image) -> None:
    """A film of one picture, which Chromium shows as a camera, over and over."""
    luma = np.asarray(picture, np.uint8).tobytes()
    chroma = bytes([128]) * (SIZE[0] * SIZE[1] // 2)
    frame = b"FRAME\n" + luma + chroma
    path.write_bytes(f"YUV4MPEG2 W{SIZE[0]} H{SIZE[1]} F10:1 Ip A1:1 C420\n".encode() + frame * 2)


@pytest.fixture(scope="module")
def fleet(tmp_path_factory: pytest.TempPathFactory) -> Iterator[Fleet]:
    place = Town(tmp_path_factory.mktemp("town"), demo=False)
    host = Host(tmp_path_factory.mktemp("www"))
    make(host.root / "S", place.fleet.ca.read_bytes(), address="https://verify.example.cn/S/")
    host.start()
    yield Fleet(place, host)
    host.stop()


@pytest.fixture(scope="module")
def film(tmp_path_factory: pytest.TempPathFactory, fleet: Fleet) -> Path:
    path = tmp_path_factory.mktemp("film") / "slip.y4m"
    y4m(path, photo(fleet.slip()))
    return path


@pytest.fixture(scope="module")
def browser(film: Path) -> Iterator[Browser]:
    camera = ["--use-fake-ui-for-media-stream", "--use-fake-device-for-media-stream"]
    with sync_playwright() as playwright:
        started = playwright.chromium.launch(
            executable_path=CHROMIUM,
            args=[
                *camera,
                f"--use-file-for-fake-video-capture={film}",
                *(["--no-sandbox"] if os.geteuid() == 0 else []),
            ],
        )
        yield started
        started.close()


class Visitor:
    """Somebody with a phone: a window, and everything that went wrong or out in it."""

    def __init__(self, context: BrowserContext, fleet: Fleet) -> None:
        self.context = context
        self.fleet = fleet
        self.page: Page = context.new_page()
        self.faults: list[str] = []
        self.asked: list[str] = []
        self.page.set_default_timeout(PATIENCE_MS)
        self.page.on(
            "console",
            lambda said: self.faults.append(said.text) if said.type in ("error", "warning") else None,
        )
        self.page.on("pageerror", lambda error: self.faults.append(str(error)))
        context.on("request", lambda request: self.asked.append(request.url))

    def open(self, text: str = "") -> None:
        self.page.goto(self.fleet.host.address + (f"#{text.partition('#')[2]}" if text else ""))
        self.page.wait_for_selector("#ways:not([hidden])")

    def verdict(self) -> str:
        self.page.wait_for_selector("#verdict:not([hidden])")
        return str(self.page.get_attribute("#verdict", "data-verdict"))

    def shown(self, selector: str) -> str:
        return self.page.inner_text(selector)

    def kept(self) -> None:
        self.page.wait_for_selector("#offline:not(:empty)")


@pytest.fixture
def visitor(browser: Browser, fleet: Fleet, request: pytest.FixtureRequest) -> Iterator[Visitor]:
    """A visit after which nothing has gone wrong in the window, or out of it."""
    fleet.publish()
    fleet.host.requests.clear()
    keeps: Any = "allow" if "without_a_network" in request.node.name else "block"
    language = getattr(request, "param", "en-GB")
    context = browser.new_context(locale=language, permissions=["camera"], service_workers=keeps)
    guest = Visitor(context, fleet)
    yield guest
    context.close()
    offline = ("ERR_INTERNET_DISCONNECTED", "ERR_FAILED", "404", "Worker registration blocked by Playwright")
    assert [one for one in guest.faults if not any(word in one for word in offline)] == []
    origin = fleet.host.address.removesuffix(PAGE_PATH)
    assert [one for one in guest.asked if not one.startswith(origin)] == []
    assert not any("#" in one or "%25" in one or "?" in one for one in fleet.host.requests)


def cases(fleet: Fleet) -> dict[str, tuple[str, dict[str, Any]]]:
    number = slips.facts().number
    until = T + slips.DAY
    other = fleet.cose().replace("滨".encode(), "淮".encode())
    return {
        "genuine": (fleet.slip(), {}),
        "altered": ("#" + url.fragment(other), {}),
        "unknown": (fleet.slip("box-9"), {}),
        "withdrawn": (fleet.slip(), {"box_1": slips.nothing(withdrawn={number: until})}),
        "superseded": (
            fleet.slip(),
            {"box_1": slips.nothing(superseded={number: Superseded("0" * 12, until)})},
        ),
        "expired": (fleet.slip(expires=T - 30), {}),
        "undetermined": (fleet.slip(), {"at": T - 3 * slips.DAY}),
    }


@pytest.mark.parametrize(
    "word", ["genuine", "altered", "unknown", "withdrawn", "superseded", "expired", "undetermined"]
)
def test_the_address_of_a_code_gives_its_verdict(visitor: Visitor, fleet: Fleet, word: str) -> None:
    text, published = cases(fleet)[word]
    fleet.publish(**published)
    visitor.open(text)
    assert visitor.verdict() == word
    assert visitor.shown("#verdict-word") == say(f"slip.verdict_{word}", "en")
    assert visitor.shown("#verdict-next") == say(f"slip_page.next_{word}", "en")
    assert visitor.page.evaluate("location.hash") == ""
    assert visitor.page.evaluate("document.activeElement.id") == "verdict"
    signed = word not in ("altered", "unknown")
    assert visitor.page.locator("#lines li").count() == (len(content.lines(facts_of(fleet))) if signed else 0)


def facts_of(fleet: Fleet) -> SlipFacts:
    from edged.slip import claims, cose

    return claims.decode(cose.parse(fleet.cose()).payload)


@pytest.mark.parametrize("visitor", ["zh-CN", "en-GB"], indirect=True)
def test_every_line_is_shown_in_both_languages(visitor: Visitor, fleet: Fleet) -> None:
    visitor.open(fleet.slip())
    visitor.verdict()
    own = 0 if visitor.page.evaluate("document.documentElement.lang") == "zh-CN" else 1
    assert own == (0 if visitor.page.evaluate("navigator.language") == "zh-CN" else 1)
    for line in content.lines(facts_of(fleet)):
        item = f'#lines [data-key="{line.key}"]'
        assert visitor.shown(f"{item} .value") == line.value[own]
        assert line.value[1 - own] in visitor.shown(item)
    visitor.page.click(f'[data-language="{("en", "zh-CN")[own]}"]')
    assert visitor.shown("#verdict-word") == say("slip.verdict_genuine", ("en", "zh-CN")[own])
    assert visitor.shown("h1") == say("slip_page.title", ("en", "zh-CN")[own])


@pytest.mark.parametrize("kind", [Kind.TEST, Kind.TRAINING])
def test_a_slip_of_a_test_says_so_and_isnt_green(visitor: Visitor, fleet: Fleet, kind: Kind) -> None:
    visitor.open(fleet.slip(kind=kind))
    assert visitor.verdict() == "genuine"
    assert visitor.page.get_attribute("#verdict", "data-tone") == "unsure"
    assert visitor.shown("#verdict-banner") == say(f"slip.banner_{kind}", "en")
    assert visitor.shown("#verdict-next") == say("slip_page.next_test", "en")


def test_once_loaded_it_works_without_a_network_until_the_list_is_too_old(
    visitor: Visitor, fleet: Fleet
) -> None:
    visitor.open()
    visitor.kept()
    visitor.context.set_offline(True)
    fleet.host.requests.clear()
    visitor.page.goto("about:blank")
    visitor.open(fleet.slip())
    assert visitor.verdict() == "genuine"
    assert fleet.host.requests == []
    visitor.page.clock.set_fixed_time(NOW + timedelta(days=3))
    visitor.page.goto("about:blank")
    visitor.open(fleet.slip(expires=T + 9 * slips.DAY))
    assert visitor.verdict() == "undetermined"
    assert "72 hours" in visitor.shown("#list")


def test_an_old_list_takes_no_withdrawal_back(visitor: Visitor, fleet: Fleet) -> None:
    old = (fleet.out / "status.jws").read_bytes()
    fleet.publish(at=T + 1, box_1=slips.nothing(withdrawn={slips.facts().number: T + slips.DAY}))
    visitor.open(fleet.slip())
    assert visitor.verdict() == "withdrawn"
    (fleet.out / "status.jws").write_bytes(old)
    visitor.page.goto("about:blank")
    visitor.open(fleet.slip())
    assert visitor.verdict() == "withdrawn"


@pytest.mark.parametrize("missing", ["status.jws", "directory/head.jws"])
def test_without_what_the_fleet_publishes_nothing_is_genuine(
    visitor: Visitor, fleet: Fleet, missing: str
) -> None:
    (fleet.out / missing).unlink()
    visitor.open(fleet.slip())
    assert visitor.verdict() == "undetermined"


def test_a_photo_gives_the_same(visitor: Visitor, fleet: Fleet, tmp_path: Path) -> None:
    photo(fleet.slip()).save(tmp_path / "slip.png")
    photo(fleet.slip()).convert("RGB").rotate(7, expand=True, fillcolor=(200, 200, 200)).save(
        tmp_path / "slip.jpg", quality=60
    )
    visitor.open()
    for name in ("slip.png", "slip.jpg"):
        visitor.page.set_input_files("#photo", tmp_path / name)
        assert visitor.verdict() == "genuine"
        visitor.page.evaluate("document.getElementById('verdict').hidden = true")


def test_what_is_no_slip_is_refused_with_what_to_do(visitor: Visitor, tmp_path: Path) -> None:
    Image.new("L", (300, 300), 255).save(tmp_path / "empty.png")
    photo("https://example.cn/").save(tmp_path / "other.png")
    (tmp_path / "slip.pdf").write_bytes(b"%PDF-1.7")
    (tmp_path / "broken.jpg").write_bytes(b"\xff\xd8 no")
    visitor.open()
    for name, code in (
        ("empty.png", "slip_page.no_code"),
        ("other.png", "slip.not_a_slip"),
        ("slip.pdf", "slip_page.pdf"),
        ("broken.jpg", "slip_page.no_picture"),
    ):
        visitor.page.set_input_files("#photo", tmp_path / name)
        visitor.page.get_by_text(say(code, "en"), exact=True).wait_for()


def test_the_camera_finds_the_slip_and_goes_out(visitor: Visitor) -> None:
    visitor.open()
    visitor.page.click("#camera-start")
    assert visitor.verdict() == "genuine"
    visitor.page.wait_for_selector("#camera", state="hidden")
    assert visitor.page.evaluate("document.getElementById('video').srcObject === null")


def test_the_browsers_own_detector_is_used_where_there_is_one(
    visitor: Visitor, fleet: Fleet, tmp_path: Path
) -> None:
    slip = json.dumps(fleet.slip())
    visitor.page.add_init_script(
        "globalThis.BarcodeDetector = class { static async getSupportedFormats() { return ['qr_code'] }"
        f" async detect() {{ return [{{ rawValue: {slip} }}] }} }};"
    )
    Image.new("L", (300, 300), 255).save(tmp_path / "empty.png")
    visitor.open()
    visitor.page.set_input_files("#photo", tmp_path / "empty.png")
    assert visitor.verdict() == "genuine"
    assert visitor.page.evaluate("globalThis.jsQR === undefined")


def test_an_address_without_its_last_stroke_leads_there_too(visitor: Visitor, fleet: Fleet) -> None:
    visitor.page.goto(f"{fleet.host.address.removesuffix('/')}#{fleet.slip().partition('#')[2]}")
    assert visitor.verdict() == "genuine"


def test_a_typed_address_and_another_code_in_the_same_window(visitor: Visitor, fleet: Fleet) -> None:
    visitor.open()
    visitor.page.fill("#address", fleet.slip("box-9"))
    visitor.page.click("#typed button")
    assert visitor.verdict() == "unknown"
    assert visitor.page.input_value("#address") == ""
    fragment = json.dumps(fleet.slip().partition("#")[2])
    visitor.page.evaluate(f"location.hash = {fragment}")
    visitor.page.wait_for_selector("#verdict[data-verdict=genuine]")


HOSTILE: Final = (
    "<img src=x onerror=a()>",
    "</li><script>a()</script>"[:24],
    "<svg/onload=a()>",
    "&lt;b&gt;",
    "{name}${a()}",
)


def test_no_text_of_a_slip_is_ever_markup(visitor: Visitor, fleet: Fleet) -> None:
    visitor.page.add_init_script("globalThis.a = () => { globalThis.hacked = true }")
    for text in HOSTILE:
        fits = text[:12]
        visitor.page.goto("about:blank")
        visitor.open(fleet.slip(site=text, name=fits, document_number=text, issuer=text[:3]))
        assert visitor.verdict() == "genuine"
        assert visitor.shown('#lines [data-key="site"] .value') == text
        assert visitor.shown('#lines [data-key="name"] .value') == fits
        assert visitor.page.locator("#lines img, #lines svg, #lines script, #lines b").count() == 0
    assert visitor.page.evaluate("globalThis.hacked === undefined")


def test_the_policy_of_the_page_is_in_force(browser: Browser, fleet: Fleet) -> None:
    context = browser.new_context(service_workers="block")
    page = context.new_page()
    page.goto(fleet.host.address)
    page.wait_for_selector("#ways:not([hidden])")
    assert page.evaluate("fetch('https://example.com/').then(() => 'sent', () => 'refused')") == "refused"
    assert (
        page.evaluate(
            "(() => { try { document.body.innerHTML = '<b>'; return 'set' } catch { return 'refused' } })()"
        )
        == "refused"
    )
    inline = (
        "const s = document.createElement('script');"
        "try { s.textContent = 'globalThis.ran = 1' } catch {} document.head.append(s);"
    )
    page.evaluate(inline)
    assert page.evaluate("globalThis.ran === undefined")
    context.close()


def test_it_fits_the_narrowest_window_and_is_worked_by_keyboard(visitor: Visitor, fleet: Fleet) -> None:
    visitor.page.set_viewport_size({"width": 320, "height": 568})
    visitor.open(fleet.slip(device="box-1", document_number="9" * 24))
    visitor.verdict()
    assert visitor.page.evaluate("document.documentElement.scrollWidth") <= 320
    reached = set()
    for _ in range(12):
        visitor.page.keyboard.press("Tab")
        reached.add(
            visitor.page.evaluate("document.activeElement.id || document.activeElement.dataset.language")
        )
    assert {"camera-start", "photo", "address"} <= reached
    nameless = (
        "[...document.querySelectorAll('button, input, textarea')]"
        ".filter(one => !(one.textContent.trim() || one.labels?.[0]?.textContent.trim()))"
    )
    assert visitor.page.evaluate(f"{nameless}.length") == 0


@pytest.mark.parametrize("scheme", ["light", "dark"])
def test_colours_can_be_told_from_their_ground(visitor: Visitor, fleet: Fleet, scheme: Any) -> None:
    visitor.page.emulate_media(color_scheme=scheme)
    visitor.open(fleet.slip())
    visitor.verdict()
    for selector, ground in (
        ("body", "body"),
        ("#lines .caption", "body"),
        ("#camera-start", "#camera-start"),
        (".verdict", ".verdict"),
    ):
        colours = visitor.page.evaluate(
            "([a, b]) => [getComputedStyle(document.querySelector(a)).color,"
            " getComputedStyle(document.querySelector(b)).backgroundColor]",
            [selector, ground],
        )
        assert contrast(*colours) >= 4.5, (selector, colours)


def contrast(one: str, other: str) -> float:
    """WCAG 2.2 contrast ratio."""

    def luminance(colour: str) -> float:
        channels = [int(part) / 255 for part in colour[4:-1].split(",")]
        red, green, blue = (
            one / 12.92 if one <= 0.04045 else ((one + 0.055) / 1.055) ** 2.4 for one in channels
        )
        return 0.2126 * red + 0.7152 * green + 0.0722 * blue

    lighter, darker = sorted((luminance(one), luminance(other)), reverse=True)
    return (lighter + 0.05) / (darker + 0.05)
