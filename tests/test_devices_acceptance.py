"""A box's acceptance: the walk through its devices, what it keeps, what it signs, and what never gets into either."""

from __future__ import annotations

import asyncio
import json
import os
import queue
from collections.abc import AsyncIterator, Sequence
from contextlib import asynccontextmanager
from datetime import UTC, datetime, timedelta
from pathlib import Path
from typing import Any

import cv2
import msgspec
import numpy as np
import pytest
from hypothesis import given, settings
from hypothesis import strategies as st

from edged import devices, messages
from edged.cli import main
from edged.commands._acceptance_words import markdown
from edged.config import BoxSettings, ChipReaderSettings, load_box
from edged.devices import Devices
from edged.drivers.print_job import PrinterStatus, PrintJob
from edged.errors import ConfigError, DeviceError, DeviceGoneError, SignatureRefusedError
from edged.events import DocumentSwiped, IdCardPlaced, Light
from edged.specimens import shipped
from edged.technician import camera_steps, card, head_steps, lamps, walk
from edged.technician.person import Answers, Nobody, Technician, read_answers
from edged.technician.session import PROGRESS, TYP_PROGRESS, accept, tasks
from edged.technician.walk import MOST_HEARD, Ears
from edged.uplink import sign
from edged.uplink.acceptance import (
    TYP_ACCEPTANCE,
    Acceptance,
    AcceptedDevice,
    Step,
    open_acceptance,
    result_of,
    seal_acceptance,
)
from edged.uplink.envelope import Provenance
from edged.uplink.fields import encode
from edged.uplink.names import Role, Usage
from edged.uplink.roles import TrustAnchor
from edged.uplink.sign import Signer
from edged.verdict import Check, Reason, Result
from tests.box import EDGED, Box
from tests.chip_bench import digest
from tests.pcsc_stack import Card
from tests.waiting import until

MRZ = ("P<UTOERIKSSON<<ANNA<MARIA<<<<<<<<<<<<<<<<<<<", "L898902C36UTO7408122F1204159ZE184226B<<<<<10")
SECRETS = ("ERIKSSON", "ANNA", "L898902C3", "740812", "ZE184226B")


@pytest.fixture(autouse=True)
def _quick(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(lamps, "LIT_MS", dict.fromkeys(Light, 1))
    monkeypatch.setattr(head_steps, "SHOWN_S", 0.0)
    monkeypatch.setattr(head_steps, "STRAY_S", 0.01)
    monkeypatch.setattr(camera_steps, "PAUSE_S", 0.0)


class Place:
    """A box with simulated devices, and where its acceptance goes."""

    def __init__(self, directory: Path) -> None:
        self.box = Box(directory / "box")
        self.out = directory / "out"
        self.out.mkdir()
        self.settings = load_box(self.box.config)
        identity = self.settings.identity
        self.signer = Signer.from_files(identity.signing_key, identity.signing_certificate)
        self.anchor = TrustAnchor.from_file(identity.fleet_ca)
        self.card = directory / "card.png"
        page = cv2.cvtColor(card.draw(), cv2.COLOR_GRAY2BGR) * 0.85 + 8
        lying = cv2.copyMakeBorder(page, 40, 40, 40, 40, cv2.BORDER_CONSTANT, value=(24, 24, 24))
        cv2.imwrite(str(self.card), lying)

    async def accept(self, person: Any, opened: Devices | None = None, **more: Any) -> tuple[Acceptance, str]:
        if opened is not None:
            return await accept(self.settings, self.signer, opened, person, directory=self.out, **more)
        async with devices.opened(self.settings) as own:
            return await accept(self.settings, self.signer, own, person, directory=self.out, **more)

    def written(self) -> dict[str, bytes]:
        return {path.name: path.read_bytes() for path in self.out.iterdir()}


@pytest.fixture
def place(tmp_path: Path) -> Place:
    return Place(tmp_path)


class Rig(Answers):
    """Does what it is told at the simulated glass, and answers."""

    def __init__(self, opened: Devices, shown: Sequence[Path], *, yes: bool = True) -> None:
        super().__init__({})
        self._glass = opened.head.glass  # type: ignore[attr-defined]
        self._shown = shown
        self._yes = yes
        self.told: list[str] = []

    async def tell(self, code: str, **params: str) -> None:
        self.told.append(code)
        match code:
            case "acceptance.press":
                self._glass._do({"do": "press"})
            case "acceptance.lay_card" | "acceptance.lay_test_card":
                self._glass._do({"do": "remove"})
                self._glass._do({"do": "place", "files": [str(path) for path in self._shown]})
            case "acceptance.take_card" | "acceptance.empty_window":
                self._glass._do({"do": "remove"})

    async def ask(self, step: str, code: str, **params: str) -> bool | None:
        return self._yes


async def at_the_glass(place: Place, shown: Sequence[Path], **more: Any) -> tuple[Acceptance, str, Rig]:
    yes = more.pop("yes", True)
    async with devices.opened(place.settings) as opened:
        rig = Rig(opened, shown, yes=yes)
        report, signed = await place.accept(rig, opened, **more)
    return report, signed, rig


def outcomes(report: Acceptance) -> dict[str, tuple[str, str | None]]:
    return {step.name: (step.outcome, step.code) for step in report.steps}


async def test_a_box_that_is_as_it_should_be_passes(place: Place) -> None:
    report, signed, _ = await at_the_glass(place, [place.card], technician="T-7")
    assert {step.outcome for step in report.steps} == {"passed"}, outcomes(report)
    assert (report.result, report.simulated, report.technician) == ("passed", True, "T-7")
    measured = {step.name: step.measured for step in report.steps}
    assert measured["camera/card"]["dpi"] == pytest.approx(304.8, abs=3)
    assert measured["camera/card"]["kept"] is True
    assert measured["head/lamp_white"]["brighter"] > 0.02
    now = datetime.now(UTC)
    assert open_acceptance(signed, anchor=place.anchor, at=now, device="box-1") == report
    assert set(place.written()) == {"card-white.png", PROGRESS}
    assert all(path.stat().st_mode & 0o077 == 0 for path in place.out.iterdir())


async def test_what_a_person_denies_has_failed(place: Place) -> None:
    report, _, _ = await at_the_glass(place, [place.card], yes=False)
    assert report.result == "failed"
    assert outcomes(report)["head/buzzer"] == ("failed", "acceptance.silent")
    assert outcomes(report)["head/lamp_ir"] == ("failed", "acceptance.dark_lamp")
    assert outcomes(report)["camera/card"][0] == "passed"


async def test_nobody_there(place: Place) -> None:
    report, _ = await place.accept(Nobody())
    assert report.result == "incomplete"
    assert outcomes(report)["head/button"] == ("skipped", "acceptance.nobody")
    assert outcomes(report)["head/lamp_white"] == ("passed", None), "the camera sees whether the lamp lights"
    assert not any(path.suffix == ".png" for path in place.out.iterdir())


@pytest.mark.parametrize("specimen", [shipped()[0].sides, shipped()[3].sides], ids=["0", "3"])
async def test_a_document_in_the_window_leaves_nothing(place: Place, specimen: Sequence[Path]) -> None:
    report, _, _ = await at_the_glass(place, specimen, only=["camera"])
    step = next(step for step in report.steps if step.name == "camera/card")
    assert (step.outcome, step.code, step.measured) == ("failed", "acceptance.document", {})
    assert set(place.written()) == {PROGRESS}


async def test_a_document_on_the_card_leaves_nothing(place: Place, tmp_path: Path) -> None:
    """The MRZ is off the card's edge: only that something lies on it can be seen."""
    picture = cv2.imread(str(place.card))
    page = cv2.resize(cv2.imread(str(shipped()[0].sides[0])), (600, 450))[:300]
    picture[380:680, 480:1080] = page
    cv2.imwrite(str(tmp_path / "covered.png"), picture)
    report, _, _ = await at_the_glass(place, [tmp_path / "covered.png"], only=["camera/card"])
    assert outcomes(report) == {"camera/card": ("failed", "acceptance.covered")}
    assert set(place.written()) == {PROGRESS}


async def test_a_dark_picture_says_what_to_turn(place: Place, tmp_path: Path) -> None:
    cv2.imwrite(str(tmp_path / "dark.png"), (cv2.imread(str(place.card)) * 0.3).astype(np.uint8))
    report, _, _ = await at_the_glass(place, [tmp_path / "dark.png"], only=["camera/card"])
    assert outcomes(report) == {"camera/card": ("failed", "acceptance.too_dark")}
    assert set(place.written()) == {PROGRESS, "card-white.png"}


async def test_every_light_of_the_camera(place: Place, tmp_path: Path) -> None:
    white = tmp_path / "both.png"
    white.write_bytes(place.card.read_bytes())
    cv2.imwrite(str(tmp_path / "both.ir.png"), (cv2.imread(str(white)) * 0.8).astype(np.uint8))
    async with devices.opened(place.settings) as opened:
        rig = Rig(opened, [white])
        await rig.tell("acceptance.lay_card")
        report, _ = await place.accept(rig, opened, only=["camera"])
    assert outcomes(report) == {"camera/card": ("passed", None), "camera/card_ir": ("passed", None)}
    assert {"card-white.png", "card-ir.png"} < set(place.written())


# --- resuming ---


async def test_what_has_passed_is_not_asked_again(place: Place) -> None:
    report, _, rig = await at_the_glass(place, [place.card], only=["head/button", "head/buzzer"])
    assert report.result == "passed"
    report, _, rig = await at_the_glass(place, [place.card])
    assert "acceptance.press" not in rig.told
    assert report.result == "passed"
    _, _, rig = await at_the_glass(place, [place.card], again=True)
    assert "acceptance.press" in rig.told


async def test_a_walk_that_is_broken_off_goes_on(place: Place) -> None:
    async with devices.opened(place.settings) as opened:
        rig = Rig(opened, [place.card])

        def done(step: Step) -> None:
            if step.name == "head/window":
                raise KeyboardInterrupt

        with pytest.raises(KeyboardInterrupt):
            await place.accept(rig, opened, done=done)
    _, _, rig = await at_the_glass(place, [place.card])
    assert "acceptance.press" not in rig.told
    assert "acceptance.take_card" not in rig.told
    assert "acceptance.lay_test_card" in rig.told


@pytest.mark.parametrize("key", ["box", "software", "config_version", "devices", "nonsense"])
async def test_what_passed_on_another_box_or_device_did_not_pass_here(place: Place, key: str) -> None:
    await at_the_glass(place, [place.card], only=["head/button"])
    progress = json.loads(sign.unverified_payload((place.out / PROGRESS).read_bytes()))
    if key == "devices":
        progress["devices"]["head"]["provenance"]["identity"] = "another"
    else:
        progress[key] = "other"
    (place.out / PROGRESS).write_text(place.signer.sign(TYP_PROGRESS, json.dumps(progress).encode()))
    _, _, rig = await at_the_glass(place, [place.card], only=["head/button"])
    assert "acceptance.press" in rig.told


@pytest.mark.parametrize("by", ["nobody", "another box", "as a report"])
async def test_what_the_box_has_not_signed_did_not_pass(place: Place, by: str) -> None:
    """A step that was never done doesn't get into a report by way of a file that lies there."""
    await at_the_glass(place, [place.card], only=["head/button"])
    payload = sign.unverified_payload((place.out / PROGRESS).read_bytes())
    other = place.box.fleet.issue(Role.DEVICE, "box-2", Usage.SIGNING)
    forged = {
        "nobody": payload,
        "another box": Signer.from_files(other.key, other.certificate).sign(TYP_PROGRESS, payload).encode(),
        "as a report": place.signer.sign(TYP_ACCEPTANCE, payload).encode(),
    }
    (place.out / PROGRESS).write_bytes(forged[by])
    _, _, rig = await at_the_glass(place, [place.card], only=["head/button"])
    assert "acceptance.press" in rig.told


@pytest.mark.parametrize("when", ["head/button", "head/buzzer"], ids=["in the middle", "after its last step"])
async def test_a_device_that_is_changed_for_another_has_not_passed(place: Place, when: str) -> None:
    """The report names one head; what another did in the same walk is not its doing."""
    async with devices.opened(place.settings) as opened:
        head = Changing(opened.head)
        rig = Rig(opened, [place.card])

        def done(step: Step) -> None:
            if step.name == when:
                head.provenance = msgspec.structs.replace(head.provenance, identity="another")

        made = Devices(head, opened.camera)  # type: ignore[arg-type]
        only = ["head/button", "head/buzzer"]
        report, signed = await place.accept(rig, made, only=only, done=done)
        assert outcomes(report)["head/button"] == ("failed", "acceptance.changed")
        assert report.result == "failed"
        assert open_acceptance(signed, anchor=place.anchor, at=datetime.now(UTC)) == report
        rig.told.clear()
        await place.accept(rig, made, only=only)
        assert "acceptance.press" in rig.told, "what the other head did was kept"


class Changing:
    """A head whose provenance a test sets."""

    def __init__(self, head: Any) -> None:
        self._head = head
        self.provenance = head.provenance

    def __getattr__(self, name: str) -> Any:
        return getattr(self._head, name)


async def test_a_device_that_never_stops_telling_fills_no_memory(place: Place) -> None:
    swipe = _Beside()
    for _ in range(500):
        swipe.happened.put_nowait(DocumentSwiped(MRZ))
    ears = Ears(swipe.events())
    await until(swipe.happened.empty)
    assert ears._heard.qsize() == MOST_HEARD
    await ears.close()
    assert ears._heard.empty(), "a document outlives the walk"


async def test_a_device_that_stops_telling_costs_its_own_steps_alone(
    place: Place, monkeypatch: pytest.MonkeyPatch, capfd: pytest.CaptureFixture[str]
) -> None:
    monkeypatch.setattr(walk.Ears.next, "__kwdefaults__", {"seconds": 0.05})
    swipe = _Beside()

    async def events() -> AsyncIterator[Any]:
        raise ValueError(MRZ[1])
        yield

    swipe.events = events  # type: ignore[method-assign]
    async with beside(place, swipe=swipe, printer=Printer(PrinterStatus(answers=True))) as opened:
        report, _ = await place.accept(Answers({}), opened, only=["swipe", "printer/status"])
    assert outcomes(report) == {
        "swipe/reads": ("failed", "acceptance.nothing_happened"),
        "printer/status": ("passed", None),
    }
    out = capfd.readouterr()
    assert "ValueError" in out.out + out.err
    assert MRZ[1] not in out.out + out.err


# --- beside the window ---


class _Beside:
    """A device that is there, and what it may be asked."""

    trouble: Reason | None = None

    def __init__(self) -> None:
        self.provenance = Provenance(type(self).__name__.lower(), "1", simulated=True)
        self.happened: asyncio.Queue[Any] = asyncio.Queue()
        self.card_present = False

    async def events(self) -> AsyncIterator[Any]:
        while True:
            yield await self.happened.get()


class Reading:
    """As an ID card's: what it holds may be seen by nobody."""

    def __init__(self) -> None:
        self.data = MRZ
        self.checks = (Check("id_card_read", Result.SUCCESSFUL), Check("id_card_number", Result.FAILED))


class Module(_Beside):
    async def read(self) -> Reading:
        return Reading()


class Printer:
    provenance = Provenance("paper", "1", simulated=True)

    def __init__(self, status: PrinterStatus, fails: DeviceError | None = None) -> None:
        self._status = status
        self._fails = fails
        self.jobs: list[PrintJob] = []

    async def status(self) -> PrinterStatus:
        return self._status

    async def print(self, job: PrintJob) -> None:
        if self._fails is not None:
            raise self._fails
        self.jobs.append(job)


@asynccontextmanager
async def beside(place: Place, **more: Any) -> AsyncIterator[Devices]:
    async with devices.opened(place.settings) as opened:
        yield Devices(opened.head, opened.camera, **more)


class Doing(Answers):
    def __init__(self, do: Any, answers: dict[str, bool | None]) -> None:
        super().__init__(answers)
        self._do = do

    async def tell(self, code: str, **params: str) -> None:
        self._do(code)


async def test_what_is_read_is_counted_and_dropped(place: Place, capfd: pytest.CaptureFixture[str]) -> None:
    module, swipe = Module(), _Beside()
    printer = Printer(PrinterStatus(answers=True, paper=True, paper_low=True, cover_closed=True))

    def do(code: str) -> None:
        if code == "acceptance.lay_id_card":
            module.happened.put_nowait(IdCardPlaced())
        elif code == "acceptance.swipe":
            swipe.happened.put_nowait(DocumentSwiped(MRZ))

    async with beside(place, id_card=module, swipe=swipe, printer=printer) as opened:
        person = Doing(do, {"printer/page": True})
        report, signed = await place.accept(person, opened, only=["id_card", "swipe", "printer"])
    assert report.result == "passed", outcomes(report)
    measured = {step.name: step.measured for step in report.steps}
    assert measured["swipe/reads"] == {"lines": 2, "characters": 44}
    assert measured["id_card/reads"]["checks"] == 2
    assert measured["id_card/reads"]["not_successful"] == 1
    assert measured["printer/status"] == {"paper": True, "paper_low": True, "cover_closed": True}
    assert len(printer.jobs) == 1
    out = capfd.readouterr()
    said = [out.out, out.err, markdown(report, "en"), markdown(report, "zh-CN")]
    said += [content.decode("latin-1") for content in place.written().values()]
    said.append(sign.unverified_payload(signed.encode()).decode())
    for secret in SECRETS:
        assert not any(secret in one for one in said)


@pytest.mark.parametrize(
    ("lines", "outcome"),
    [
        (MRZ, "passed"),
        (MRZ[:1], "failed"),
        ((), "failed"),
        (("ERIKSSON", "ANNA"), "failed"),
        (MRZ[:1] * 3, "failed"),
    ],
)
async def test_the_form_of_what_was_swiped(place: Place, lines: tuple[str, ...], outcome: str) -> None:
    swipe = _Beside()
    async with beside(place, swipe=swipe) as opened:
        person = Doing(lambda code: swipe.happened.put_nowait(DocumentSwiped(lines)), {})
        report, _ = await place.accept(person, opened, only=["swipe"])
    assert report.steps[0].outcome == outcome


@pytest.mark.parametrize(
    ("printer", "codes"),
    [
        (Printer(PrinterStatus(answers=False)), ("device.unplugged", "acceptance.nobody")),
        (Printer(PrinterStatus(answers=True, paper=False)), ("acceptance.no_paper", "acceptance.nobody")),
        (
            Printer(PrinterStatus(answers=True, cover_closed=False)),
            ("acceptance.printer_open", "acceptance.nobody"),
        ),
        (
            Printer(PrinterStatus(answers=True), DeviceGoneError("printer", "device.unplugged")),
            (None, "device.unplugged"),
        ),
    ],
    ids=["gone", "paper", "cover", "pulled"],
)
async def test_a_printer_that_is_not_as_it_should_be(
    place: Place, printer: Printer, codes: tuple[str | None, ...]
) -> None:
    async with beside(place, printer=printer) as opened:
        report, _ = await place.accept(Nobody(), opened, only=["printer"])
    assert tuple(step.code for step in report.steps) == codes


async def test_a_chip_is_asked_for_nothing(place: Place, tmp_path: Path) -> None:
    path = tmp_path / "chip.sock"
    wanted = msgspec.structs.replace(
        place.settings, chip_reader=ChipReaderSettings(driver="simulated", socket=path)
    )
    cards: list[Card] = []

    def do(code: str) -> None:
        import socket

        connection = socket.socket(socket.AF_UNIX)
        connection.connect(str(path))
        cards.append(Card(connection, lambda apdu: digest(apdu)[-2:]))

    async with devices.opened(wanted) as opened:
        report, _ = await place.accept(Doing(do, {}), opened, only=["chip"])
    cards[0].remove()
    assert outcomes(report) == {"chip/answers": ("passed", None)}
    assert {command[:2] for command in cards[0].commands} == {b"\x00\xa4"}, "something but SELECT was asked"
    assert report.steps[0].measured["asked"] == 20


async def test_a_step_that_breaks_costs_itself_alone_and_says_nothing(
    place: Place, capfd: pytest.CaptureFixture[str]
) -> None:
    module = Module()
    module.card_present = True

    async def read() -> Reading:
        raise ValueError(MRZ[1])

    module.read = read  # type: ignore[method-assign]
    async with beside(place, id_card=module, printer=Printer(PrinterStatus(answers=True))) as opened:
        report, _ = await place.accept(
            Doing(lambda code: None, {}), opened, only=["id_card", "printer/status"]
        )
    assert outcomes(report) == {
        "id_card/reads": ("failed", "acceptance.broke"),
        "printer/status": ("passed", None),
    }
    out = capfd.readouterr()
    assert "ValueError" in out.out + out.err
    assert not any(secret in out.out + out.err for secret in SECRETS)


# --- the report ---


def report(**changes: Any) -> Acceptance:
    steps = (Step(name="head/button", outcome="passed", at=5, measured={"presses": 3, "quickest_ms": 2.5}),)
    made = Acceptance(
        iss="box-1",
        fleet="demo-fleet",
        iat=int(datetime.now(UTC).timestamp()),
        clock="trusted",
        technician=None,
        software="1",
        config_version="1",
        result=result_of(steps),
        simulated=False,
        devices={"head": AcceptedDevice(provenance=Provenance("serial", "7", simulated=False))},
        steps=steps,
    )
    return msgspec.structs.replace(made, **changes)


def refusal(place: Place, compact: str | bytes, **more: Any) -> str:
    with pytest.raises(SignatureRefusedError) as caught:
        open_acceptance(compact, anchor=place.anchor, at=datetime.now(UTC), **more)
    assert messages.known(caught.value.code)
    return caught.value.code


def test_a_report_says_what_its_steps_say(place: Place) -> None:
    assert result_of(()) == "incomplete"
    assert result_of(report().steps) == "passed"
    failed = Step(name="a", outcome="failed", at=1)
    skipped = Step(name="b", outcome="skipped", at=1)
    assert result_of((*report().steps, skipped)) == "incomplete"
    assert result_of((failed, skipped)) == "failed"
    for wrong in (
        report(result="failed"),
        report(simulated=True),
        report(steps=report().steps * 2),
        report(steps=(failed,)),
    ):
        with pytest.raises(SignatureRefusedError, match="inconsistent"):
            seal_acceptance(wrong, place.signer)
        forged = place.signer.sign(TYP_ACCEPTANCE, encode(wrong))
        assert refusal(place, forged) == "acceptance.inconsistent"


def test_only_the_box_itself_says_so(place: Place) -> None:
    signed = seal_acceptance(report(), place.signer)
    assert refusal(place, signed, device="box-2") == "acceptance.wrong_issuer"
    for wrong in (report(iss="box-2"), report(fleet="other")):
        with pytest.raises(SignatureRefusedError, match="wrong_issuer"):
            seal_acceptance(wrong, place.signer)
        assert refusal(place, place.signer.sign(TYP_ACCEPTANCE, encode(wrong))) == "acceptance.wrong_issuer"
    admin = place.box.fleet.issue(Role.ADMIN, "ops", Usage.SIGNING)
    other = Signer.from_files(admin.key, admin.certificate)
    assert refusal(place, other.sign(TYP_ACCEPTANCE, encode(report(iss="ops")))) == "cert.wrong_role"
    assert refusal(place, place.signer.sign("reported+jws", encode(report()))) == "jws.wrong_type"


def test_a_report_is_filed_for_years(place: Place) -> None:
    signed = seal_acceptance(report(), place.signer)
    later = place.signer.not_after + timedelta(days=1)
    assert open_acceptance(signed, anchor=place.anchor, at=later).steps == report().steps
    dated = report(iat=int((place.signer.not_after + timedelta(days=1)).timestamp()))
    with pytest.raises(SignatureRefusedError, match="expired"):
        open_acceptance(place.signer.sign(TYP_ACCEPTANCE, encode(dated)), anchor=place.anchor, at=later)


@pytest.mark.parametrize(
    "change",
    [
        {"extra": 1},
        {"technician": ""},
        {"steps": [{"name": "head button", "outcome": "passed", "at": 1}]},
        {"steps": [{"name": "a", "outcome": "passed", "at": 1, "measured": {"surname": "ERIKSSON"}}]},
        {"steps": [{"name": "a", "outcome": "passed", "at": 1, "measured": {"Bad Name": 1}}]},
        {"steps": [{"name": "a", "outcome": "great", "at": 1}]},
        {"iat": "now"},
    ],
)
def test_what_is_of_another_form_is_refused(place: Place, change: dict[str, Any]) -> None:
    payload = msgspec.json.encode(msgspec.to_builtins(report()) | change)
    assert refusal(place, place.signer.sign(TYP_ACCEPTANCE, payload)) == "acceptance.malformed"


@given(st.data())
@settings(max_examples=40, deadline=None)
def test_no_bit_of_it_can_be_changed(tmp_path_factory: pytest.TempPathFactory, data: st.DataObject) -> None:
    place = _once(tmp_path_factory)
    signed = bytearray(seal_acceptance(report(), place.signer).encode())
    at = data.draw(st.integers(0, len(signed) - 1))
    signed[at] ^= 1 << data.draw(st.integers(0, 7))
    assert refusal(place, bytes(signed))


_places: list[Place] = []


def _once(factory: pytest.TempPathFactory) -> Place:
    if not _places:
        _places.append(Place(factory.mktemp("place")))
    return _places[0]


def test_the_published_schema_takes_a_real_report() -> None:
    import jsonschema

    schema = json.loads((Path(__file__).parents[1] / "docs/schemas/acceptance.schema.json").read_text())
    validator = jsonschema.Draft202012Validator(schema)
    payload = json.loads(encode(report()))
    validator.validate(payload)
    for change in (
        {"result": "great"},
        {"extra": 1},
        {"steps": [{"name": "A B", "outcome": "passed", "at": 1}]},
    ):
        with pytest.raises(jsonschema.ValidationError):
            validator.validate(payload | change)


@pytest.mark.parametrize("lang", messages.LANGUAGES)
def test_the_readable_report(lang: str) -> None:
    wrong = Step(
        name="camera/card", outcome="failed", at=1, code="acceptance.too_dark", measured={"kept": False}
    )
    unknown = Step(name="new/step", outcome="skipped", at=1, code="unheard.of")
    made = report(steps=(wrong, unknown), result="failed", technician="a|b\x1b[31m")
    text = markdown(made, lang)
    assert messages.text("acceptance.too_dark", lang) in text
    assert "unheard.of" in text
    assert "new/step" in text
    assert "\x1b" not in text
    assert "a\\|b" in text
    assert "acceptance." not in text


# --- who is asked ---


def test_a_file_of_answers(tmp_path: Path) -> None:
    path = tmp_path / "answers.toml"
    path.write_text('"head/buzzer" = "yes"\n"head/lamp_uv" = "No"\n"printer/page" = "skip"\n')
    assert read_answers(path) == {"head/buzzer": True, "head/lamp_uv": False, "printer/page": None}
    for wrong in ('"head/buzzer" = "perhaps"', '"head/buzzer" = 1', "nonsense", "\xff"):
        path.write_bytes(wrong.encode("latin-1"))
        with pytest.raises(ConfigError):
            read_answers(path)
    path.write_bytes(b"#" * 70_000)
    with pytest.raises(ConfigError):
        read_answers(path)


async def test_a_person_is_asked_until_they_answer() -> None:
    shown: list[str] = []
    lines = iter(["", "what?", "Yes\n", "n", "跳过"])
    person = Technician(lambda code, **params: code, shown.append, lambda: next(lines))
    assert await person.ask("head/buzzer", "acceptance.did_it_beep") is True
    assert len(shown) == 3
    assert await person.ask("head/buzzer", "acceptance.did_it_beep") is False
    assert await person.ask("head/buzzer", "acceptance.did_it_beep") is None

    def gone() -> str:
        raise EOFError

    assert await Technician(lambda code: code, shown.append, gone).ask("a", "b") is None


async def test_a_person_who_does_not_answer_is_left_there() -> None:
    import threading

    waiting, let_go = threading.Event(), threading.Event()

    def read() -> str:
        waiting.set()
        let_go.wait()
        return "y"

    asking = asyncio.ensure_future(Technician(lambda code: code, lambda line: None, read).ask("a", "b"))
    await until(waiting.is_set)
    asking.cancel()
    with pytest.raises(asyncio.CancelledError):
        await asking
    let_go.set()


async def test_an_answer_after_a_question_that_was_given_up_is_the_next_ones() -> None:
    """One reader of the terminal: two would each take a line, and the technician types twice."""
    typed: queue.SimpleQueue[str] = queue.SimpleQueue()
    reads: list[int] = []

    def read() -> str:
        reads.append(1)
        return typed.get()

    person = Technician(lambda code: code, lambda line: None, read)
    with pytest.raises(TimeoutError):
        async with asyncio.timeout(0.01):
            await person.ask("head/buzzer", "acceptance.did_it_beep")
    asking = asyncio.ensure_future(person.ask("head/indicator", "acceptance.did_it_show"))
    typed.put("n")
    assert await asking is False
    assert len(reads) == 1


# --- the commands ---


def commanded(capsys: pytest.CaptureFixture[str], *arguments: str) -> tuple[int, list[Any], str]:
    code = main(["devices", *arguments, "--json"])
    out = capsys.readouterr()
    return code, [json.loads(line) for line in out.out.splitlines()], out.err


def test_the_command_without_anybody(tmp_path: Path, capsys: pytest.CaptureFixture[str]) -> None:
    place = Place(tmp_path)
    config = str(place.box.config)
    code, said, _ = commanded(capsys, "test", "--config", config, "--yes", "--technician", "T-7")
    assert code == os.EX_TEMPFAIL
    assert said[-1]["result"] == "incomplete"
    path = Path(said[-1]["report"])
    assert path == place.settings.state.directory / "acceptance" / "acceptance.jws"
    assert "T-7" in (path.parent / "acceptance.md").read_text()
    ca = str(place.settings.identity.fleet_ca)
    code, said, _ = commanded(capsys, "verify", str(path), "--ca", ca)
    assert (code, said[0]["verified"], said[0]["report"]["result"]) == (os.EX_OK, True, "incomplete")
    for lang in messages.LANGUAGES:
        assert main(["devices", "verify", str(path), "--ca", ca, "--lang", lang]) == os.EX_OK
        assert messages.text("acceptance.simulated", lang) in capsys.readouterr().out
    path.write_text(path.read_text()[:-4])
    code, said, _ = commanded(capsys, "verify", str(path), "--ca", ca)
    assert (code, said[0]["verified"]) == (os.EX_DATAERR, False)


def test_steps_by_name(tmp_path: Path, capsys: pytest.CaptureFixture[str]) -> None:
    config = str(Place(tmp_path).box.config)
    code, said, _ = commanded(capsys, "test", "--config", config, "--list-steps")
    assert code == os.EX_OK
    assert said[0]["steps"][:3] == ["head/button", "head/window", "head/lamp_ir"]
    code, _, err = commanded(capsys, "test", "teapot", "--config", config)
    assert code == os.EX_USAGE
    assert "teapot" in err
    code, _, _ = commanded(capsys, "test", "--config", config, "--technician", "x" * 200)
    assert code == os.EX_USAGE


def test_a_running_daemon_keeps_its_devices(tmp_path: Path, capsys: pytest.CaptureFixture[str]) -> None:
    from edged.uplink.state_lock import StateLock

    place = Place(tmp_path)
    place.settings.state.directory.mkdir(mode=0o700)
    with StateLock(place.settings.state.directory):
        code, _, err = commanded(capsys, "test", "--config", str(place.box.config), "--yes")
    assert code == os.EX_UNAVAILABLE
    assert "systemctl stop edged" in err


async def test_a_rig_does_what_the_command_says(tmp_path: Path) -> None:
    """As a factory runs it: another process moves what it is told to move, answers come from a file."""
    from edged.demo.hand import Hand

    place = Place(tmp_path)
    answers = tmp_path / "answers.toml"
    answers.write_text('"head/buzzer" = "yes"\n"head/indicator" = "yes"\n')
    arguments = ["devices", "test", "head/button", "head/window", "head/buzzer", "camera/card", "--json"]
    arguments += ["--config", str(place.box.config), "--answers", str(answers), "--out", str(place.out)]
    process = await asyncio.create_subprocess_exec(
        *EDGED, *arguments, stdout=asyncio.subprocess.PIPE, stderr=asyncio.subprocess.PIPE
    )
    assert process.stdout is not None
    said: list[Any] = []
    async with asyncio.timeout(90), Hand(tmp_path / "box" / "glass.sock") as hand:
        async for line in process.stdout:
            said.append(json.loads(line))
            match said[-1].get("do"):
                case "acceptance.press":
                    await hand.do("press")
                case "acceptance.lay_card" | "acceptance.lay_test_card":
                    await hand.place([place.card])
                case "acceptance.take_card":
                    await hand.remove()
        assert await process.wait() == os.EX_OK, (said, await process.stderr.read() if process.stderr else "")
    assert said[-1]["result"] == "passed"
    signed = (place.out / "acceptance.jws").read_text()
    assert open_acceptance(signed, anchor=place.anchor, at=datetime.now(UTC)).result == "passed"


def test_the_card_is_written(tmp_path: Path, capsys: pytest.CaptureFixture[str]) -> None:
    code, said, _ = commanded(capsys, "card", str(tmp_path / "card.png"))
    assert (code, said[0]["width_mm"]) == (os.EX_OK, 125)
    assert cv2.imread(str(tmp_path / "card.png")) is not None


def test_every_step_has_a_name_in_words(place: Place) -> None:
    assert isinstance(place.settings, BoxSettings)

    async def named() -> list[str]:
        async with beside(
            place,
            chip=_Beside(),
            id_card=Module(),
            swipe=_Beside(),
            printer=Printer(PrinterStatus(answers=True)),
        ) as opened:
            return [task.name for task in tasks(opened)]

    names = asyncio.run(named())
    assert len(names) == len(set(names)) == 13
    for name in names:
        assert messages.known("acceptance.step_" + name.replace("/", "_")), name
