"""A slip's claims: one spelling, words that keep their numbers; of strangers' bytes come facts or one error."""

from __future__ import annotations

import random
import re
from pathlib import Path

import cbor2
import pytest
from hypothesis import given, settings
from hypothesis import strategies as st

from edged.config import SCENES
from edged.core.layouts import DocumentClass
from edged.errors import DecodeError, SlipError
from edged.slip import claims, content, cose, facts, registry, strict_cbor
from edged.slip.facts import CheckFact, RecipientFact, SlipFacts
from edged.verdict import CHECKS, Kind, Result
from tests import slips

DOCS = Path(__file__).parent.parent / "docs"

NUMBERS = st.text(facts.NUMBER_ALPHABET, min_size=12, max_size=12)


def printable(most: int) -> st.SearchStrategy[str]:
    return st.text(st.characters(codec="utf-8"), min_size=1, max_size=most).filter(
        lambda text: text.isprintable() and len(text.encode()) <= most
    )


def subset(words: object) -> st.SearchStrategy[tuple[str, ...]]:
    listed = list(words)  # type: ignore[call-overload]
    return st.sets(st.sampled_from(listed)).map(lambda found: tuple(one for one in listed if one in found))


CHECK_FACTS = st.dictionaries(st.sampled_from(list(registry.CHECKS)), st.sampled_from(list(Result))).map(
    lambda found: tuple(CheckFact(name, found[name]) for name in registry.CHECKS if name in found)
)
RECIPIENTS = st.lists(
    st.builds(
        RecipientFact,
        label=printable(16),
        told=subset(registry.TOLD),
        retention_days=st.none() | st.integers(0, 65_535),
    ),
    max_size=4,
).map(tuple)
FACTS = st.builds(
    SlipFacts,
    number=NUMBERS,
    copy=st.integers(1, 255),
    supersedes=st.none() | NUMBERS,
    site=printable(24),
    device=st.from_regex(r"[a-z0-9]{1,8}(-[a-z0-9]{1,5}){0,3}", fullmatch=True),
    at=st.integers(0, 1 << 31),
    utc_offset_min=st.integers(-840, 840),
    clock_trusted=st.booleans(),
    expires=st.integers(1 << 31, (1 << 32) - 1),
    kind=st.sampled_from(list(Kind)),
    scene=st.sampled_from(SCENES),
    result=st.sampled_from(list(Result)),
    document_class=st.sampled_from([str(one) for one in DocumentClass]),
    issuer=st.none() | printable(3),
    name=st.none() | printable(12),
    document_number=st.none() | printable(24),
    document_expires=st.none() | st.dates().map(lambda day: f"{1900 + day.year % 300:04}-{day.month:02}"),
    checks=CHECK_FACTS,
    person=st.sampled_from(list(Result)),
    read=subset(registry.READ),
    recipients=RECIPIENTS,
    more_recipients=st.integers(0, 255),
)


@settings(max_examples=150, deadline=None, derandomize=True)
@given(FACTS)
def test_facts_come_back_from_their_claims_and_have_lines(slip: SlipFacts) -> None:
    data = claims.encode(slip)
    assert claims.decode(data) == slip
    assert all(all(line.value) for line in content.lines(slip))


@settings(max_examples=150, deadline=None, derandomize=True)
@given(FACTS, st.integers(0, 399), st.integers(1, 255))
def test_a_changed_byte_is_refused_or_other_facts(slip: SlipFacts, at: int, change: int) -> None:
    """No byte is without meaning: otherwise one slip would have two spellings."""
    data = bytearray(claims.encode(slip))
    data[at % len(data)] ^= change
    try:
        found = claims.decode(bytes(data))
    except DecodeError as error:
        assert error.code in {"slip.malformed", "slip.newer"}
    else:
        assert found != slip


def test_strangers_bytes_end_in_facts_or_one_error() -> None:
    chance = random.Random(8)
    good = [claims.encode(slips.facts()), claims.encode(slips.longest()), slips.key().cose(slips.facts())]
    for _ in range(6000):
        data = bytearray(chance.choice(good))
        for _ in range(chance.randrange(1, 5)):
            at = chance.randrange(len(data))
            match chance.randrange(3):
                case 0:
                    data[at] = chance.randrange(256)
                case 1:
                    del data[at : at + chance.randrange(1, 9)]
                case _:
                    data[at:at] = chance.randbytes(chance.randrange(1, 9))
            if not data:
                data = bytearray(1)
        for read in (claims.decode, cose.parse, lambda one: strict_cbor.decode(one, 1000)):
            try:
                read(bytes(data))
            except DecodeError as error:
                assert error.code in {"slip.malformed", "slip.newer"}


PLAIN = st.recursive(
    st.none() | st.booleans() | st.integers(-(1 << 64), (1 << 64) - 1) | st.binary(max_size=40)
    | st.text(max_size=20),
    lambda inner: st.lists(inner, max_size=4)
    | st.dictionaries(st.integers(-70_000, 70_000) | st.text(max_size=3), inner, max_size=4),
    max_leaves=8,
)  # fmt: skip


@settings(max_examples=200, deadline=None, derandomize=True)
@given(PLAIN)
def test_the_reader_agrees_with_cbor2(value: object) -> None:
    data = cbor2.dumps(value, canonical=True)
    try:
        found = strict_cbor.decode(data, 5000)
    except DecodeError as error:
        assert error.detail in {"CBOR: not of this form", "CBOR: keys out of order"}
    else:
        assert repr(found) == repr(cbor2.loads(data))


@settings(max_examples=300, deadline=None, derandomize=True)
@given(st.binary(max_size=30))
def test_what_the_reader_takes_has_one_spelling(data: bytes) -> None:
    try:
        found = strict_cbor.decode(data, 100)
    except DecodeError:
        return
    if "{" not in repr(found):  # cbor2 sorts keys by length first (RFC 7049)
        assert cbor2.dumps(found, canonical=True) == data


@pytest.mark.parametrize(
    "data",
    [
        b"",
        b"\x18\x17",  # 23 in two bytes
        b"\x19\x00\xff",  # 255 in three
        b"\x9f\xff",  # indefinite
        b"\x5f\x41a\xff",
        b"\xc4\x82\x1b\x7f\xff\xff\xff\xff\xff\xff\xff\x01",  # decimal fraction with a huge exponent
        b"\xd8\x23\x62(a",  # a regular expression
        b"\xfb\x3f\xf0\0\0\0\0\0\0",  # a float
        b"\xf7",  # undefined
        b"\xa2\x02\x01\x01\x01",  # keys out of order
        b"\xa2\x01\x01\x01\x01",  # a key twice
        b"\x62\xff\xff",  # not UTF-8
        b"\x9b\xff\xff\xff\xff\xff\xff\xff\xff",  # more elements than anybody has
        b"\x81" * 100 + b"\x01",  # arrays without end
        b"\x01\x01",  # two things
    ],
)
def test_other_cbor_is_refused(data: bytes) -> None:
    with pytest.raises(DecodeError) as caught:
        strict_cbor.decode(data, 1000)
    assert caught.value.code == "slip.malformed"


def changed(**fields: object) -> bytes:
    raw = cbor2.loads(claims.encode(slips.facts()))
    for name, value in fields.items():
        if name in claims.FIELDS:
            raw[claims.SLIP][claims.FIELDS.index(name)] = value
        else:
            raw[{"iss": 1, "exp": 4, "iat": 6, "cti": 7}[name]] = value
    return cbor2.dumps(raw, canonical=True)


@pytest.mark.parametrize(
    ("code", "fields"),
    [
        ("slip.newer", {"format": 2}),
        ("slip.newer", {"scene": 200}),
        ("slip.newer", {"document_class": 50}),
        ("slip.newer", {"checks": bytes(14) + b"\x01"}),
        ("slip.newer", {"told": 0}),
        ("slip.malformed", {"copy": 0}),
        ("slip.malformed", {"copy": True}),
        ("slip.malformed", {"site": "x" * 25}),
        ("slip.malformed", {"site": ""}),
        ("slip.malformed", {"site": "a\u202eb"}),
        ("slip.malformed", {"site": "a\nb"}),
        ("slip.malformed", {"iss": "Box"}),
        ("slip.malformed", {"iat": slips.T + 91 * slips.DAY}),
        ("slip.malformed", {"exp": 1 << 32}),
        ("slip.malformed", {"cti": b"\x10" + bytes(7)}),
        ("slip.malformed", {"cti": bytes(7)}),
        ("slip.malformed", {"utc_offset_min": 841}),
        ("slip.malformed", {"checks": bytes(16) + b"\x10"}),
        ("slip.malformed", {"checks": b"\x10\x00"}),
        ("slip.newer", {"checks": b"\x60"}),
        ("slip.malformed", {"result": -1}),
        ("slip.malformed", {"document_expires": 12}),
        ("slip.malformed", {"recipients": [["x" * 17, 0, None]]}),
        ("slip.malformed", {"recipients": [["x", 0]]}),
        ("slip.malformed", {"recipients": [["x", 0, 1]] * 5}),
        ("slip.malformed", {"more_recipients": 256}),
    ],
)  # fmt: skip
def test_fields_out_of_bounds_are_refused(code: str, fields: dict[str, object]) -> None:
    if "told" in fields:
        fields = {"recipients": [["x", 1 << 30, None]]}
    with pytest.raises(DecodeError) as caught:
        claims.decode(changed(**fields))
    assert caught.value.code == code


@pytest.mark.parametrize(
    "change",
    [
        {"site": "x" * 25},
        {"device": "x" * 33},
        {"name": "张" * 5},
        {"scene": "casino"},
        {"expires": slips.T - 1},
        {"checks": (CheckFact("shoe_size", Result.FAILED),)},
        {"checks": (CheckFact("chip", Result.FAILED), CheckFact("chip", Result.SUCCESSFUL))},
        {"recipients": (RecipientFact("x", ("secrets",), None),)},
    ],
)
def test_facts_that_no_reader_would_take_are_not_signed(change: dict[str, object]) -> None:
    with pytest.raises(SlipError) as caught:
        claims.encode(slips.facts(**change))
    assert caught.value.code == "slip.facts_refused"


def test_words_keep_their_numbers() -> None:
    """Append only: a slip printed today is verified by the releases of years."""
    assert list(registry.RESULTS) == ["successful", "failed", "undetermined", "not_supported", "aborted"]
    assert list(registry.RESULTS.values()) == [1, 2, 3, 4, 5]
    assert registry.KINDS == {"live": 0, "test": 1, "training": 2}
    assert list(registry.SCENES) == [
        *("bank", "hotel", "telecom", "hospital", "transport", "government", "kiosk")
    ]
    assert list(registry.CLASSES) == ["unknown", "passport", "identity_card", "visa", "permit"]
    assert list(registry.READ) == ["picture", "mrz", "chip", "id_card", "text"]
    assert list(registry.TOLD) == [
        *("checks", "document_kind", "issuer", "nationality", "sex", "name_masked", "number_masked"),
        *("birth_generalised", "age_over_18", "expiry", "pseudonym", "sealed_record", "handover_fields"),
    ]
    assert list(registry.CHECKS) == [
        *("document_detected", "mrz_read", "mrz_check_digits", "mrz_fields", "viz_birth_date"),
        *("viz_expiry_date", "viz_document_number", "card_number", "id_card_read", "id_card_number"),
        *("id_card_fields", "expiry", "image_quality", "optical_security", "chip_access", "pa_signature"),
        *("pa_certificate", "pa_issuer", "pa_hashes", "chip_mrz", "chip_authentication"),
        *("active_authentication", "terminal_authentication", "chip", "face_match", "registry"),
    ]
    for one in (registry.SCENES, registry.CLASSES, registry.READ, registry.TOLD, registry.CHECKS):
        assert list(one.values()) == list(range(len(one)))


def test_every_word_of_a_verdict_has_a_number_and_a_line() -> None:
    assert set(CHECKS) <= set(registry.CHECKS)
    assert set(SCENES) <= set(registry.SCENES)
    assert {str(one) for one in DocumentClass} <= set(registry.CLASSES)
    assert sorted(name for names in content.GROUPS.values() for name in names) == sorted(CHECKS)


def test_the_documented_registries_are_the_code_s() -> None:
    text = (DOCS / "slip-format.md").read_text(encoding="utf-8")
    for name, words in (
        ("kind", registry.KINDS),
        ("scene", registry.SCENES),
        ("result", registry.RESULTS),
        ("document_class", registry.CLASSES),
        ("checks (nibble)", registry.CHECKS),
        ("read (bit)", registry.READ),
        ("told (bit)", registry.TOLD),
    ):
        (line,) = re.findall(rf"^- \*\*{re.escape(name)}\*\*: (.*)$", text, re.MULTILINE)
        assert line == ", ".join(f"{number} `{word}`" for word, number in words.items())


def test_what_is_too_long_for_a_slip_is_cut_at_a_character() -> None:
    assert facts.fitted("滨江支行一号柜台", 24) == "滨江支行一号柜台"
    assert facts.fitted("滨江支行一号柜台甲", 24) == "滨江支行一号柜…"
    assert facts.fitted("a\u202e\nb", 24) == "ab"
    assert facts.label_of("the-registration-office-of-the-harbour") == "the-registratio…"
    assert claims.decode(
        claims.encode(slips.facts(recipients=(RecipientFact(facts.label_of("银行" * 20), (), None),)))
    )


def test_every_check_is_on_the_paper() -> None:
    slip = slips.facts(checks=tuple(CheckFact(name, Result.FAILED) for name in CHECKS))
    lines = {line.key: line.value for line in content.lines(slip)}
    printed = [value for key, value in lines.items() if key.startswith("checks.")]
    assert sum(value[1].count(", ") + 1 for value in printed) == len(CHECKS)
    assert all(value[1].startswith("failed: ") for value in printed)


def test_lines_follow_from_every_fact() -> None:
    """Two slips that say different things have different lines: what is printed tells all that is signed."""
    plain = slips.facts()
    for change in (
        {"number": "0K3M9QXA04TZ"},
        {"copy": 2},
        {"supersedes": "0K3M9QXA04TZ"},
        {"site": "x"},
        {"device": "box-2"},
        {"at": slips.T + 60},
        {"utc_offset_min": 0},
        {"clock_trusted": False},
        {"expires": slips.T + 60},
        {"kind": Kind.TEST},
        {"kind": Kind.TRAINING},
        {"scene": "hotel"},
        {"result": Result.FAILED},
        {"document_class": "visa"},
        {"issuer": None},
        {"name": None},
        {"document_number": None},
        {"document_expires": None},
        {"checks": plain.checks[:-1]},
        {"person": Result.FAILED},
        {"read": ("picture",)},
        {"recipients": ()},
        {"more_recipients": 1},
    ):
        assert content.lines(slips.facts(**change)) != content.lines(plain), change


def test_the_watermark_is_place_time_and_number() -> None:
    assert content.watermark(slips.facts()) == ("滨江支行一号柜台 2026-11-27 10:04 UTC+08:00 7K3M 9QXA 04TZ")
    assert content.local_time(0, -210) == "1969-12-31 20:30 UTC-03:30"
