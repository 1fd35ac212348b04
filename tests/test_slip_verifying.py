"""Whether a slip is genuine: every rule, every way to be wrong, and a paper that says something else."""

from __future__ import annotations

import random
from datetime import timedelta
from typing import Any

import cbor2
import msgspec
import pytest

from edged.slip import base45, claims, content, cose, url, verifying
from edged.slip.comparing import MAX_PRINTED, compare
from edged.slip.content import SlipLine
from edged.uplink.directory import CertificateRevoked, FormerKey, PrincipalRevoked
from edged.uplink.names import Role
from edged.uplink.slip_status import Superseded
from edged.verdict import Kind
from tests import slips
from tests.slips import AT, DAY, T, directory, facts, key, nothing, status


def judged(slip: str | None = None, listed: Any = "default", **asked: Any) -> tuple[str, list[str]]:
    found = verifying.verify(
        key().url(facts()) if slip is None else slip,
        directory() if listed == "default" else listed,
        at=asked.pop("at", AT),
        **asked,
    )
    return found.verdict, [reason.code for reason in found.reasons]


def test_a_slip_is_genuine_offline_and_says_what_was_not_checked() -> None:
    found = verifying.verify(key().url(facts()), directory(), at=AT)
    assert (found.verdict, found.withdrawal) == ("genuine", "not_checked")
    assert [reason.code for reason in found.reasons] == ["slip.genuine", "slip.not_checked"]
    assert found.facts == facts()
    assert found.lines == content.lines(facts())
    assert found.key is not None
    assert (found.key.device, found.key.certificate_sha256) == ("box-1", key().listed.sha256)
    assert (found.key.ended, found.signed, found.code) == (None, True, "slip.verdict_genuine")


def test_a_slip_is_genuine_online_with_a_list_that_holds() -> None:
    assert judged(status=status(), online=True) == ("genuine", ["slip.genuine"])
    other = status(box_2=nothing())
    assert judged(status=other, online=True) == ("genuine", ["slip.genuine", "slip.terminal_not_heard"])
    silent = status(box_1=nothing(heard=T - 8 * DAY))  # whatever it has withdrawn since, nobody has heard
    assert judged(status=silent, online=True) == ("genuine", ["slip.genuine", "slip.terminal_silent"])


@pytest.mark.parametrize(
    ("trouble", "code"),
    [
        (None, "slip.status_missing"),
        (status(exp=T - 1), "slip.status_expired"),
        (status(fleet="elsewhere"), "slip_status.wrong_fleet"),
    ],
)
def test_without_a_list_that_holds_nobody_knows_whether_it_was_withdrawn(trouble: Any, code: str) -> None:
    assert judged(status=trouble, online=True) == ("undetermined", [code])


def test_what_was_withdrawn_or_replaced_is_so_however_old_the_list() -> None:
    number = facts().number
    withdrawn = nothing(withdrawn={number: T + DAY})
    replaced = nothing(superseded={number: Superseded("0" * 12, T + DAY)})
    for exp in (T + DAY, T - DAY):
        assert judged(status=status(exp=exp, box_1=withdrawn)) == ("withdrawn", ["slip.withdrawn"])
        assert judged(status=status(exp=exp, box_1=replaced)) == ("superseded", ["slip.superseded"])


def test_a_box_withdraws_its_own_slips_alone() -> None:
    other = status(box_1=nothing(), box_2=nothing(withdrawn={facts().number: T + DAY}))
    assert judged(status=other) == ("genuine", ["slip.genuine"])


@pytest.mark.parametrize(
    ("kind", "code"), [(Kind.TEST, "slip.genuine_test"), (Kind.TRAINING, "slip.genuine_training")]
)
def test_a_test_s_slip_is_genuine_as_a_test_and_says_so(kind: Kind, code: str) -> None:
    slip = facts(kind=kind)
    assert judged(key().url(slip), status=status()) == ("genuine", [code])
    (banner,) = [line for line in content.lines(slip) if line.style == "banner"]
    assert banner.value[1].startswith(kind.upper())


def test_times() -> None:
    late = AT + timedelta(days=91)
    fresh = directory(exp=T + 200 * DAY)
    assert judged(listed=fresh, at=late, status=status(exp=T + 200 * DAY)) == ("expired", ["slip.expired"])
    assert judged(at=AT - timedelta(minutes=4))[0] == "genuine"
    assert judged(at=AT - timedelta(minutes=6)) == ("undetermined", ["slip.from_the_future"])
    assert judged(listed=directory(exp=T - 1)) == ("undetermined", ["slip.directory_expired"])
    assert judged(listed=None) == ("undetermined", ["slip.no_directory"])
    assert judged(key().url(facts(clock_trusted=False)))[1] == [
        *("slip.genuine", "slip.not_checked", "slip.clock_in_doubt")
    ]


def test_a_key_that_nobody_listed_is_unknown_unless_the_directory_is_too_old_to_tell() -> None:
    stranger = key("two").url(facts())
    assert judged(stranger) == ("unknown", ["slip.key_unknown"])
    assert judged(stranger, directory(exp=T - 1)) == ("undetermined", ["slip.directory_expired"])


def test_one_listed_box_cannot_speak_for_another() -> None:
    other = slips.TestKey("two", device="box-2")
    both = directory(key(), other)
    assert judged(other.url(facts()), both) == ("altered", ["slip.other_terminal"])
    assert judged(other.url(facts(device="box-2")), both)[0] == "genuine"


@pytest.mark.parametrize("why", ["compromised", "stolen", "lost", "unspecified"])
@pytest.mark.parametrize("how", ["certificate", "name", "former", "gone"])
def test_a_key_in_other_hands_counts_for_nothing_whatever_the_date(why: Any, how: str) -> None:
    """The thief dates back; so does a box that was stolen with its slips unsigned."""
    sha256 = key().listed.sha256
    page: dict[str, Any] = {
        "certificate": {"certificates": (CertificateRevoked(sha256, T + DAY, why),)},
        "name": {"revoked": (PrincipalRevoked(Role.DEVICE, "box-1", T + DAY, why),)},
        "former": {"devices": (), "former": (FormerKey("box-1", key().listed, T + DAY, why),)},
        "gone": {"devices": (), "certificates": (CertificateRevoked(sha256, T + DAY, why),)},
    }[how]
    at = AT + timedelta(days=2)
    assert judged(listed=directory(**page), at=at) == ("undetermined", ["slip.key_revoked"])


@pytest.mark.parametrize("why", ["replaced", "retired", "expired"])
def test_a_key_that_ended_in_order_goes_on_to_prove_what_it_signed_before(why: Any) -> None:
    gone = directory(devices=(), former=(FormerKey("box-1", key().listed, T + DAY, why),))
    at = AT + timedelta(days=2)
    found = verifying.verify(key().url(facts()), gone, at=at)
    assert found.verdict == "genuine"
    assert found.key is not None
    assert (found.key.ended, found.key.why) == (T + DAY, why)
    after = key().url(facts(at=T + DAY + 1))
    assert judged(after, gone, at=at) == ("unknown", ["slip.key_had_ended"])


def test_of_several_reasons_the_gravest_counts() -> None:
    listed, name = key().listed, PrincipalRevoked(Role.DEVICE, "box-1", T + 9, "stolen")
    replaced = CertificateRevoked(listed.sha256, T + 1, "replaced")
    former = FormerKey("box-1", listed, T + 1, "retired")
    stolen = CertificateRevoked(listed.sha256, T + 9, "stolen")
    for members in (
        directory(certificates=(replaced,), revoked=(name,)),
        directory(devices=(), former=(former,), revoked=(name,)),
        directory(devices=(), former=(former,), certificates=(stolen,)),
    ):
        assert judged(listed=members) == ("undetermined", ["slip.key_revoked"])


def test_a_slip_dated_after_its_certificate_is_none() -> None:
    short = slips.TestKey("short", not_after=T - 1)
    assert judged(short.url(facts()), directory(short)) == ("unknown", ["slip.key_had_ended"])


def test_every_changed_character_of_the_code_is_seen() -> None:
    whole = key().url(facts())
    start = whole.index("#") + 1
    chance = random.Random(21)
    verdicts = set()
    for at in range(start, len(whole)):
        letter = chance.choice([one for one in base45.ALPHABET if one not in (whole[at], " ", "%")])
        verdict, codes = judged(whole[:at] + letter + whole[at + 1 :])
        assert verdict in {"altered", "unknown"}, at
        assert codes
        verdicts.add(verdict)
    assert verdicts == {"altered", "unknown"}


def test_an_altered_slip_shows_nothing_as_signed() -> None:
    signed = bytearray(key().cose(facts()))
    signed[-1] ^= 1
    forged = verifying.verify(url.build(slips.BASE, bytes(signed)), directory(), at=AT)
    assert (forged.verdict, forged.signed, forged.key) == ("altered", False, None)


@pytest.mark.parametrize("text", ["", "https://example.org/", "HELLO", "BB8", "x" * 5000, "\x00"])
def test_other_texts_are_unknown(text: str) -> None:
    verdict, codes = judged(text)
    assert verdict == "unknown"
    assert codes[0] in {"slip.not_a_slip", "slip.malformed"}


def test_a_slip_of_a_newer_release_is_not_called_altered() -> None:
    raw = cbor2.loads(claims.encode(facts()))
    raw[claims.SLIP][0] = 2
    newer = cose.assemble(cbor2.dumps(raw, canonical=True), key().kid, key().sign_raw)
    assert judged(url.build(slips.BASE, newer)) == ("undetermined", ["slip.newer"])
    wrong = bytearray(newer)
    wrong[-1] ^= 1
    assert judged(url.build(slips.BASE, bytes(wrong))) == ("altered", ["slip.signature_wrong"])


def test_a_verification_is_json() -> None:
    found = msgspec.json.decode(msgspec.json.encode(verifying.verify(key().url(facts()), directory(), at=AT)))
    assert found["verdict"] == "genuine"
    assert found["lines"][1]["value"] == ["通过", "passed"]


# --- the paper against its signature ---

LINES = content.lines(facts(kind=Kind.TEST))


def printed(lines: tuple[SlipLine, ...], setting: str = "row", width: int = 30) -> list[str]:
    """As our outputs set lines: captions, then values, or each language by itself; broken anywhere."""
    out = []
    for line in lines:
        (caption_zh, caption_en), (zh, en) = line.caption, line.value
        values = [zh] if zh == en else [zh, en]
        captions = [caption_zh] if caption_zh == caption_en else [caption_zh, caption_en]
        words = {
            "row": [*captions, *values],
            "apart": [caption_zh, zh, caption_en, en],
            "en": [caption_en, en],
            "zh": [caption_zh, zh],
        }[setting]
        text = " ".join(word for word in words if word)
        out += [text[at : at + width] for at in range(0, len(text), width)]
    return out


@pytest.mark.parametrize("setting", ["row", "apart", "en", "zh"])
@pytest.mark.parametrize("width", [8, 30, 500])
def test_a_true_paper_is_the_same_line_by_line(setting: str, width: int) -> None:
    found = compare(printed(LINES, setting, width), LINES)
    assert [(one.key, one.outcome) for one in found] == [(line.key, "same") for line in LINES]


@pytest.mark.parametrize("number", range(len(LINES)))
def test_a_swapped_line_is_seen_and_no_other_is_blamed(number: int) -> None:
    line = LINES[number]
    other = SlipLine(line.key, line.caption, ("无法判定甲", "something else"), line.style)
    found = compare(printed((*LINES[:number], other, *LINES[number + 1 :])), LINES)
    wrong = {one.key: one for one in found if one.outcome != "same"}
    assert set(wrong) == {line.key}
    assert wrong[line.key].outcome == "differs"
    assert "somethingelse" in wrong[line.key].printed


@pytest.mark.parametrize("number", range(len(LINES)))
def test_a_missing_line_is_seen(number: int) -> None:
    found = compare(printed((*LINES[:number], *LINES[number + 1 :])), LINES)
    wrong = [(one.key, one.outcome) for one in found if one.outcome != "same"]
    assert wrong == [(LINES[number].key, "missing")]


def test_a_result_that_was_painted_over_is_not_found_elsewhere() -> None:
    """`passed` stands in the lines of the checks as well."""
    failed = content.lines(facts(kind=Kind.TEST, result="failed"))
    found = compare(printed(LINES), failed)
    wrong = {one.key: one for one in found if one.outcome != "same"}
    assert set(wrong) == {"result"}
    assert wrong["result"].printed.endswith("passed")


def test_an_added_line_is_not_signed() -> None:
    paper = printed(LINES)
    found = compare([*paper[:9], "担保人 Guarantor: the Harbour Bank", *paper[9:]], LINES)
    added = [one for one in found if one.outcome == "not_signed"]
    differing = [one for one in found if one.outcome not in {"same", "not_signed"}]
    assert "Guarantor" in "".join(one.printed for one in (*added, *differing))
    at_the_end = compare([*paper, "Approved."], LINES)
    assert [(one.outcome, one.printed) for one in at_the_end if one.outcome != "same"] == [
        ("not_signed", "Approved.")
    ]


def test_two_lines_in_each_other_s_place_are_seen() -> None:
    swapped = (*LINES[:5], LINES[6], LINES[5], *LINES[7:])
    assert {one.outcome for one in compare(printed(swapped), LINES)} > {"same"}


def test_nothing_printed_and_anything_printed() -> None:
    assert {one.outcome for one in compare([], LINES)} == {"missing"}
    chance = random.Random(3)
    letters = "".join(line.value[0] + line.value[1] for line in LINES)
    noise = "".join(chance.choices(letters, k=2 * MAX_PRINTED))
    found = compare([noise], LINES)
    assert sorted(one.key for one in found if one.key) == sorted(line.key for line in LINES)
    assert [one.outcome for one in compare(["x"], ())] == ["not_signed"]
