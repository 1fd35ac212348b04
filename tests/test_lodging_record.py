"""A lodging record: what the document says, what the clerk typed, what is wrong, and that half of it never leaves."""

from __future__ import annotations

import json
import pickle
from datetime import date, timedelta
from pathlib import Path
from typing import Any, get_args

import jsonschema
import pytest
from hypothesis import given, settings
from hypothesis import strategies as st

from edged import messages
from edged.core.mrz import parse_mrz
from edged.errors import IdentityLeakError
from edged.journal.lodging import State
from edged.lodging import record as module
from edged.lodging.form import DOCUMENT_KINDS, FIELDS
from edged.lodging.record import Entry, Fault, document_kind_of, entry
from edged.lodging.schema import FILE, record_schema, write
from edged.privacy.held import FIELDS as HELD
from edged.privacy.held import HeldFields, hold
from edged.sealing import envelope_context, open_sealed
from edged.uplink.record_reply import RecordReply
from tests.lodging import PASSPORT, RECIPIENT, TODAY, TYPED, held

CONTEXT = envelope_context(
    fleet="f", device="box-1", audience="police", policy_sha256="a" * 64, record_id="r1"
)
SCHEMAS = Path(__file__).parents[1] / "docs" / "schemas"


def made(typed: dict[str, str] | None = None, *, today: date | None = TODAY, **document: str | None) -> Entry:
    return entry(held(**document), HeldFields(TYPED | (typed or {}), {}), host="Grand Hotel", today=today)


def opened(found: Entry, **more: Any) -> dict[str, Any]:
    sealed = found.sealed("r1", RECIPIENT.public_key(), CONTEXT, **more)
    plain: dict[str, Any] = json.loads(open_sealed(sealed, [RECIPIENT], what="record", context=CONTEXT))
    return plain


def faults(found: Entry) -> dict[str, str]:
    return {one.field: one.code for one in found.faults}


def test_a_complete_record_opens_for_its_recipient_and_says_what_was_typed() -> None:
    plain = opened(made(), corrects="0123")
    assert plain["form"] == "lodging/1"
    assert (plain["record_id"], plain["corrects"]) == ("r1", "0123")
    assert set(plain["typed"]) == set(TYPED)
    fields = plain["fields"]
    assert fields["english_surname"] == "MUSTERMANNCANARY"
    assert fields["country"] == "DEU"
    assert fields["document_kind"] == "foreign_passport"
    assert fields["host"] == "GRAND HOTEL"
    assert fields["room"] == "ROOM1203CANARY"
    assert fields["chinese_name"] is None
    assert list(fields) == sorted(one.name for one in FIELDS)


def test_the_same_record_has_the_same_bytes() -> None:
    key = RECIPIENT.public_key()
    texts = [
        open_sealed(made().sealed("r1", key, CONTEXT), [RECIPIENT], what="record", context=CONTEXT)
        for _ in "12"
    ]
    assert texts[0] == texts[1]


def test_the_published_schema_is_fresh_and_every_record_obeys_it(tmp_path: Path) -> None:
    write(tmp_path)
    assert (tmp_path / FILE).read_text(encoding="utf-8") == (SCHEMAS / FILE).read_text(encoding="utf-8")
    validator = jsonschema.Draft202012Validator(record_schema())
    validator.validate(opened(made()))
    card = {"document_class": "permit", "document_code": "I", "issuing_state": "CHN", "nationality": "CAN"}
    without = {"visa_kind": "", "stay_until": "", "entry_date": "", "entry_port": ""}
    validator.validate(opened(made(without, **card)))
    with pytest.raises(jsonschema.ValidationError):
        validator.validate(opened(made()) | {"shoe_size": "43"})


@pytest.mark.parametrize("name", [*TYPED, "english_surname", "birth_date"])
def test_half_a_record_never_leaves(name: str) -> None:
    documents = {"english_surname": "surname", "birth_date": "birth_date"}
    gone: dict[str, str | None] = {documents[name]: None} if name in documents else {}
    if name == "english_surname":
        gone["given_names"] = None
    found = made({} if gone else {name: ""}, **gone)
    assert found.missing == (name,)
    assert not found.complete
    with pytest.raises(ValueError, match="half"):
        found.sealed("r1", RECIPIENT.public_key(), CONTEXT)


def test_nothing_with_a_fault_leaves() -> None:
    found = made({"room": "--"})
    assert faults(found) == {"room": "lodging.not_text"}
    assert "room" not in found.missing
    with pytest.raises(ValueError, match="half"):
        found.sealed("r1", RECIPIENT.public_key(), CONTEXT)


def test_what_was_typed_counts_before_what_was_read() -> None:
    plain = opened(made({"english_surname": "Mustermann-Gabler", "country": "aut"}))
    assert plain["fields"]["english_surname"] == "MUSTERMANN-GABLER"
    assert plain["fields"]["country"] == "AUT"
    assert {"english_surname", "country"} <= set(plain["typed"])


def test_one_name_alone_goes_to_the_surname() -> None:
    fields = opened(made(surname=None, given_names="SUKARNO"))["fields"]
    assert (fields["english_surname"], fields["english_given_names"]) == ("SUKARNO", None)


def test_a_name_that_fills_a_machine_readable_line_is_to_be_compared() -> None:
    cut = made(surname="A" * 20, given_names="B" * 17)
    assert cut.review == ("english_surname", "english_given_names")
    assert made().review == ()


@pytest.mark.parametrize(
    ("document", "kind", "country"),
    [
        ({}, "foreign_passport", "DEU"),
        ({"issuing_state": "CHN", "nationality": "CHN"}, "overseas_chinese_passport", "CHN"),
        (
            {"document_class": "permit", "document_code": "CR", "issuing_state": "CHN", "nationality": "CHN"}
            | {"document_number": "H12345678"},
            *("hk_macau_permit", "HKG"),
        ),
        (
            {"document_class": "permit", "document_code": "CR", "issuing_state": "CHN", "nationality": "CHN"}
            | {"document_number": "M12345678"},
            *("hk_macau_permit", "MAC"),
        ),
        (
            {"document_class": "permit", "document_code": "CT", "issuing_state": "CHN", "nationality": None}
            | {"document_number": "00000000"},
            *("taiwan_permit", "TWN"),
        ),
        (
            {"document_class": "permit", "document_code": "I", "issuing_state": "CHN", "nationality": "CHN"}
            | {"document_number": "830000199201300022", "surname": "证件样本", "given_names": None},
            *("hk_macau_taiwan_residence_permit", "TWN"),
        ),
        (
            {"document_class": "permit", "document_code": "I", "issuing_state": "CHN", "nationality": "CAN"}
            | {"document_number": "911124198108030024"},
            *("permanent_resident_card", "CAN"),
        ),
        (
            {"document_class": "permit", "document_code": "CF", "issuing_state": "CHN", "nationality": "IND"}
            | {"document_number": "HA1234567"},
            *("hk_macau_permit_foreign", "IND"),
        ),
    ],
)
def test_documents_give_their_kind_and_their_holders_country(
    document: dict[str, str | None], kind: str, country: str
) -> None:
    typed = {"chinese_name": "证件样本", "english_surname": "Yangben"}
    fields = opened(made(typed, **document))["fields"]
    assert (fields["document_kind"], fields["country"]) == (kind, country)


def test_mainland_documents_are_none_of_the_forms() -> None:
    assert (
        document_kind_of(held(document_class="identity_card", document_code="I", issuing_state="CHN")) is None
    )
    assert document_kind_of(held(document_class="permit", document_code="CS", issuing_state="CHN")) is None
    assert document_kind_of(held(issuing_state="TWN")) is None
    assert document_kind_of(held(issuing_state=None)) is None
    found = made(document_class="identity_card", document_code="I", issuing_state="CHN")
    assert found.missing == ("document_kind",)


def test_a_chinese_name_is_missing_where_it_is_mandatory() -> None:
    permit = {"document_class": "permit", "document_code": "CR", "issuing_state": "CHN"}
    assert made(**permit).missing == ("chinese_name",)
    assert made({"chinese_name": "证件样本"}, **permit).complete


def test_a_surname_in_chinese_characters_is_no_english_surname() -> None:
    card = {"document_class": "permit", "document_code": "I", "issuing_state": "CHN", "nationality": "CHN"}
    found = made(surname="证件样本", given_names=None, chinese_name="证件样本", **card)
    assert found.missing == ("english_surname",)


def days(**away: int) -> dict[str, str]:
    return {name: (TODAY + timedelta(days=number)).isoformat() for name, number in away.items()}


@pytest.mark.parametrize(
    ("typed", "wrong"),
    [
        (days(departure_date=-1), {"departure_date": "lodging.departure_before_arrival"}),
        (days(departure_date=0), {}),
        (days(departure_date=3000), {"departure_date": "lodging.stay_too_long"}),
        (days(arrival_date=1), {"arrival_date": "lodging.arrival_in_future"}),
        (days(arrival_date=-1), {}),
        (
            days(arrival_date=-400, entry_date=-401, departure_date=-399),
            {"arrival_date": "lodging.arrival_too_old"},
        ),
        (days(entry_date=1), {"entry_date": "lodging.entry_after_arrival"}),
        (days(entry_date=0), {}),
        (days(entry_date=-9, stay_until=-10), {"stay_until": "lodging.stay_ends_before_entry"}),
        (days(entry_date=-9, stay_until=-5), {}),  # who overstays is reported like everybody else
        ({"stay_until": "9999-12-31"}, {"stay_until": "lodging.stay_too_long"}),
        ({"birth_date": "1850-01-01"}, {"birth_date": "lodging.birth_impossible"}),
        (days(birth_date=1), {"birth_date": "lodging.birth_impossible"}),
        ({"birth_date": str(TODAY.year)}, {}),
        ({"birth_date": str(TODAY.year + 1)}, {"birth_date": "lodging.birth_impossible"}),
    ],
)
def test_days_are_possible_and_in_order(typed: dict[str, str], wrong: dict[str, str]) -> None:
    assert faults(made(typed)) == wrong


def test_a_clock_that_is_not_believed_contradicts_nobody() -> None:
    late = days(arrival_date=400, departure_date=401)
    assert faults(made(late))["arrival_date"] == "lodging.arrival_in_future"
    assert faults(made(late, today=None)) == {}


def test_every_fault_says_what_to_type_in_every_language_and_never_a_value() -> None:
    canary = "QQCANARYQQ"
    typed = {one.name: f"{canary}#<?>" for one in FIELDS} | {"chinese_name": canary}
    found = made(typed)
    assert len(found.faults) > 10
    for fault in found.faults:
        for lang in messages.LANGUAGES:
            said = messages.text(fault.code, lang, **fault.params)
            assert "…" not in said
            assert canary not in said
    assert canary not in repr(found) + repr(found.faults) + repr(found.missing)


def test_an_entry_cannot_be_printed_or_pickled() -> None:
    found = made()
    assert "MUSTERMANN" not in repr(found)
    with pytest.raises(IdentityLeakError):
        pickle.dumps(found)
    assert not isinstance(found.faults, Fault)


def test_the_plaintext_is_overwritten(monkeypatch: pytest.MonkeyPatch) -> None:
    seen: list[bytearray] = []
    real = module.seal

    def spy(plaintext: bytearray, *args: Any, **named: Any) -> Any:
        assert b"MUSTERMANNCANARY" in plaintext
        seen.append(plaintext)
        return real(plaintext, *args, **named)

    monkeypatch.setattr(module, "seal", spy)
    opened(made())
    assert seen
    assert not any(seen[0])


@settings(max_examples=150, deadline=None)
@given(
    st.dictionaries(st.sampled_from([one.name for one in FIELDS]), st.text(max_size=210), max_size=8),
    st.dictionaries(st.sampled_from([*PASSPORT, "chinese_name"]), st.text(max_size=50), max_size=5),
)
def test_whatever_was_read_and_typed_is_sealed_whole_or_not_at_all(
    typed: dict[str, str], document: dict[str, str]
) -> None:
    found = made(typed, **document)
    if found.complete:
        jsonschema.Draft202012Validator(record_schema()).validate(opened(found))
    else:
        with pytest.raises(ValueError, match="half"):
            found.sealed("r1", RECIPIENT.public_key(), CONTEXT)
    assert not set(found.missing) & {one.field for one in found.faults}


PERMITS = {
    "hk_macau_permit": (
        "CRH1234567830002212119F8108038",
        "NGKELMPONBPJLBLOAABA1234567842",
        "ZHENG<JIAN<<YANG<BEN<<<<<<<<<<",
    ),
    "taiwan_permit": (
        "CT00000000<00262006084F8108038",
        "NGKELMPONBPJLBLOAABR0000000001",
        "ZHENG<JIAN<<YANG<BEN<<<<<<3500",
    ),
}


@pytest.mark.parametrize("kind", PERMITS)
def test_permits_as_they_are_read_give_the_form_what_it_needs(kind: str) -> None:
    mrz = parse_mrz(PERMITS[kind], today=TODAY)
    fields = hold(mrz, HELD)
    found = entry(fields, HeldFields(TYPED, {}), host="Grand Hotel", today=TODAY)
    assert (found.faults, found.missing) == ((), ())
    plain = opened(found)["fields"]
    assert (plain["document_kind"], plain["chinese_name"]) == (kind, "证件样本")
    assert plain["country"] == {"hk_macau_permit": "HKG", "taiwan_permit": "TWN"}[kind]
    assert (plain["english_surname"], plain["english_given_names"]) == ("ZHENG JIAN", "YANG BEN")


def test_the_page_tells_every_field_kind_and_state() -> None:
    page = (SCHEMAS.parent / "lodging.md").read_text(encoding="utf-8")
    words = [*(one.name for one in FIELDS), *DOCUMENT_KINDS, *get_args(State), *RecordReply.__struct_fields__]
    assert [word for word in words if f"`{word}`" not in page] == []
