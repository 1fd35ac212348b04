"""The partners' page, walked through: every command and every piece of code on it, against a real fleet."""

from __future__ import annotations

import asyncio
import json
import os
import re
import shutil
import sqlite3
import stat
import subprocess
import sys
from pathlib import Path
from typing import TYPE_CHECKING, Any

import pytest
from cryptography.hazmat.primitives.asymmetric import ec
from cryptography.hazmat.primitives.serialization import load_pem_private_key, load_pem_public_key

from edged.partner import follow, handing
from edged.partner.catching_up import CatchingUpEvent
from edged.uplink import topics
from edged.uplink.envelope import TYP_VERDICT, Provenance, StreamPosition, open_envelope
from edged.uplink.gaps import GapPayload
from edged.uplink.mqtt import connect
from edged.uplink.names import Role, Usage
from edged.uplink.replay import TYP_END, ReplayEnd, ReplayRequest, open_end, open_request
from edged.uplink.sign import claimed_type
from edged.uplink.subscription import Ready, SubscriptionEvent
from edged.verdict import Kind
from tests.broker import FLEET, Sealer, Town, draft, session, town
from tests.delivery import collector, now
from tests.waiting import until

if TYPE_CHECKING:
    from collections.abc import Iterator

    from edged.uplink.envelope import Envelope

PAGE = (Path(__file__).parent.parent / "docs" / "partners.md").read_text(encoding="utf-8")
BLOCKS = re.findall(r"(?:<!-- test: (\S+) -->\n)?```(\w+)\n(.*?)```", PAGE, re.DOTALL)
NODE = shutil.which("node")

LIVE: dict[str, Any] = {"kind": Kind.LIVE, "provenance": {"camera": Provenance("uvc", None, False)}}

pytestmark = pytest.mark.skipif(NODE is None, reason="Node.js isn't installed")


def commands() -> list[str]:
    """Every line of every shell block, in the order of the page."""
    return [line for _, language, text in BLOCKS if language == "sh" for line in text.splitlines() if line]


@pytest.fixture
def place(tmp_path: Path) -> Iterator[Town]:
    with town(tmp_path / "town", demo=False) as made:
        yield made


@pytest.fixture
def desk(place: Town, tmp_path: Path) -> Path:
    """An integrator's directory: what the operator gave, what the page gives, and `edged` on the PATH."""
    directory = tmp_path / "desk"
    (directory / "bin").mkdir(parents=True)
    tool = directory / "bin" / "edged"
    tool.write_text(f'#!/bin/sh\nexec {sys.executable} -m edged "$@"\n')
    tool.chmod(tool.stat().st_mode | stat.S_IXUSR)
    shutil.copy(place.fleet.ca, directory / "fleet-ca.pem")
    for usage, name in ((Usage.TLS, "tls"), (Usage.SIGNING, "signing")):
        files = place.fleet.issue(Role.AUDIENCE, "bank", usage)
        shutil.copy(files.key, directory / f"{name}.key")
        shutil.copy(files.certificate, directory / f"{name}.pem")
    for name, language, text in BLOCKS:
        if name:
            (directory / name).write_text(text, encoding="utf-8")
        if language == "toml":
            here = text.replace("broker.example", "localhost").replace("8883", str(place.broker.port))
            (directory / "partner.toml").write_text(here, encoding="utf-8")
    return directory


def spoken(line: str, log_id: str = "log-1") -> str:
    for word, value in (("YOUR-NAME", "bank"), ("FLEET", FLEET), ("DEVICE", "box-1"), ("LOG-ID", log_id)):
        line = line.replace(word, value)
    return line


def environment(desk: Path) -> dict[str, str]:
    path = f"{desk / 'bin'}:{os.environ['PATH']}"
    return {**os.environ, "PATH": path, "LANG": "C.UTF-8", "PYTHONPATH": str(Path(__file__).parents[1])}


def run(desk: Path, line: str) -> str:
    done = subprocess.run(
        ["bash", "-c", spoken(line)],
        cwd=desk,
        env=environment(desk),
        capture_output=True,
        text=True,
        timeout=60,
    )
    assert done.returncode == 0, (line, done.stdout, done.stderr)
    return done.stdout


def envelopes(place: Town, count: int) -> list[Envelope]:
    sealer = Sealer(place.signer(Role.DEVICE, "box-1"), "log-1", now())
    made: list[Envelope] = []
    for seq in range(1, count + 1):
        prev = made[-1].sha256 if made else None
        made.append(sealer(draft("bank", **LIVE), StreamPosition(seq, prev)))
    return made


async def send(place: Town, *made: Envelope) -> None:
    async with connect(place.endpoint(Role.DEVICE, "box-1"), session("box-1")) as raw:
        for envelope in made:
            await raw.publish(topics.verdict(FLEET, "box-1", "bank"), envelope.jws.encode())


def test_no_block_is_left_out() -> None:
    assert {language for _, language, _ in BLOCKS} == {"sh", "js", "toml", "python"}
    assert [name for name, language, _ in BLOCKS if language in ("js", "python")] == [
        "verify.mjs",
        "ask.mjs",
        "take.py",
    ]
    assert all(line.split()[0] in ("openssl", "chmod", "edged", "node") for line in commands())
    assert PAGE.count("```") == 2 * len(BLOCKS)


async def test_every_command_but_following(place: Town, desk: Path, tmp_path: Path) -> None:
    made = envelopes(place, 4)
    (desk / "envelope.jws").write_text(made[0].jws)
    lines = [line for line in commands() if "partner follow" not in line]
    assert len(lines) == 11
    said = {line: await asyncio.to_thread(run, desk, line) for line in lines}
    key = load_pem_private_key((desk / "my-tls.key").read_bytes(), None)
    assert isinstance(key, ec.EllipticCurvePrivateKey)
    assert isinstance(key.curve, ec.SECP256R1)
    assert load_pem_public_key((desk / "my-tls.pub").read_bytes()) == key.public_key()
    checked = [text for line, text in said.items() if line.startswith("edged partner check")]
    assert len(checked) == 3
    assert json.loads(checked[1])["good"] is True
    for name in ("list.jws", "request.jws"):
        opened = open_request((desk / name).read_bytes(), anchor=place.anchor, at=now(), audience="bank")
        assert [(span.first, span.last) for span in opened.request.spans] == (
            [] if name == "list.jws" else [(2, 3)]
        )


async def test_the_request_is_answered_and_the_answer_holds(place: Town, desk: Path, tmp_path: Path) -> None:
    """Asked with the page's code, answered by a collector, verified with the page's code."""
    made = envelopes(place, 4)
    (desk / "envelope.jws").write_text(made[0].jws)
    async with collector(place, tmp_path / "centre") as centre:
        await centre.first(Ready)
        async with connect(place.endpoint(Role.DEVICE, "box-1"), session("box-1")) as raw:
            await raw.subscribe(topics.receipt(FLEET, "box-1"))
            for envelope in made:
                await raw.publish(topics.verdict(FLEET, "box-1", "bank"), envelope.jws.encode())
            await asyncio.wait_for(raw.receive(), 60)
        async with connect(place.endpoint(Role.AUDIENCE, "bank"), session("bank")) as bank:
            await bank.subscribe(topics.every_replay_answer(FLEET, "bank"))
            heard: list[ReplayEnd] = []
            for line in [line for line in commands() if line.startswith("node ask.mjs")]:
                await asyncio.to_thread(run, desk, line)
                compact = (desk / line.rpartition(" ")[2]).read_bytes()
                await bank.publish(topics.replay_request(FLEET, "bank"), compact)
                answers = []
                while not answers or claimed_type(answers[-1]) != TYP_END:
                    answers += [one.payload for one in await asyncio.wait_for(bank.receive(9), 60)]
                heard.append(open_end(answers[-1], anchor=place.anchor, at=now(), audience="bank"))
    assert [extent.highest for extent in heard[0].streams] == [4]
    assert heard[1].sent == 2
    assert [claimed_type(one) for one in answers[:-1]] == [TYP_VERDICT] * 2
    for answer in answers[:-1]:
        seq = open_envelope(answer, anchor=place.anchor, at=now()).payload.seq
        assert answer.decode() == made[seq - 1].jws, "verbatim"
        (desk / "answer.jws").write_bytes(answer)
        printed = await asyncio.to_thread(run, desk, "node verify.mjs fleet-ca.pem YOUR-NAME < answer.jws")
        assert json.loads(printed)["seq"] == seq


async def test_following_as_the_page_says(place: Town, desk: Path, tmp_path: Path) -> None:
    made = envelopes(place, 4)
    lines = [line for line in commands() if "partner follow" in line]
    assert len(lines) == 3
    async with collector(place, tmp_path / "centre") as centre:
        await centre.first(Ready)
        words = await followed(place, desk, lines[0], "listening", "box-1", made[0])
        assert "passed" in words or "通过" in words
        events = [
            json.loads(line)
            for line in (await followed(place, desk, lines[1], '"ready"', '"verdict"', made[1])).splitlines()
        ]
        assert {event["event"] for event in events} >= {"ready", "verdict"}
        await followed(place, desk, lines[2], "listening", None, made[2])
    assert taken(desk) == [("till-7", "successful")]


async def followed(
    place: Town, desk: Path, line: str, ready: str, wanted: str | None, envelope: Envelope
) -> str:
    """What one command printed until it had shown, or handed on, what we sent."""
    log = desk / "followed"
    with log.open("wb") as file:
        child = subprocess.Popen(  # noqa: ASYNC220
            ["bash", "-c", f"exec {line}"],
            cwd=desk,
            env=environment(desk),
            stdout=file,
            stderr=subprocess.STDOUT,
        )
    try:
        await until(lambda: ready in log.read_text())
        await send(place, envelope)
        await until(lambda: wanted in log.read_text() if wanted else len(taken(desk)) == 1)
        child.terminate()
        assert await asyncio.to_thread(child.wait, 20) == os.EX_OK
    finally:
        child.kill()
    return "\n".join(
        line for line in log.read_text().splitlines() if "[info" not in line and '"level"' not in line
    )


def taken(desk: Path) -> list[Any]:
    if not (desk / "mine.sqlite").exists():
        return []
    database = sqlite3.connect(desk / "mine.sqlite")
    try:
        return database.execute("SELECT reference, result FROM taken").fetchall()
    except sqlite3.OperationalError:
        return []
    finally:
        database.close()


def test_every_field_and_every_event_is_on_the_page() -> None:
    for model in (GapPayload, ReplayRequest, ReplayEnd):
        for word in model.__struct_fields__:
            assert f"`{word}`" in PAGE, word
    for word in follow.PartnerSettings.__struct_fields__:
        assert word in PAGE or word.startswith("reconnect"), word
    events = (*SubscriptionEvent.__args__, *handing.HandingEvent.__args__, *CatchingUpEvent.__args__)
    for event in events:
        assert f"`{event.__struct_config__.tag}`" in PAGE, event
