"""The holder is told who learns what, in both languages, and exactly what the policies do."""

from __future__ import annotations

import json
from pathlib import Path
from typing import Any

import msgspec
import pytest

from edged import cli, messages
from edged.commands.config import EXAMPLE
from edged.config import AudienceSettings, BoxSettings, parse_toml
from edged.drafting import Outgoing
from edged.errors import ConfigError
from edged.events import ScanRequest
from edged.noticing import notice_of, noticed_of, reads_of, recipients_of
from edged.privacy.ceiling import CEILING
from edged.privacy.notice import GROUPS, READS, Recipient, make_notice, notice_hash, told
from edged.privacy.noticed import Noticed, make_noticed
from edged.privacy.policy import Policy
from edged.privacy.ready_made import load, names
from edged.uplink.envelope import Consent
from edged.verdict import Kind
from tests.trust_support import draft


def policy(**raw: Any) -> Policy:
    return msgspec.convert(raw, Policy)


def test_what_is_dropped_is_not_told() -> None:
    assert told(Policy()) == ("checks", "document_kind")
    assert told(policy(claims={"surname": "drop", "sex": "keep"})) == ("checks", "document_kind", "sex")


@pytest.mark.parametrize("claim", [claim for claim, most in CEILING.items() if most is not None])
def test_every_claim_that_may_leave_is_in_what_the_holder_is_told(claim: str) -> None:
    nothing, something = told(Policy()), told(Policy(claims={claim: CEILING[claim]}))  # type: ignore[dict-item]
    assert set(something) <= set(GROUPS)
    assert len(something) == len(nothing) + (claim != "document_code")


def test_records_and_handovers_are_told() -> None:
    assert "sealed_record" in told(load("lodging-authority"))
    assert "handover_fields" in told(load("bank-teller"))


@pytest.mark.parametrize("lang", messages.LANGUAGES)
def test_every_group_and_way_of_reading_has_words(lang: str) -> None:
    every = [Recipient(name, load(name)) for name in names()]
    notice = make_notice("hotel", site="海景酒店", recipients=every, reads=READS)
    text = "\n".join(notice.lines[lang])
    for group in GROUPS:
        assert messages.text(f"privacy_notice.group_{group}", lang) in text, group
    for way in READS:
        assert messages.text(f"privacy_notice.read_{way}", lang) in text, way
    for recipient in every:
        assert recipient.label in text
        assert recipient.policy.legal_basis[lang] in text
        assert recipient.policy.purpose[lang] in text
    assert "海景酒店" in text
    assert "…" not in text  # what a sentence lacks


def test_for_how_long() -> None:
    (kept,) = [Recipient("A", policy(retention_days=12))]
    said = make_notice("bank", site=None, recipients=[kept]).lines["en"]
    assert "A keeps it for 12 days at most." in said
    unknown = make_notice("bank", site=None, recipients=[Recipient("A", Policy())]).lines["en"]
    assert any("has not been said" in line for line in unknown)


def test_consent_is_asked_for_where_somebody_needs_it() -> None:
    asked = make_notice("kiosk", site=None, recipients=[Recipient("A", load("self-service-kiosk"))])
    free = make_notice("kiosk", site=None, recipients=[Recipient("A", load("transport"))])
    assert (asked.consent, free.consent) == (True, False)
    refusal = messages.text("privacy_notice.consent", "zh-CN")
    assert refusal in asked.lines["zh-CN"]
    assert refusal not in free.lines["zh-CN"]


def test_nobody_is_told_anything() -> None:
    notice = make_notice("bank", site="X", recipients=[])
    assert messages.text("privacy_notice.nobody", "en") in notice.lines["en"]


def test_the_hash_is_of_the_words() -> None:
    one = make_notice("bank", site="X", recipients=[Recipient("A", load("transport"))])
    same = make_notice("bank", site="X", recipients=[Recipient("A", load("transport"))])
    others = (
        make_notice("bank", site="Y", recipients=[Recipient("A", load("transport"))]),
        make_notice("bank", site="X", recipients=[Recipient("B", load("transport"))]),
        make_notice("bank", site="X", recipients=[Recipient("A", load("central-archive"))]),
        make_notice("bank", site="X", recipients=[Recipient("A", load("transport"))], reads=("chip",)),
    )
    assert one.sha256 == same.sha256 == notice_hash(one.lines)
    assert len({one.sha256, *(other.sha256 for other in others)}) == 5


KEPT = policy(claims={"sex": "keep"}, retention_days=9)
ASKED_FOR = policy(claims={"sex": "keep"}, consent="required")
HANDED = policy(consent="required", handover={"fields": ["surname"], "within_s": 30})


def noticed(
    *, consent: bool = False, asker: str | None = None, handover: bool = False, offered: bool = False
) -> Noticed:
    """Of two recipients of envelopes, one of which needs consent, and an application at the counter."""
    box = parse_toml(EXAMPLE.encode(), BoxSettings, base=Path("/base"))
    audiences = {
        name: AudienceSettings(scenes=("bank",), receives=(Kind.TEST,), policy=one)
        for name, one in (("police", KEPT), ("clinic", ASKED_FOR), ("teller", HANDED))
    }
    settings = msgspec.structs.replace(box, audiences=audiences)
    drafts = (
        draft(audience="police", scene="bank"),
        draft(audience="clinic", scene="bank", consent=Consent(consent, "0" * 64)),
    )
    outgoing = Outgoing(drafts, {}, handover_to="teller" if handover else None)
    request = ScanRequest("bank", consent=consent, application=asker)
    return noticed_of(request, outgoing, ("picture", "mrz"), settings, offered=offered, opened=())


def groups(of: Noticed) -> dict[str, tuple[tuple[str, ...], bool]]:
    return {one.to: (one.told, one.refused) for one in of.recipients}


def test_what_was_told_without_consent() -> None:
    made = noticed(asker="teller")
    assert groups(made) == {
        "police": (("checks", "document_kind", "sex"), False),
        "clinic": (("checks", "document_kind"), True),
        "teller": (("checks",), True),
    }
    assert made.consent is False
    for lang in messages.LANGUAGES:
        for name in ("clinic", "teller"):
            assert messages.text("noticed.recipient_refused", lang, to=name) in made.lines[lang]
        assert messages.text("privacy_notice.recipient_keeps", lang, to="police", days=9) in made.lines[lang]
        assert messages.text("noticed.consent", lang) not in made.lines[lang]


def test_what_was_told_with_consent_and_whether_fields_lie_ready() -> None:
    made = noticed(consent=True, asker="teller", handover=True, offered=True)
    assert groups(made)["clinic"] == (("checks", "document_kind", "sex"), False)
    assert groups(made)["teller"] == (("checks", "document_kind", "handover_fields"), False)
    assert next(iter(groups(made))) == "teller"  # who gets fields in clear comes first
    takes = messages.text("noticed.recipient_takes", "en", to="teller", seconds="30")
    assert takes in made.lines["en"]
    assert messages.text("noticed.consent", "en") in made.lines["en"]
    lost = noticed(consent=True, asker="teller", handover=True)  # the journal can't be written, say
    assert groups(lost)["teller"] == (("checks", "document_kind"), False)
    assert takes not in lost.lines["en"]


def test_what_was_told_of_nothing_to_nobody() -> None:
    made = make_noticed((), (), consent=None, notice=None)
    for lang in messages.LANGUAGES:
        assert messages.text("noticed.read_nothing", lang) in made.lines[lang]
        assert messages.text("noticed.nobody", lang) in made.lines[lang]


class TestOfABox:
    BOX = parse_toml(EXAMPLE.encode(), BoxSettings, base=Path("/base"))

    def test_recipients_are_the_scenes_own(self) -> None:
        assert [one.label for one in recipients_of(self.BOX, "bank")] == ["central", "first-bank"]
        assert [one.label for one in recipients_of(self.BOX, "hotel")] == ["central"]
        assert [one.label for one in recipients_of(self.BOX, "bank", Kind.TEST)] == ["central"]
        assert "first-bank learns" not in "\n".join(notice_of(self.BOX, "hotel").lines["en"])

    def test_an_application_that_is_handed_fields_is_named_whatever_it_receives(self) -> None:
        """A handover asks for no kind: one that receives trainings alone gets the fields of a real document."""
        teller = AudienceSettings(scenes=("bank",), receives=(Kind.TRAINING,), policy=load("bank-teller"))
        box = msgspec.structs.replace(self.BOX, audiences={**self.BOX.audiences, "teller": teller})
        assert "teller" in [one.label for one in recipients_of(box, "bank")]
        assert "teller" not in [one.label for one in recipients_of(box, "hotel")]

    def test_it_reads_with_what_it_has(self) -> None:
        assert reads_of(self.BOX) == ("picture", "mrz", "chip")
        assert reads_of(msgspec.structs.replace(self.BOX, chip_reader=None)) == ("picture", "mrz")

    def test_a_scene_that_there_is_not(self) -> None:
        with pytest.raises(ConfigError, match=r"config\.unknown_name"):
            notice_of(self.BOX, "casino")

    def test_the_command(self, tmp_path: Path, capsys: pytest.CaptureFixture[str]) -> None:
        file = tmp_path / "edged.toml"
        file.write_text(EXAMPLE, encoding="utf-8")
        given = ["privacy", "notice", "--config", str(file), "--scene", "bank"]
        assert cli.main([*given, "--lang", "zh-CN"]) == 0
        box = parse_toml(EXAMPLE.encode(), BoxSettings, base=tmp_path)
        notice = notice_of(box, "bank")
        assert capsys.readouterr().out.splitlines() == list(notice.lines["zh-CN"])
        assert cli.main([*given, "--json"]) == 0
        assert json.loads(capsys.readouterr().out)["sha256"] == notice.sha256
        assert cli.main(["privacy", "notice", "--config", str(tmp_path / "none")]) == 78
