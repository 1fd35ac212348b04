"""What a real daemon does beside verdicts: slips, a handover, a sealed record; and that nothing of them leaks."""

from __future__ import annotations

import asyncio
import contextlib
import json
import os
import pwd
import sqlite3
from collections.abc import Iterator
from datetime import UTC, date, datetime
from pathlib import Path
from typing import Any, Self

import pytest
from cryptography.hazmat.primitives.serialization import Encoding, PublicFormat

from edged.commands import scan
from edged.core.mrz import parse_mrz
from edged.emulator.escpos_printer import EscposEmulator, pty
from edged.errors import ControlError
from edged.privacy.leakscan import LeakScanner
from edged.sealing import envelope_context, open_sealed
from edged.slip import claims, cose, url
from edged.slip.facts import SlipFacts
from edged.uplink.envelope import open_envelope
from edged.uplink.keys import generate_key
from edged.uplink.roles import TrustAnchor
from tests.box import EDGED, SPECIMENS, Box
from tests.waiting import until

USER = pwd.getpwuid(os.getuid()).pw_name
KEY = generate_key()
PEM = KEY.public_key().public_bytes(Encoding.PEM, PublicFormat.SubjectPublicKeyInfo).decode()

PARTS = f"""
[slip]
site = "Grand Hotel 大酒店"
url = "https://check.example/"

[handover]
socket = "handover.sock"
users = {{ teller = "{USER}" }}

[audiences.teller]
scenes = ["bank"]
receives = ["training"]
[audiences.teller.policy.handover]
fields = ["surname", "given_names", "document_number", "birth_date"]

[audiences.bureau]
scenes = ["hotel"]
receives = ["live", "test"]
slip = true
encryption_keys = ['''{PEM}''']
policy = "lodging-authority"

[audiences.clinic]
scenes = ["hospital"]
receives = ["live", "test"]
encryption_keys = ['''{PEM}''']
[audiences.clinic.policy]
encrypt = true
consent = "required"
[audiences.clinic.policy.claims]
nationality = "keep"
"""


def box_with(directory: Path, more: str = "") -> Box:
    return Box(directory, edit=("[timeouts]", PARTS + more + "\n[timeouts]"))


def of_specimen(name: str) -> LeakScanner:
    expected = SPECIMENS[name].expected
    assert expected is not None
    assert expected.lines is not None
    return LeakScanner.for_documents([parse_mrz(list(expected.lines), today=date(2026, 6, 15))])


def everything_in(directory: Path) -> Iterator[tuple[str, bytes]]:
    for path in directory.rglob("*"):
        if path.is_file():
            yield path.name, path.read_bytes()


def envelopes(box: Box, audience: str) -> list[Any]:
    anchor = TrustAnchor.from_file(box.fleet.ca)
    with sqlite3.connect(box.database) as database:
        rows = database.execute(
            "SELECT jws FROM envelope WHERE audience = ? ORDER BY seq", (audience,)
        ).fetchall()
    return [open_envelope(row[0], anchor=anchor, at=datetime.now(UTC)).payload for row in rows]


class Application:
    """One line at a time on the handover socket."""

    def __init__(self, path: Path) -> None:
        self._path = path

    async def __aenter__(self) -> Self:
        self.reader, self.writer = await asyncio.open_unix_connection(str(self._path))
        return self

    async def __aexit__(self, *error: object) -> None:
        self.writer.close()
        await self.writer.wait_closed()

    async def ask(self, method: str, **params: Any) -> Any:
        request = {"v": 1, "id": 1, "method": method, "params": params}
        self.writer.write(json.dumps(request).encode() + b"\n")
        await self.writer.drain()
        return json.loads(await self.reader.readline())


async def told_to(box: Box) -> dict[str, tuple[str, ...]]:
    """Whom the newest slip names, and what it says they were told."""
    told = await box.control.call("slip_get")
    facts = claims.decode(cose.parse(url.parse(told["url"])).payload)
    return {recipient.label: recipient.told for recipient in facts.recipients}


async def test_a_slip_is_signed_with_every_inspection_counted_and_withdrawn(tmp_path: Path) -> None:
    async with box_with(tmp_path) as box:
        await box.scan("passport", scene="bank")
        first = await box.control.call("slip_get", output="pdf")
        second = await box.control.call("slip_get", number=first["number"], output="png")
        assert (first["copy"], second["copy"]) == (1, 2)
        assert first["url"] != second["url"]
        facts = claims.decode(cose.parse(url.parse(second["url"])).payload)
        assert (facts.number, facts.copy, facts.site) == (first["number"], 2, "Grand Hotel 大酒店")
        assert (facts.kind, facts.scene, facts.result) == ("test", "bank", "successful")
        assert (facts.name, facts.document_number) == ("E* A*", "L8*****C3")
        assert [recipient.label for recipient in facts.recipients] == ["central", "first-bank"]
        await box.control.call("slip_withdraw", number=first["number"], reason="judged_again")
        assert [slip["status"] for slip in (await box.control.call("slip_list"))["slips"]] == ["withdrawn"]
        with pytest.raises(ControlError, match=r"slip\.holds_no_more"):
            await box.control.call("slip_get", number=first["number"])
    scanner = of_specimen("passport")
    for name, data in everything_in(tmp_path / "state"):
        assert not scanner.scan(data), name
    assert not scanner.scan(box.errors)
    assert not scanner.scan(json.dumps([first, second]).encode())


async def until_ready(box: Box) -> None:
    async with asyncio.timeout(5):
        while (await box.control.call("status"))["state"] != "ready":
            await asyncio.sleep(0.01)


async def slip_of(box: Box) -> SlipFacts:
    return claims.decode(cose.parse(url.parse((await box.control.call("slip_get"))["url"])).payload)


async def edged(box: Box, *arguments: str) -> Any:
    """What a command says as JSON."""
    command = await asyncio.create_subprocess_exec(
        *EDGED, *arguments, "--json", stdout=asyncio.subprocess.PIPE
    )
    said, _ = await command.communicate()
    assert command.returncode == 0
    return json.loads(said)


async def test_a_second_inspection_s_slip_replaces_the_first_and_the_commands_tell_so(tmp_path: Path) -> None:
    async with box_with(tmp_path) as box:
        socket = ("--socket", str(tmp_path / "control.sock"))
        await box.scan("expired", scene="bank")
        old = (await box.control.call("slip_list"))["slips"][0]["number"]
        for refused, asked in (
            ("slip.no_such_slip", {"supersedes": "0" * 12}),
            ("slip.training_replaces_nothing", {"supersedes": old, "training": True}),
        ):
            with pytest.raises(ControlError) as caught:
                await box.control.call("scan", scene="bank", **asked)
            assert caught.value.code == refused
        await box.scan("passport", scene="bank", supersedes=old)
        facts = await slip_of(box)
        assert facts.supersedes == old
        with pytest.raises(ControlError, match=r"slip\.not_replaceable"):
            await box.control.call("scan", scene="bank", supersedes=old)
        with pytest.raises(ControlError, match=r"slip\.no_printer"):
            await box.control.call("slip_print")
        listed = (await edged(box, "slip", "list", *socket))["slips"]
        assert [(one["number"], one["status"], one["superseded_by"]) for one in listed] == [
            (facts.number, "valid", None),
            (old, "superseded", facts.number),
        ]
        logged = (await edged(box, "slip", "log", "--state", str(tmp_path / "state")))["slips"]
        assert [(one["kind"], one["subject"], one["detail"]) for one in logged[:3]] == [
            ("slip.printed", facts.number, {"copy": 1, "output": "screen"}),
            ("slip.superseded", old, {"by": facts.number}),
            ("slip.issued", facts.number, {"kind": "test", "scene": "bank"}),
        ]


async def test_a_slip_is_printed_by_itself_and_again_when_the_paper_is_back(tmp_path: Path) -> None:
    printer = EscposEmulator(384)
    more = f'\n[printer]\nport = "{tmp_path / "printer"}"\n'
    async with pty(printer, tmp_path / "printer"):
        box = box_with(tmp_path, more)
        box.config.write_text(
            box.config.read_text().replace('example/"\n', 'example/"\nprint_after = true\n')
        )
        async with box:
            await box.scan("passport", scene="bank")
            await until(lambda: printer.picture().size > 384 * 400)
            slip = (await box.control.call("slip_list"))["slips"][0]
            assert slip["copies"] == 1
            assert (await box.control.call("slip_print"))["copy"] == 2


async def test_the_holder_is_told_of_the_application_that_may_take_fields(tmp_path: Path) -> None:
    """It gets no envelope of this kind, and yet more than anybody else: the fields in clear."""
    async with box_with(tmp_path) as box, Application(tmp_path / "handover.sock") as teller:
        notice = (await box.control.call("notice", scene="bank"))["lines"]["en"]
        assert any(line.startswith("teller learns:") for line in notice)
        await box.scan("passport", scene="bank")
        assert "teller" not in [one.label for one in (await slip_of(box)).recipients]  # it asked for nothing
        await box.hand.place(SPECIMENS["passport"].sides)
        await teller.ask("inspect", scene="bank")
        await box.hand.remove()
        first = (await slip_of(box)).recipients[0]
        assert (first.label, "handover_fields" in first.told) == ("teller", True)


async def test_an_application_takes_the_fields_it_asked_for_once(tmp_path: Path) -> None:
    async with box_with(tmp_path) as box, Application(tmp_path / "handover.sock") as teller:
        await box.hand.place(SPECIMENS["passport"].sides)
        asked = await teller.ask("inspect", scene="bank", reference="T-7", operator="clerk-3")
        await box.hand.remove()
        assert "result" in asked, asked
        answer = asked["result"]
        assert answer["result"] == "successful"
        assert sorted(answer["handover"]["fields"]) == [
            "birth_date",
            "document_number",
            "given_names",
            "surname",
        ]
        taken = await teller.ask("take", inspection=answer["inspection"])
        assert taken["result"]["fields"] == {
            "surname": "ERIKSSON",
            "given_names": "ANNA MARIA",
            "document_number": "L898902C3",
            "birth_date": "1974-08-12",
        }
        again = await teller.ask("take", inspection=answer["inspection"])
        assert again["error"]["code"] == "handover.taken_already"
        assert (await told_to(box))["teller"] == ("checks", "document_kind", "handover_fields")
        # A clerk's own press is nobody's handover.
        assert (await box.scan("passport", scene="bank"))["outcome"] == "committed"
        assert "teller" not in await told_to(box)
    scanner = of_specimen("passport")
    for name, data in everything_in(tmp_path / "state"):
        assert not scanner.scan(data), name
    assert not scanner.scan(box.errors)


async def test_a_lodging_record_is_completed_after_the_document_has_left_and_sealed(tmp_path: Path) -> None:
    async with box_with(tmp_path) as box:
        await box.scan("passport", scene="hotel", reference="G-1")
        [told] = (await box.control.call("lodging_list"))["open"]
        today = datetime.now(UTC).astimezone().date().isoformat()
        fields = {name: _typed(name, today) for name in told["missing"]}
        done = await box.control.call("lodging_complete", record_id=told["record_id"], fields=fields)
        assert done["state"] == "sealed", done
        first, second = envelopes(box, "bureau")
        assert (first.record, first.record_id) == (None, None)
        assert first.slip is not None
        assert second.record_id == told["record_id"]
        context = envelope_context(
            fleet="demo-fleet",
            device="box-1",
            audience="bureau",
            policy_sha256=second.policy.sha256,
            record_id=second.record_id,
        )
        record = json.loads(open_sealed(second.record, [KEY], what="record", context=context))
        assert "ERIKSSON" in json.dumps(record)
        assert envelopes(box, "grand-hotel")[0].record is None
    scanner = of_specimen("passport")
    for name, data in everything_in(tmp_path / "state"):
        assert not scanner.scan(data), name
    assert not scanner.scan(box.errors)


def _typed(name: str, today: str) -> str:
    typed = {"room": "1208", "visa_kind": "L", "entry_port": "SHANGHAI", "stay_reason": "TOURISM"}
    return typed.get(name, today)


async def test_nothing_is_disclosed_without_consent_and_then_only_to_its_audience(tmp_path: Path) -> None:
    async with box_with(tmp_path) as box:
        notice = await box.control.call("notice", scene="hospital")
        assert notice["consent"] is True
        await box.scan("passport", scene="hospital")
        assert (await told_to(box))["clinic"] == ("checks", "document_kind")
        await box.scan("passport", scene="hospital", consent=True)
        assert (await told_to(box))["clinic"] == ("checks", "document_kind", "nationality")
        opened = []
        for envelope in envelopes(box, "clinic"):
            assert envelope.claims == {}
            assert envelope.consent.notice == notice["sha256"]
            context = envelope_context(
                fleet="demo-fleet",
                device="box-1",
                audience="clinic",
                policy_sha256=envelope.policy.sha256,
            )
            opened.append(json.loads(open_sealed(envelope.encrypted, [KEY], what="claims", context=context)))
        assert opened[0] == {"nationality": None, "withheld": {"nationality": "claim.no_consent"}}
        assert opened[1] == {"nationality": "UTO"}
        assert [envelope.consent.given for envelope in envelopes(box, "clinic")] == [False, True]
        asked = {"scene": "hospital", "consent": True}
        assert (await box.scan("passport", notice=notice["sha256"], **asked))["outcome"] == "committed"
        # What was shown before settings changed is no consent to what is in force now.
        refused = await box.control.call("scan", notice="0" * 64, **asked)
        assert (refused["outcome"], refused["reason"]["code"]) == ("refused", "inspection.notice_changed")
        with pytest.raises(ControlError, match=r"control\.bad_parameter"):
            await box.control.call("scan", notice="shown", **asked)
        assert len(envelopes(box, "clinic")) == 3
        slips = (await box.control.call("slip_list"))["slips"]
        for slip, told in zip(slips[1:], ({"nationality"}, set()), strict=True):
            text = (await box.control.call("slip_get", number=slip["number"]))["url"]
            facts = claims.decode(cose.parse(url.parse(text)).payload)
            clinic = next(one for one in facts.recipients if one.label == "clinic")
            assert set(clinic.told) == {"checks", "document_kind"} | told


CONSENTING = """
[audiences.pharmacy]
scenes = ["hospital"]
receives = ["training"]
label = "The pharmacy"
[audiences.pharmacy.policy]
consent = "required"
retention_days = 3
[audiences.pharmacy.policy.handover]
fields = ["surname"]
"""


async def test_an_application_tells_the_holder_before_and_after_and_replaces_a_slip(tmp_path: Path) -> None:
    box = box_with(tmp_path, CONSENTING)
    box.config.write_text(box.config.read_text().replace(f'teller = "{USER}"', f'pharmacy = "{USER}"'))
    async with box, Application(tmp_path / "handover.sock") as pharmacy:

        async def inspect(**asked: Any) -> Any:
            await box.hand.place(SPECIMENS["passport"].sides)
            told = await pharmacy.ask("inspect", **asked)
            await box.hand.remove()
            await until_ready(box)
            return told["result"]

        notice = (await pharmacy.ask("notice"))["result"]
        assert notice == await box.control.call("notice", scene="hospital")
        assert notice["consent"] is True
        assert {one["to"]: one["consent"] for one in notice["policies"]}["The pharmacy"] == "required"
        # Without consent: nothing of the document, and that is said.
        done = await inspect(notice=notice["sha256"])
        assert (done["outcome"], done["handover"]) == ("committed", None)
        told = {one["to"]: (one["told"], one["refused"]) for one in done["notice"]["recipients"]}
        assert told["The pharmacy"] == (["checks"], True)
        assert told["clinic"] == (["checks", "document_kind"], True)
        assert (done["notice"]["consent"], done["notice"]["notice"]) == (False, notice["sha256"])
        # With it: its fields, and the clinic's claims.
        first = (await box.control.call("slip_list"))["slips"][0]["number"]
        done = await inspect(notice=notice["sha256"], consent=True, supersedes=first)
        assert done["handover"]["fields"] == ["surname"]
        told = {one["to"]: (one["told"], one["refused"]) for one in done["notice"]["recipients"]}
        assert told["The pharmacy"] == (["checks", "document_kind", "handover_fields"], False)
        assert told["clinic"] == (["checks", "document_kind", "nationality"], False)
        assert done["notice"]["read"] == ["picture", "mrz"]
        assert "The pharmacy keeps it for 3 days at most." in done["notice"]["lines"]["en"]
        assert (await slip_of(box)).supersedes == first
        offered = (await edged(box, "handover", "log", "--state", str(tmp_path / "state")))["handovers"]
        assert [one["detail"].get("consent") for one in offered] == [notice["sha256"]]
        assert envelopes(box, "clinic")[-1].consent.notice == notice["sha256"]
        # What was shown before settings changed is no consent; a slip that was replaced isn't replaced again.
        late = (await pharmacy.ask("inspect", consent=True, notice="0" * 64))["result"]
        assert (late["outcome"], late["reason"]) == ("refused", "inspection.notice_changed")
        again = await pharmacy.ask("inspect", supersedes=first)
        assert again["error"]["code"] == "slip.not_replaceable"
        trained = await pharmacy.ask("inspect", supersedes=first, training=True)
        assert trained["error"]["code"] == "slip.training_replaces_nothing"
        assert len(envelopes(box, "clinic")) == 2
    scanner = of_specimen("passport")
    assert not scanner.scan(json.dumps([notice, done], ensure_ascii=False).encode())


async def next_outcome(box: Box) -> dict[str, Any]:
    async for event in box.control.events():
        if event["event"] == "outcome":
            return event
    raise AssertionError("the connection ended")


async def test_the_button_consents_to_nothing_and_the_clerk_is_told(tmp_path: Path) -> None:
    """It can't say what the holder said: whoever needs the holder's consent gets nothing, whatever lies there."""
    box = box_with(tmp_path)
    box.config.write_text('default_scene = "hospital"\n' + box.config.read_text())
    async with box:
        await box.control.call("subscribe")
        listening = asyncio.create_task(next_outcome(box))
        await box.hand.place(SPECIMENS["passport"].sides)
        await box.hand.press()
        async with asyncio.timeout(20):
            outcome = await listening
        assert outcome["outcome"] == "committed"
        (envelope,) = envelopes(box, "clinic")
        assert envelope.consent.given is False
        context = envelope_context(
            fleet="demo-fleet", device="box-1", audience="clinic", policy_sha256=envelope.policy.sha256
        )
        opened = json.loads(open_sealed(envelope.encrypted, [KEY], what="claims", context=context))
        assert opened == {"nationality": None, "withheld": {"nationality": "claim.no_consent"}}
        assert (await told_to(box))["clinic"] == ("checks", "document_kind")
        notice = outcome["notice"]
        assert notice["consent"] is False
        assert [one["to"] for one in notice["recipients"] if one["refused"]] == ["clinic"]
        assert any(
            "clinic was told nothing that needs your consent" in line for line in notice["lines"]["en"]
        )
        assert "edged scan --consent" in "\n".join(scan.lines(outcome, "en"))  # what the clerk does now


async def test_a_broken_journal_is_set_aside_and_the_counter_goes_on(tmp_path: Path) -> None:
    box = box_with(tmp_path)
    async with box:
        await box.scan("passport", scene="bank")
    (tmp_path / "state" / "journal.sqlite").write_bytes(b"no database" * 1000)
    async with box:
        await box.scan("passport", scene="bank")
        assert len((await box.control.call("slip_list"))["slips"]) == 1
    assert list((tmp_path / "state").glob("journal.sqlite.corrupt-*"))


async def test_a_journal_that_breaks_at_work_is_set_aside_by_the_next_start(tmp_path: Path) -> None:
    """A page nobody reads at the start: without that every start would end over it, and no verdict be given again."""
    async with box_with(tmp_path):
        pass
    path = tmp_path / "state" / "journal.sqlite"
    with contextlib.closing(sqlite3.connect(path)) as database:
        database.execute("PRAGMA wal_checkpoint(TRUNCATE)")
        (page,) = database.execute(
            "SELECT rootpage FROM sqlite_schema WHERE name = 'slips_expired'"
        ).fetchone()
        (size,) = database.execute("PRAGMA page_size").fetchone()
    content = bytearray(path.read_bytes())
    content[(page - 1) * size : page * size] = b"\xff" * size
    path.write_bytes(content)

    box = box_with(tmp_path)
    ended = await box.spawn()
    _, errors = await ended.communicate()
    assert ended.returncode not in (0, 78)
    assert b"the journal is broken" in errors
    async with box:
        assert (await box.scan("passport", scene="bank"))["outcome"] == "committed"
        assert len((await box.control.call("slip_list"))["slips"]) == 1
    assert len(list((tmp_path / "state").glob("journal.sqlite.corrupt-?"))) == 1
    assert not list((tmp_path / "state").glob("journal.sqlite.broken"))
