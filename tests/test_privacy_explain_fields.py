"""`edged privacy explain` shows every field that goes out, and each as an inspection that is judged sends it."""

from __future__ import annotations

import base64
import json
from functools import cache
from pathlib import Path
from typing import TYPE_CHECKING, Any

import msgspec
import pytest
from cryptography.hazmat.primitives.asymmetric import ec
from cryptography.hazmat.primitives.serialization import Encoding, PublicFormat

from edged import cli, messages, worked_example
from edged.commands.config import EXAMPLE
from edged.config import AudienceSettings, BoxSettings, SlipSettings, parse_toml
from edged.core.image import decode_image
from edged.core.reading import read_page
from edged.events import ScanRequest
from edged.judging import judge_inspection
from edged.lodging.form import FIELDS as FORM_FIELDS
from edged.lodging.record import FORM, entry
from edged.privacy.held import HeldFields
from edged.privacy.pseudonym import Pseudonymiser
from edged.privacy.ready_made import FOR_SCENE, load
from edged.sealing import Sealed, envelope_context, open_sealed
from edged.side import ReadDocument, ReadSide
from edged.slip.facts import CheckFact, RecipientFact, SlipFacts
from edged.slip.making import facts_of
from edged.specimens import FIXED_TODAY, shipped
from edged.uplink.envelope import (
    Consent,
    DocumentSummary,
    EnvelopePayload,
    PolicyMark,
    Provenance,
    StreamPosition,
    seal,
)
from edged.uplink.names import Role
from edged.verdict import JudgedCheck, Kind, Reason
from edged.worked_example import PROVENANCE, SENDER, SLIP_NUMBER, slip_of, work_through
from tests.broker import Town
from tests.test_judging import CLOCK

if TYPE_CHECKING:
    from edged.core.reading import PageReading
    from edged.judging import Judgement
    from edged.privacy.explaining import Explained, ExplainedField

KEY = ec.generate_private_key(ec.SECP256R1())
PUBLIC = KEY.public_key().public_bytes(Encoding.PEM, PublicFormat.SubjectPublicKeyInfo).decode()

INSIDE = {
    JudgedCheck: ("name", "check_class", "result", "reasons"),
    Reason: ("code", "params"),
    DocumentSummary: ("document_class", "format"),
    PolicyMark: ("name", "version", "sha256"),
    Consent: ("given", "notice"),
    Provenance: ("driver", "identity", "simulated"),
    Sealed: ("alg", "what", "kid", "data"),
    CheckFact: ("name", "result"),
    RecipientFact: ("label", "told", "retention_days"),
}
"""What stands inside a field: whoever adds to it looks at the field's sentence, `explain.field_…`, and then here."""


@cache
def readings() -> tuple[PageReading, ...]:
    side = next(one for one in shipped() if one.name == "passport").sides[0]
    return (read_page(decode_image(side.read_bytes()), today=FIXED_TODAY),)


def box(scene: str, **changes: Any) -> BoxSettings:
    """A box with the ready-made policies of a scene; `changes` to every audience."""
    audiences = {
        name: AudienceSettings(scenes=(scene,), policy=load(name), encryption_keys=(PUBLIC,), **changes)
        for name in FOR_SCENE[scene]
    }
    settings = parse_toml(EXAMPLE.encode(), BoxSettings, base=Path("/"))
    return msgspec.structs.replace(
        settings, audiences=audiences, slip=SlipSettings(site="here", url="https://s.example")
    )


def worked(settings: BoxSettings, name: str, scene: str) -> Explained:
    return work_through(name, settings, readings(), scene=scene, today=FIXED_TODAY)


def inspected(settings: BoxSettings, scene: str, application: str | None = None) -> Judgement:
    """As the daemon judges it: the same document, not through what is tested."""
    tested = {
        name: msgspec.structs.replace(one, receives=(Kind.TEST,)) for name, one in settings.audiences.items()
    }
    return judge_inspection(
        ReadDocument([ReadSide(one, {}, None) for one in readings()]),
        request=ScanRequest(
            scene,
            reference="TX-1001",
            purpose="example",
            operator="clerk-7",
            consent=True,
            application=application,
        ),
        settings=msgspec.structs.replace(settings, audiences=tested),
        clock=CLOCK,
        provenance=PROVENANCE,
        pseudonyms={name: Pseudonymiser(bytes(32), f"box:{name}") for name in settings.audiences},
        sender=SENDER,
    )


def by_name(fields: tuple[ExplainedField, ...]) -> dict[str, ExplainedField]:
    return {one.field: one for one in fields}


def has_sentences(code: str) -> bool:
    entry = messages.catalogue().get(code)
    return entry is not None and all(entry.get(lang) for lang in messages.LANGUAGES)


@pytest.mark.parametrize("change", [{}, {"reference": False, "slip": True}])
@pytest.mark.parametrize("scene", FOR_SCENE)
def test_it_shows_what_a_signed_envelope_holds(scene: str, change: dict[str, Any], tmp_path: Path) -> None:
    settings = box(scene, **change)
    signer = Town(tmp_path).signer(Role.DEVICE, "box-1")
    judgement = inspected(settings, scene)
    unfinished = {one.draft.audience for one in judgement.outgoing.unfinished}
    assert {one.audience for one in judgement.drafts} == {*FOR_SCENE[scene]}
    for draft in judgement.drafts:
        slip = SLIP_NUMBER if settings.audiences[draft.audience].slip else None
        jws = seal(
            msgspec.structs.replace(draft, slip=slip),
            position=StreamPosition(2, "ab" * 32),
            log_id="0" * 32,
            jti="1" * 32,
            iat=1,
            config_version="1",
            signer=signer,
        ).jws
        part = jws.split(".")[1]
        sent = json.loads(base64.urlsafe_b64decode(part + "=" * (-len(part) % 4)))
        one = worked(settings, draft.audience, scene)
        shown = by_name(one.envelope)
        assert tuple(shown) == EnvelopePayload.__struct_fields__
        assert {*sent} <= {*shown}
        for name, field in shown.items():
            if name in ("record_id", "record"):  # in an envelope of its own, later
                assert (field.kind is not None) == (draft.audience in unfinished)
            elif field.kind is None:
                assert json.loads(msgspec.json.encode(field.value)) == sent.get(name), name
            else:
                assert sent.get(name) is not None, name
        if draft.encrypted is None:
            claims = {claim.claim: claim.value for claim in one.claims if claim.action.value != "drop"}
            assert claims == {name: value for name, value in sent["claims"].items() if name != "withheld"}
    judgement.outgoing.forget()


def test_a_field_that_nobody_explains_is_noticed() -> None:
    """For every field of whatever goes out: why it does, and why not where it may be missing, in every language."""
    for field in msgspec.structs.fields(EnvelopePayload):
        assert has_sentences(f"explain.field_{field.name}"), field.name
        optional = field.default is None or field.name in ("reference", "purpose", "operator")
        if optional and field.name != "policy":
            assert has_sentences(worked_example._ABSENT[field.name]), field.name
    for name in SlipFacts.__struct_fields__:
        assert has_sentences(f"explain.slip_{name}"), name
    for kind, fields in INSIDE.items():
        assert kind.__struct_fields__ == fields


@pytest.mark.parametrize("scene", FOR_SCENE)
def test_every_sentence_that_is_shown_is_there(scene: str) -> None:
    settings = box(scene)
    parts = [worked(settings, name, scene) for name in settings.audiences]
    rows = [row for one in parts for row in (*one.envelope, *one.record, *one.handover)]
    rows += slip_of(settings, readings(), scene=scene, today=FIXED_TODAY)
    assert rows
    for row in rows:
        assert all(has_sentences(code) for code in (row.why, row.kind, row.withheld) if code is not None), row


def test_it_shows_what_a_sealed_record_holds() -> None:
    settings = box("hotel")
    shown = by_name(worked(settings, "lodging-authority", "hotel").record)
    (open_one,) = inspected(settings, "hotel").outgoing.unfinished
    typed = {one.name: "AB1" for one in FORM_FIELDS if one.kind in ("text", "number")}
    typed |= {
        "arrival_date": "2026-06-15",
        "departure_date": "2026-06-16",
        "document_kind": "foreign_passport",
    }
    typed |= {"stay_until": "2026-07-15", "entry_date": "2026-06-14", "country": "FRA"}
    made = entry(open_one.held, HeldFields(typed, {}), host="here", today=FIXED_TODAY)
    assert made.complete
    where = envelope_context(fleet="f", device="d", audience="a", policy_sha256="0" * 64, record_id="r")
    sealed = made.sealed("r", KEY.public_key(), where)
    plain = json.loads(open_sealed(sealed, [KEY], what="record", context=where))
    assert {*shown} == ({*plain} - {"fields"}) | {*plain["fields"]}
    assert shown["form"].value == plain["form"] == FORM
    untouched = entry(open_one.held, HeldFields({}, {}), host="here", today=FIXED_TODAY).filled
    for one in FORM_FIELDS:
        origin = "host" if one.name == "host" else "read" if one.name in untouched else "typed"
        assert shown[one.name].kind == f"explain.kind_{origin}"
    assert shown["birth_date"].kind == "explain.kind_read"
    assert shown["room"].kind == "explain.kind_typed"
    open_one.held.forget()


@pytest.mark.parametrize(("scene", "taker"), [("bank", "bank-teller"), ("hotel", "hotel-pms")])
def test_it_shows_what_an_application_may_take(scene: str, taker: str) -> None:
    settings = box(scene)
    outgoing = inspected(settings, scene, application=taker).outgoing
    assert outgoing.handover is not None
    shown = by_name(worked(settings, taker, scene).handover)
    assert shown.pop("inspection").kind == "explain.kind_drawn"
    assert {name for name, one in shown.items() if one.withheld is None} == {*outgoing.handover.names}
    assert {name: one.withheld for name, one in shown.items() if one.withheld} == outgoing.handover.withheld
    outgoing.forget()
    assert not worked(settings, "central-archive", scene).handover


def test_it_shows_what_a_slip_says() -> None:
    settings = box("bank")
    assert settings.slip is not None
    shown = slip_of(settings, readings(), scene="bank", today=FIXED_TODAY)
    judgement = inspected(settings, "bank")
    facts = facts_of(
        judgement,
        ScanRequest("bank", consent=True),
        number=SLIP_NUMBER,
        settings=settings,
        slip=settings.slip,
        sender=SENDER,
        now=CLOCK.now,
        clock_trusted=True,
    )
    judgement.outgoing.forget()
    printed = json.loads(msgspec.json.encode(facts))
    assert [one.field for one in shown] == list(printed) == list(SlipFacts.__struct_fields__)
    told = json.loads(msgspec.json.encode(shown))
    assert all(one["value"] == printed[one["field"]] for one in told if one["kind"] is None)


def test_a_box_without_slips_and_an_audience_without_envelopes() -> None:
    settings = msgspec.structs.replace(box("bank", receives=(), slip=True), slip=None)
    assert slip_of(settings, readings(), scene="bank", today=FIXED_TODAY) == ()
    one = worked(settings, "bank-teller", "bank")
    assert (one.envelope, bool(one.handover)) == ((), True)
    settings = msgspec.structs.replace(box("bank", slip=True), slip=None)
    field = by_name(worked(settings, "bank-teller", "bank").envelope)["slip"]
    assert (field.value, field.kind, field.why) == (None, None, "explain.absent_slip")


def test_claims_that_are_encrypted_are_nowhere_else(tmp_path: Path) -> None:
    settings = box("hospital")
    assert settings.audiences["hospital-card"].policy.encrypt
    shown = by_name(worked(settings, "hospital-card", "hospital").envelope)
    assert (shown["claims"].value, shown["claims"].why) == ({}, "explain.absent_claims")
    assert shown["encrypted"].kind == "explain.kind_sealed"


@pytest.mark.parametrize("lang", messages.LANGUAGES)
@pytest.mark.parametrize("form", ["--markdown", None])
def test_every_field_is_in_the_tables(
    form: str | None, lang: str, capsys: pytest.CaptureFixture[str]
) -> None:
    given = ["privacy", "explain", "--scene", "hotel", "--lang", lang, *([form] if form else [])]
    assert cli.main(given) == 0
    lines = capsys.readouterr().out.splitlines()
    words = {line.lstrip("| ").split(" ")[0] for line in lines}
    assert words >= {*EnvelopePayload.__struct_fields__, *SlipFacts.__struct_fields__}
    assert words >= {one.name for one in FORM_FIELDS}
    assert not any("explain." in line for line in lines)
