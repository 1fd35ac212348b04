"""What a box tells a technician: enough to help, and nothing of anybody's document, whatever was read before."""

from __future__ import annotations

import asyncio
import base64
import gzip
import io
import json
import os
import random
import signal
from typing import TYPE_CHECKING, Any

import msgspec
import pytest

from edged import log
from edged.config import load_box
from edged.core.burst import read_frames
from edged.core.image import decode_image
from edged.core.mrz import parse_mrz
from edged.daemon import Daemon
from edged.demo.hand import Hand
from edged.errors import DecodeError
from edged.identity import Sensitive
from edged.log import Recent
from edged.privacy.leakscan import LeakScanner
from edged.pushed import diagnostics
from edged.pushed.diagnostics import MAX_LINE, SET, Certificate, Facts, bundle, log_lines
from edged.specimens import FIXED_TODAY
from edged.uplink.command import MAX_ATTACHMENT
from edged.uplink.envelope import Provenance
from tests import logging_state
from tests.box import SPECIMENS, Box

if TYPE_CHECKING:
    from collections.abc import Iterator
    from pathlib import Path

    from edged.config import BoxSettings


@pytest.fixture(autouse=True)
def logging_as_a_daemon(monkeypatch: pytest.MonkeyPatch) -> Iterator[None]:
    monkeypatch.setattr(log, "_recent", Recent())
    with logging_state.restored():
        log.configure("info", stream=io.StringIO())
        yield


@pytest.fixture(scope="module")
def settings(tmp_path_factory: pytest.TempPathFactory) -> BoxSettings:
    made = load_box(Box(tmp_path_factory.mktemp("box")).config)
    made.state.directory.mkdir()
    return made


def unpacked(attachment: bytes) -> dict[str, Any]:
    found: dict[str, Any] = json.loads(gzip.decompress(attachment))
    return found


def facts(settings: BoxSettings, **more: Any) -> Facts:
    status = {"state": "ready", "uplink": {"pending": 3, "refused": 0}, "clock": {"trusted": True}}
    given: dict[str, Any] = {
        "status": status,
        "settings": settings,
        "certificates": (Certificate("signing", "1f", 1, 2),),
        "devices": {"head": Provenance(driver="simulated", identity=None, simulated=True)},
        "commands": {"command.expired": 2},
    }
    return Facts(**(given | more))


def test_what_a_technician_asks_for_is_in_it(settings: BoxSettings) -> None:
    log.get("uplink").info("connected", window=3)
    found = unpacked(bundle(facts(settings), lines=100))
    assert found["status"]["uplink"]["pending"] == 3
    assert found["certificates"] == [{"usage": "signing", "serial": "1f", "not_before": 1, "not_after": 2}]
    assert found["devices"]["head"]["simulated"] is True
    assert found["commands"] == {"command.expired": 2}
    assert found["versions"]["edged"]
    assert found["machine"]["disk_free"] > 0
    assert found["settings"]["broker"]["host"] == "127.0.0.1"
    assert [json.loads(line)["event"] for line in found["log"]] == ["connected"]


def test_no_key_and_no_path_is_in_it(settings: BoxSettings) -> None:
    token = "pkcs11:token=box;pin-value=1234567"
    identity = msgspec.structs.replace(settings.identity, signing_key=token)
    attachment = bundle(facts(msgspec.structs.replace(settings, identity=identity)), lines=100)
    text = gzip.decompress(attachment).decode()
    assert unpacked(attachment)["settings"]["identity"]["signing_key"] == SET
    assert unpacked(attachment)["settings"]["state"] == {"directory": SET}
    for secret in ("1234567", str(settings.state.directory), "PRIVATE", ".key", ".pem"):
        assert secret not in text


def test_what_a_handler_should_never_give_is_withheld(settings: BoxSettings) -> None:
    name = "ERIKSSON"
    poisoned = {"holder": Sensitive(name), "deep": [{"er": (Sensitive(name),)}], "type": object()}
    text = gzip.decompress(bundle(facts(settings, status=poisoned), lines=0)).decode()
    assert name not in text
    assert "<Sensitive>" in text


def test_canaries_sent_through_the_whole_are_not_found(settings: BoxSettings) -> None:
    """Documents are read, judged badly and complained about as a careless author would; then everything is searched."""
    holders = []
    for specimen in SPECIMENS.values():
        if specimen.expected is None or not specimen.expected.lines:
            continue
        holders.append(parse_mrz(specimen.expected.lines, today=FIXED_TODAY))
    for name in ("passport", "identity-card", "long-name"):
        page = decode_image(SPECIMENS[name].sides[0].read_bytes())
        reading = read_frames([page], today=FIXED_TODAY)
        log.get("station").error(
            "a careless line", reading=reading, page=page, lines=[reading], of={"it": page}
        )
        try:
            raise ValueError(holders[0].lines.reveal()[0])
        except ValueError as error:
            log.get("station").error("a careless exception", exc_info=error)
    scanner = LeakScanner.for_documents(holders)
    for attachment in (bundle(facts(settings), lines=2000), log_lines(lines=2000, since=0)):
        assert len(unpacked(attachment)["log"]) == 6
        for data in (attachment, gzip.decompress(attachment), base64.b64encode(attachment)):
            assert scanner.scan(data) == []


async def test_real_inspections_leave_nothing_in_it(tmp_path: Path) -> None:
    """Every kind of document through a whole daemon in this process, then all that it would send a technician."""
    box = Box(tmp_path / "box")
    running = asyncio.create_task(Daemon(load_box(box.config)).run())
    names = ("passport", "identity-card", "wrong-check-digit")
    try:
        async with Hand(box.directory / "glass.sock") as box.hand, await box._connect() as box.control:
            for name in names:
                assert (await box.scan(name, reference=f"r-{name}"))["outcome"] in ("committed", "aborted")
            status = await box.control.call("status")
    finally:
        os.kill(os.getpid(), signal.SIGTERM)
        await running
    holders = [
        parse_mrz(specimen.expected.lines, today=FIXED_TODAY)
        for specimen in SPECIMENS.values()
        if specimen.expected is not None and specimen.expected.lines
    ]
    attachment = bundle(facts(load_box(box.config), status=status), lines=2000)
    ended = [line for line in unpacked(attachment)["log"] if "inspection ended" in line]
    assert len(ended) == len(names)
    assert LeakScanner.for_documents(holders).scan(gzip.decompress(attachment)) == []
    assert b"r-passport" not in gzip.decompress(attachment), "a reference is a customer's"


def test_a_planted_canary_is_found(settings: BoxSettings) -> None:
    """The search is a real one: what is put into the log as plain text is found, however it is wrapped."""
    holder = parse_mrz(SPECIMENS["passport"].expected.lines, today=FIXED_TODAY)  # type: ignore[union-attr]
    surname = holder.surname.reveal()
    log.get("station").info("planted", text=base64.b64encode(f"name {surname} there".encode()).decode())
    scanner = LeakScanner.for_documents([holder])
    assert scanner.scan(gzip.decompress(bundle(facts(settings), lines=10)))
    assert scanner.scan(gzip.decompress(log_lines(lines=10, since=0)))


def test_our_own_errors_texts_are_kept() -> None:
    try:
        raise DecodeError("image", "image.empty")
    except DecodeError as error:
        log.get("station").error("a page", exc_info=error)
    (line,) = unpacked(log_lines(lines=5, since=0))["log"]
    assert "image.empty" in line


def test_it_is_never_larger_than_a_box_may_send(settings: BoxSettings) -> None:
    chance = random.Random(1)
    log._recent._most_bytes = 1 << 24
    for _ in range(700):
        log.get("noise").info("line", noise=base64.b85encode(chance.randbytes(6000)).decode())
    attachment = bundle(facts(settings), lines=2000)
    assert len(attachment) <= MAX_ATTACHMENT
    lines = unpacked(attachment)["log"]
    assert 100 < len(lines) < 700
    assert {len(line) for line in lines} == {MAX_LINE}
    assert lines[-1] == log.recent(1)[0][:MAX_LINE], "the latest are kept"


def test_how_many_lines_and_since_when(monkeypatch: pytest.MonkeyPatch) -> None:
    now = [1000.0]
    monkeypatch.setattr("edged.log.time.time", lambda: now[0])
    for number in range(5):
        log.get("a").info(f"line {number}")
        now[0] += 10
    events = [json.loads(line)["event"] for line in unpacked(log_lines(lines=2, since=0))["log"]]
    assert events == ["line 3", "line 4"]
    events = [json.loads(line)["event"] for line in unpacked(log_lines(lines=9, since=1020))["log"]]
    assert events == ["line 2", "line 3", "line 4"]
    assert log.recent(0) == []


def test_memory_for_lines_is_bounded() -> None:
    recent = Recent(100)
    for number in range(50):
        assert recent.remember(None, "", f"{number:010}") == f"{number:010}"
    assert recent.lines(1000) == [f"{number:010}" for number in range(40, 50)]


def test_what_is_not_printed_is_not_kept() -> None:
    log.get("a").debug("below the level")
    log.get("a").info("at it", name=Sensitive("ERIKSSON"))
    (line,) = log.recent(10)
    assert json.loads(line)["identity_withheld"] is True
    assert "ERIKSSON" not in line


def test_a_disk_that_does_not_answer_is_told(settings: BoxSettings, tmp_path: Path) -> None:
    state = msgspec.structs.replace(settings.state, directory=tmp_path / "gone")
    found = unpacked(bundle(facts(msgspec.structs.replace(settings, state=state)), lines=0))
    assert found["machine"]["disk_free"] is None
    assert found["machine"]["error"]
    assert diagnostics.pathless(settings)["audiences"]
