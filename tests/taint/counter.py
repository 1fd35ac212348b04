"""What a counter has beside verdicts, driven: slips, handover, lodging record, consent, broken databases.

Functions as `tests.taint.paths` wants them. What is drawn can't be searched as text: a picture that isn't exactly what
the signed facts make of it is told under `UNEXPLAINED`, which counts as a find.
"""

from __future__ import annotations

import asyncio
import contextlib
import json
import os
import pwd
import ssl
from datetime import UTC, datetime
from typing import TYPE_CHECKING, Any, Final

import msgspec
from cryptography.hazmat.primitives.serialization import Encoding, PublicFormat

from edged.sealing import envelope_context, open_sealed
from edged.slip import claims, content, cose, url
from edged.uplink import topics
from edged.uplink.envelope import open_envelope
from edged.uplink.keys import generate_key
from edged.uplink.roles import TrustAnchor
from tests.broker import FLEET
from tests.waiting import until

if TYPE_CHECKING:
    from collections.abc import AsyncIterator
    from pathlib import Path

    from tests.taint.canaries import Canary
    from tests.taint.world import World

UNEXPLAINED: Final = "drawn, and not what is signed"
DEVICE: Final = "box-1"
HANDED: Final = ("surname", "given_names", "document_number", "birth_date")
WITHIN_S: Final = 0.2
"""For the desk, which comes too late; the teller has the time that everybody has."""
KEY: Final = generate_key()
_PEM: Final = KEY.public_key().public_bytes(Encoding.PEM, PublicFormat.SubjectPublicKeyInfo).decode()

CONFIG: Final = """
[slip]
site = "Grand Hotel 大酒店"
url = "https://check.example/"

[printer]
port = "{readers}/printer"

[handover]
socket = "handover.sock"
users = {{ teller = "{user}" }}
listen = "127.0.0.1:{port}"
key = "{tls.key}"
certificate = "{tls.certificate}"

[audiences.teller]
scenes = ["bank"]
receives = ["training"]
[audiences.teller.policy.handover]
fields = {fields}

[audiences.desk]
scenes = ["bank"]
receives = ["training"]
[audiences.desk.policy.handover]
fields = ["surname"]
within_s = {within_s}

[audiences.bureau]
scenes = ["hotel"]
receives = ["live", "test"]
slip = true
encryption_keys = ['''{pem}''']
policy = "lodging-authority"

[audiences.clinic]
scenes = ["hospital"]
receives = ["live", "test"]
encryption_keys = ['''{pem}''']
[audiences.clinic.policy]
encrypt = true
consent = "required"
[audiences.clinic.policy.claims]
nationality = "keep"
"""


def config(readers: Path, port: int, tls: Any) -> str:
    """Everything of a counter. `port`: of the handover's network door; `tls`: the key and certificate of it."""
    user = pwd.getpwuid(os.getuid()).pw_name
    return CONFIG.format(
        readers=readers,
        user=user,
        port=port,
        tls=tls,
        fields=json.dumps(HANDED),
        within_s=WITHIN_S,
        pem=_PEM,
    )


def said(answer: object) -> bytes:
    """As bytes, to be searched."""
    return json.dumps(answer, ensure_ascii=False).encode()


# --- slips ---


def _facts(address: str) -> tuple[dict[str, bytes], Any]:
    """What an address signs, as it stands in the claims, and the lines that are printed of it."""
    payload = cose.parse(url.parse(address)).payload
    facts = claims.decode(payload)
    pairs = [pair for line in content.lines(facts) for pair in (line.caption, line.value)]
    lines = "\n".join(pair[language] for language in (0, 1) for pair in pairs)
    return {"signed claims": bytes(payload), "lines": lines.encode(), "address": address.encode()}, facts


async def slip_facts(world: World, person: Canary) -> dict[str, bytes]:
    """Address, signed claims, printed lines."""
    await world.swiped(person)
    got = await world.call("slip_get")
    return {"answer": said(got), **_facts(got["result"]["url"])[0]}


async def slip_answers(world: World, person: Canary) -> dict[str, bytes]:
    """What clerks ask about slips, and what they are refused."""
    await world.swiped(person)
    refused = [
        await world.call("slip_get", number=person.document_number),
        await world.call("slip_withdraw", number=person.surname, reason=person.surname),
        await world.call("slip_print", **{person.surname: 1}),
    ]
    assert all("refused" in one for one in refused), refused
    socket = str(world.box.directory / "control.sock")
    return {
        "slip_list": said(await world.call("slip_list", limit=20)),
        "refusals": said(refused),
        "edged slip list": await world.command_line("slip", "list", "--socket", socket),
    }


async def slip_journal(world: World, person: Canary) -> dict[str, bytes]:
    """The database with the journal, what SQLite has beside it included."""
    before = world.files("state/journal")
    await world.swiped(person)
    return world.news(before)


async def slip_on_paper(world: World, person: Canary) -> dict[str, bytes]:
    """What the printer was sent, and what came out of it: the code's claims, and every dot."""
    from edged.slip.finding import find

    before = world.printer.picture().shape[0]
    sent = len(world.printed)
    await world.swiped(person)
    answer = await world.call("slip_print")
    assert "result" in answer, answer
    paper = world.printer.picture()[before if sent else 0 :]
    [code] = find(paper)
    told, facts = _facts(code.text)
    out = {"answer": said(answer), "sent": bytes(world.printed[sent:]), **told}
    if not await asyncio.to_thread(_is_explained, paper, facts, code.text):
        out[UNEXPLAINED] = b"more or less than the signed lines"
    return out


def _is_explained(paper: Any, facts: Any, address: str) -> bool:
    """Whether the paper shows the signed lines, dot by dot, and nothing else."""
    from edged.slip import picture
    from edged.slip.faces import installed
    from edged.slip.layout import MEDIA, lay_out

    faces = installed()
    page = lay_out(content.lines(facts), address, content.watermark(facts), MEDIA["58"], faces)
    shown, wanted = _inked(paper == 0), _inked(picture.dots(page, faces))
    return bool(shown.shape == wanted.shape and (shown == wanted).all())


def _inked(dots: Any) -> Any:
    """Without the white above and below: how far paper is fed is the printer's concern."""
    rows = dots.any(axis=1).nonzero()[0]
    return dots[rows[0] : rows[-1] + 1]


async def slip_as_file(world: World, person: Canary) -> dict[str, bytes]:
    """The PDF as bytes and as the text that is in it; the PNG's code, and whether it shows what is signed."""
    import cv2

    from edged.commands._slip_pdf_text import text_of
    from edged.slip.finding import find

    await world.swiped(person)
    socket = str(world.box.directory / "control.sock")
    files = {form: world.box.directory / f"slip.{form}" for form in ("pdf", "png")}
    told = await asyncio.gather(
        *(
            world.command_line("slip", "save", f"--{form}", str(file), "--socket", socket)
            for form, file in files.items()
        )
    )
    made = {form: file.read_bytes() for form, file in files.items()}
    grey = cv2.imread(str(files["png"]), cv2.IMREAD_GRAYSCALE)
    assert grey is not None
    for file in files.values():
        file.unlink()
    [code] = find(grey)
    lines, _ = await asyncio.to_thread(text_of, made["pdf"])
    text = "\n".join(lines)
    assert "Grand Hotel" in text
    signed, facts = _facts(code.text)
    out = {
        "edged slip save": b"\n".join(told),
        "pdf": made["pdf"],
        "text of the PDF": text.encode(),
        **signed,
    }
    if made["png"] != await asyncio.to_thread(_png, facts, code.text):
        out[UNEXPLAINED] = b"the PNG"
    return out


def _png(facts: Any, address: str) -> bytes:
    from edged.slip import picture
    from edged.slip.faces import installed
    from edged.slip.layout import A6, lay_out

    faces = installed()
    return picture.png(lay_out(content.lines(facts), address, content.watermark(facts), A6, faces), faces)


async def slip_list(world: World, person: Canary) -> dict[str, bytes]:
    """The published list of those that hold no more."""
    topic = topics.slips(FLEET, DEVICE)
    await world.swiped(person)
    before = len(world.heard.get(topic, ()))
    number = (await world.call("slip_list", limit=1))["result"]["slips"][0]["number"]
    answer = await world.call("slip_withdraw", number=number, reason="judged_again")
    assert answer == {"result": {"number": number}}
    await until(lambda: len(world.heard.get(topic, ())) > before, 20, so_far=lambda: sorted(world.heard))
    return {topic: b"\n".join(world.heard[topic])}


# --- handover ---


class Application:
    """Speaks for an application, line by line.

    Attributes:
        lines: everything that it was told, but the one answer that may hold values.
    """

    def __init__(self, reader: asyncio.StreamReader, writer: asyncio.StreamWriter) -> None:
        self._reader, self._writer = reader, writer
        self.lines: list[bytes] = []

    async def ask(self, method: str, *, allowed: bool = False, **params: Any) -> dict[str, Any]:
        """The answer. `allowed`: it is the one that may hold values, and isn't kept."""
        return await self.raw(
            json.dumps({"v": 1, "id": 7, "method": method, "params": params}).encode(), allowed=allowed
        )

    async def raw(self, line: bytes, *, allowed: bool = False) -> dict[str, Any]:
        """The answer to any line."""
        self._writer.write(line + b"\n")
        while True:
            told: dict[str, Any] = json.loads(await self.hear(keep=not allowed))
            if "event" not in told:
                return told

    async def hear(self, *, keep: bool = True) -> bytes:
        """The next line."""
        async with asyncio.timeout(60):
            line = await self._reader.readline()
        if keep or b'"event"' in line:
            self.lines.append(line)
        return line


@contextlib.asynccontextmanager
async def application(world: World, desk: bool = False) -> AsyncIterator[Application]:
    """The teller's, over the local socket; or the desk's, by its certificate."""
    if desk:
        files, context = world.desk, ssl.SSLContext(ssl.PROTOCOL_TLS_CLIENT)
        context.load_verify_locations(world.place.fleet.ca)
        context.load_cert_chain(files.certificate, files.key)
        reader, writer = await asyncio.open_connection("127.0.0.1", world.door, ssl=context)
    else:
        reader, writer = await asyncio.open_unix_connection(str(world.box.directory / "handover.sock"))
    try:
        yield Application(reader, writer)
    finally:
        writer.close()
        with contextlib.suppress(OSError):
            await writer.wait_closed()


def _handed(taken: dict[str, Any], person: Canary) -> None:
    """The one answer that is allowed holds exactly its fields, and they are this person's."""
    assert set(taken) == {"v", "id", "result"}, sorted(taken)
    assert set(taken["result"]) == {"inspection", "fields"} or set(taken["result"]) == {"fields"}
    fields = taken["result"]["fields"]
    assert set(fields) == set(HANDED)
    same = (
        fields["surname"] == person.surname,
        fields["document_number"] == person.document_number,
        fields["given_names"] == person.given_names,
        fields["birth_date"] == person.birth.isoformat(),
    )
    assert all(same), "of somebody else"


async def handover_refusals(world: World, person: Canary) -> dict[str, bytes]:
    """Whatever an application is refused while fields lie ready, and after; events; what the command says."""
    before = world.files("state/journal", "log")
    async with (
        application(world) as teller,
        application(world) as second,
        application(world, desk=True) as desk,
    ):
        await teller.ask("subscribe")
        asking = teller.ask("inspect", scene="bank", reference="T-7", operator="clerk-3")
        asked = (await world.swiped_for(person, asking))["result"]
        assert sorted(asked["handover"]["fields"]) == sorted(HANDED), asked
        number = asked["inspection"]
        refused = [
            await second.ask("take", inspection=number),
            await desk.ask("take", inspection=number),
            await desk.ask("take", inspection=person.surname),
            await desk.ask("inspect", scene=person.surname),
            await desk.ask(person.surname),
            await desk.raw(person.lines[0].encode()),
            await desk.raw(b'{"v": 1, "id": "' + person.surname.encode() + b'"}'),
            await desk.raw(said({"v": 1, "id": 1, "method": "take", "params": {person.surname: person.han}})),
        ]
        _handed(await teller.ask("take", allowed=True, inspection=number), person)
        refused.append(await teller.ask("take", inspection=number))
        assert all("error" in one for one in refused), refused
        assert refused[-1]["error"]["code"].startswith("handover.taken_already")
        events = teller.lines + second.lines + desk.lines
    state = str(world.box.directory / "state")
    return {
        "answers, refusals, events": b"".join(events),
        "edged handover log": await world.command_line("handover", "log", "--state", state),
        **world.news(before),
    }


async def handover_too_late(world: World, person: Canary) -> dict[str, bytes]:
    """Fields that nobody took in time: told, journalled by name, refused."""
    before = world.files("state/journal", "log")
    async with application(world, desk=True) as desk:
        await desk.ask("subscribe")
        asked = (await world.swiped_for(person, desk.ask("inspect", scene="bank")))["result"]
        while b'"forgotten"' not in b"".join(desk.lines):
            await desk.hear()
        refused = await desk.ask("take", inspection=asked["inspection"])
        assert refused["error"]["code"].startswith("handover.too_late")
        return {"lines": b"".join(desk.lines), **world.news(before)}


# --- lodging and consent ---


async def _completed(world: World, person: Canary) -> tuple[dict[str, bytes], Any]:
    """Answers on the way to a sealed record, wrong entries among them; and its envelope, unopened."""
    topic = topics.verdict(FLEET, DEVICE, "bureau")
    await world.swiped_for(person, world.call("scan", scene="hotel", reference="G-1"))
    listed = await world.call("lodging_list")
    told = listed["result"]["open"][-1]
    before = len(world.heard.get(topic, ()))
    number, today = told["record_id"], datetime.now(UTC).astimezone().date().isoformat()
    wrong = {
        "stay_until": person.han,
        "visa_number": person.arabic,
        "english_surname": person.cyrillic,
        "coming_from": person.coming_from,
        "room": person.address,
    }
    answers = [listed, await world.call("lodging_complete", record_id=number, fields=wrong)]
    assert len(answers[-1]["result"]["faults"]) >= 3, answers[-1]
    answers += [
        await world.call("lodging_complete", record_id=number, fields={person.surname: person.han}),
        await world.call("lodging_complete", record_id=person.going_to, fields={}),
    ]
    assert all("refused" in one for one in answers[2:])
    fields = dict.fromkeys(("stay_until", "entry_date", "arrival_date", "departure_date"), today) | {
        "english_surname": "",
        "document_kind": "foreign_passport",
        "room": "1208",
        "visa_kind": "L",
        "visa_number": person.visa_number,
        "entry_port": person.going_to,
        "stay_reason": "TOURISM",
        "coming_from": person.coming_from,
        "going_to": person.going_to,
    }
    done = await world.call("lodging_complete", record_id=number, fields=fields)
    assert done.get("result", {}).get("state") == "sealed", done
    answers += [done, await world.call("lodging_list"), await world.call("lodging_rates", tests=True)]
    anchor, found = TrustAnchor.from_file(world.box.fleet.ca), []

    def sealed() -> bool:
        for data in world.heard.get(topic, ())[before:]:
            payload = open_envelope(data.decode(), anchor=anchor, at=datetime.now(UTC)).payload
            if payload.record_id == number and payload.record is not None:
                found.append(payload)
        return bool(found)

    await until(sealed, 20, so_far=lambda: sorted(world.heard))
    return {
        "answers": said(answers),
        "envelopes": b"\n".join(world.heard[topic]),
        "envelope": msgspec.json.encode(found[0]),
    }, found[0]


def _opened(envelope: Any, sealed: Any, what: Any, record_id: str = "") -> dict[str, Any]:
    context = envelope_context(
        fleet=FLEET,
        device=DEVICE,
        audience=envelope.audience,
        policy_sha256=envelope.policy.sha256,
        record_id=record_id,
    )
    opened: dict[str, Any] = json.loads(open_sealed(sealed, [KEY], what=what, context=context))
    return opened


async def lodging_answers(world: World, person: Canary) -> dict[str, bytes]:
    """What the clerk is told, and the commands; events."""
    before = world.files("state/journal", "log")
    out, _ = await _completed(world, person)
    world.hear_events()
    socket = str(world.box.directory / "control.sock")
    return {
        "answers": out["answers"],
        "edged lodging list": await world.command_line("lodging", "list", "--socket", socket),
        "events": b"\n".join(world.events),
        **world.news(before),
    }


async def sealed_record(world: World, person: Canary) -> dict[str, bytes]:
    """The envelope as it leaves: nothing is in it for who hasn't the key, everything for who has."""
    out, envelope = await _completed(world, person)
    fields = _opened(envelope, envelope.record, "record", envelope.record_id)["fields"]
    same = (
        fields["english_surname"] == person.surname,
        fields["document_number"] == person.document_number,
        fields["visa_number"] == person.visa_number,
        fields["going_to"] == person.going_to,
    )
    assert all(same), "the recipient opens another record"
    return {"envelope": out["envelope"], "envelopes": out["envelopes"]}


async def encrypted_claims(world: World, person: Canary) -> dict[str, bytes]:
    """With consent, to one recipient."""
    topic, anchor = topics.verdict(FLEET, DEVICE, "clinic"), TrustAnchor.from_file(world.box.fleet.ca)
    before, journal = set(world.heard.get(topic, ())), world.files("state/journal")
    answer = await world.swiped_for(person, world.call("scan", scene="hospital", consent=True))
    await until(lambda: set(world.heard.get(topic, ())) > before)
    [jws] = set(world.heard[topic]) - before
    envelope = open_envelope(jws.decode(), anchor=anchor, at=datetime.now(UTC)).payload
    assert envelope.consent is not None
    assert envelope.consent.given
    assert _opened(envelope, envelope.encrypted, "claims") == {"nationality": "UTO"}
    notice = await world.call("notice", scene="hospital")
    return {"answer": said(answer), "notice": said(notice), topic: jws, **world.news(journal)}


# --- what is broken ---


async def set_aside(world: World, person: Canary) -> dict[str, bytes]:
    """Both databases are broken, moved aside and made anew; then what a technician asks for."""
    await world.swiped_for(person, world.call("scan", scene="hotel"))
    status = topics.status(FLEET, DEVICE)
    async with world.stopped():
        before = len(world.heard[status])
        for name in ("journal.sqlite", "state.sqlite"):
            file = world.box.directory / "state" / name
            data = file.read_bytes()
            assert len(data) > 4096
            file.write_bytes(b"no database" + data[11:])
    await until(lambda: any(b"online" in one for one in world.heard[status][before:]), 30)
    aside = {
        name: data for name, data in world.files("state").items() if ".broken-" in name or ".corrupt-" in name
    }
    assert {name.split("/")[1].split(".")[0] for name in aside} == {"journal", "state"}, sorted(aside)
    return {**aside, "diagnostics": b"\n".join(await world.commanded("diagnostics"))}


async def by_swipe_logged(world: World, person: Canary) -> dict[str, bytes]:
    """A failure after the verdict: the verdict stands."""
    outcome = await world.swiped(person)
    assert outcome["outcome"] == "committed", outcome
    return {"outcome": said(outcome), **world.files("log")}


async def completing_fails(world: World, person: Canary) -> dict[str, bytes]:
    """A bug in a record's completion."""
    await world.swiped_for(person, world.call("scan", scene="hotel"))
    told = (await world.call("lodging_list"))["result"]["open"][-1]
    fields = {"coming_from": person.coming_from}
    answer = await world.call("lodging_complete", record_id=told["record_id"], fields=fields)
    assert "refused" in answer, answer
    return {"answer": said(answer), **world.files("log")}


async def taking_fails(world: World, person: Canary) -> dict[str, bytes]:
    """A bug where fields are taken."""
    async with application(world) as teller:
        asked = (await world.swiped_for(person, teller.ask("inspect", scene="bank")))["result"]
        answer = await teller.ask("take", inspection=asked["inspection"])
        assert answer["error"]["code"] == "handover.internal_error"
        return {"lines": b"".join(teller.lines), **world.files("log")}
