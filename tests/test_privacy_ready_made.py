"""Ready-made policies, policies by name, and that a policy on a base never tells more than the base."""

from __future__ import annotations

import itertools
import json
from pathlib import Path
from typing import Any

import msgspec
import pytest
from hypothesis import given, settings
from hypothesis import strategies as st

from edged import messages
from edged.commands.config import EXAMPLE
from edged.config import SCENES, BoxSettings, parse_toml
from edged.config_checks import check_box
from edged.desired import parse_audience
from edged.errors import ConfigError
from edged.privacy import ready_made
from edged.privacy.ceiling import CEILING, FORMS, Action, allowed
from edged.privacy.disclosing import disclose
from edged.privacy.policy import Policy, check_policy
from edged.privacy.pseudonym import Pseudonymiser
from edged.privacy.tightening import check_tighter
from tests.test_privacy_policy import TODAY, passport

PSEUDONYMS = Pseudonymiser(bytes(range(32)), "box:bank")
SEALED = {"lodging-authority"}
LOCAL = {"bank-teller", "hotel-pms"}


@pytest.mark.parametrize("name", ready_made.names())
class TestEach:
    def test_it_says_what_for_by_which_right_and_for_how_long(self, name: str) -> None:
        policy = ready_made.load(name)
        check_policy(policy)
        assert policy.name == name
        for sentences in (policy.purpose, policy.legal_basis, policy.not_certain):
            assert set(sentences) == set(messages.LANGUAGES)
        if policy.retention_days is None:  # then it says that other rules decide
            assert "how long" in policy.not_certain["en"].lower()
            assert "保存期限" in policy.not_certain["zh-CN"]

    def test_who_gets_raw_fields_gets_nothing_else(self, name: str) -> None:
        policy = ready_made.load(name)
        assert (policy.record is not None) == (name in SEALED)
        assert (policy.handover is not None) == (name in LOCAL)
        if name in SEALED | LOCAL:
            assert not policy.claims

    def test_it_is_meant_for_a_scene(self, name: str) -> None:
        assert set(ready_made.FOR_SCENE) == set(SCENES)
        assert any(name in of_scene for of_scene in ready_made.FOR_SCENE.values())

    def test_it_is_no_looser_than_itself(self, name: str) -> None:
        check_tighter(ready_made.load(name), ready_made.load(name))


def test_an_archive_recognises_nobody() -> None:
    policy = ready_made.load("central-archive")
    assert not any(policy.rule(claim).action is Action.PSEUDONYMISE for claim in policy.claims)
    assert not {"surname", "given_names", "chinese_name", "document_number", "birth_date"} & set(
        policy.claims
    )


def test_a_teller_gets_no_birth_date() -> None:
    """It is not among the elements of a customer's file that the central bank lists."""
    handover = ready_made.load("bank-teller").handover
    assert handover is not None
    assert "birth_date" not in handover.fields


def box(policy: str) -> BoxSettings:
    """The example's box with one more audience."""
    text = EXAMPLE + f'\n[audiences.mine]\nscenes = ["bank"]\n{policy}\n'
    settings_ = parse_toml(text.encode(), BoxSettings, base=Path("/base"))
    check_box(settings_)
    return settings_


def pushed(policy: Any) -> Policy:
    document = {"format": 1, "name": "mine", "scenes": ["bank"], "policy": policy}
    return parse_audience(json.dumps(document).encode()).policy


class TestByName:
    def test_in_a_boot_file_and_in_a_pushed_document(self) -> None:
        wanted = ready_made.load("transport")
        assert box('policy = "transport"').audiences["mine"].policy == wanted
        assert pushed("transport") == wanted

    def test_tighter(self) -> None:
        lines = (
            "[audiences.mine.policy]",
            'base = "bank-account-opening"',
            "retention_days = 30",
            "[audiences.mine.policy.claims]",
            'holder = "drop"',
            'nationality = { action = "generalise", to = "region" }',
        )
        made = box("\n".join(lines)).audiences["mine"].policy
        base = ready_made.load("bank-account-opening")
        assert made.retention_days == 30
        assert made.rule("holder").action is Action.DROP
        assert made.rule("nationality").to == "region"
        assert made.claims["surname"] == base.claims["surname"]
        assert (made.name, made.legal_basis) == (base.name, base.legal_basis)

    @pytest.mark.parametrize(
        ("policy", "code", "where"),
        [
            ("nobody", "policy.no_such", "policy"),
            ({"base": "nobody"}, "policy.no_such", "policy"),
            ({"base": "../policies/transport"}, "policy.no_such", "policy"),
            ({"base": 1}, "config.wrong_type", "policy.name"),
            ({"base": "transport", "x": 1}, "config.unknown_key", "policy.x"),
            ({"base": "transport", "claims": {"sex": "show"}}, "config.invalid_choice", "policy.claims.sex"),
            (
                {"base": "transport", "claims": {"surname": "keep"}},
                "config.above_ceiling",
                "policy.claims.surname",
            ),
            (
                {"base": "transport", "claims": {"sex": "keep"}},
                "policy.looser_than_base",
                "policy.claims.sex",
            ),
            ({"base": "transport", "claims": 1}, "config.wrong_type", "policy.claims"),
            (7, "config.wrong_type", "policy"),
        ],
    )
    def test_what_is_wrong_is_named(self, policy: Any, code: str, where: str) -> None:
        with pytest.raises(ConfigError) as error:
            pushed(policy)
        assert (error.value.where, error.value.code) == (where, code)

    def test_a_boot_file_names_the_audience(self) -> None:
        with pytest.raises(ConfigError) as error:
            box('policy = { base = "transport", claims = { sex = "keep" } }')
        assert (error.value.where, error.value.code) == (
            "audiences.mine.policy.claims.sex",
            "policy.looser_than_base",
        )
        with pytest.raises(ConfigError) as error:
            box('policy = "nobody"')
        assert error.value.where == "audiences.mine.policy"


class TestTighter:
    @pytest.mark.parametrize(
        ("name", "change", "where"),
        [
            ("hospital-card", {"encrypt": False}, "encrypt"),
            ("hospital-card", {"consent": "not_needed"}, "consent"),
            ("transport", {"retention_days": 15}, "retention_days"),
            ("transport", {"retention_days": None}, "retention_days"),
            ("transport", {"pseudonym_scope": "organisation"}, "pseudonym_scope"),
            ("transport", {"pseudonym_period": "year"}, "pseudonym_period"),
            ("transport", {"pseudonym_overlap_days": 8}, "pseudonym_overlap_days"),
            ("transport", {"handover": {"fields": ["sex"]}}, "handover.fields"),
            ("transport", {"record": {"kind": "lodging"}}, "record"),
            ("bank-teller", {"handover": {"fields": ["sex", "birth_date"]}}, "handover.fields.1"),
            (
                "bank-account-opening",
                {"claims": {"document_number": {"action": "mask"}}},
                "claims.document_number",
            ),
            ("hotel-stay", {"claims": {"birth_date": "generalise"}}, "claims.birth_date"),
            (
                "hotel-stay",
                {"claims": {"birth_date": {"action": "generalise", "to": "decade"}}},
                "claims.birth_date",
            ),
        ],
    )
    def test_what_would_tell_more_is_refused(self, name: str, change: dict[str, Any], where: str) -> None:
        with pytest.raises(ConfigError) as error:
            pushed({"base": name} | change)
        assert (error.value.where, error.value.code) == (f"policy.{where}", "policy.looser_than_base")

    @pytest.mark.parametrize(
        ("name", "change"),
        [
            ("transport", {"encrypt": True, "consent": "required", "retention_days": 1}),
            ("bank-account-opening", {"pseudonym_period": "month", "pseudonym_overlap_days": 14}),
            ("central-archive", {"pseudonym_period": "month", "pseudonym_overlap_days": 14}),
            ("bank-teller", {"handover": {"fields": ["sex"], "within_s": 10}}),
            ("lodging-authority", {"record": None}),
            ("bank-account-opening", {"claims": {"expiry_date": {"action": "generalise", "to": "quarter"}}}),
            ("bank-account-opening", {"claims": {"expiry_date": {"action": "generalise", "to": "year"}}}),
        ],
    )
    def test_what_tells_less_is_taken(self, name: str, change: dict[str, Any]) -> None:
        assert pushed({"base": name} | change) != ready_made.load(name)

    @settings(max_examples=150)
    @given(st.data())
    def test_what_is_called_tighter_follows_from_the_base(self, data: st.DataObject) -> None:
        """Two people whom the base's claims don't tell apart are not told apart by a tighter policy either."""
        claim = data.draw(st.sampled_from([name for name, most in CEILING.items() if most is not None]))
        rules = st.sampled_from(_rules(claim))
        base, tighter = (Policy(claims={claim: data.draw(rules)}) for _ in range(2))
        try:
            check_tighter(tighter, base)
        except ConfigError:
            return
        for one, other in itertools.combinations(_PEOPLE, 2):
            if _told(one, base) == _told(other, base):
                assert _told(one, tighter) == _told(other, tighter)


def _rules(claim: str) -> list[Any]:
    rules: list[Any] = [action.value for action in allowed(claim)]
    rules += [{"action": "generalise", "to": form} for form in FORMS.get(claim, ())]
    if Action.MASK in allowed(claim):
        patterns = (
            ("0+0", "1+0") if claim != "document_number" else ("0+0", "1+1", "2+0", "0+4", "1+3", "2+2")
        )
        rules += [{"action": "mask", "patterns": {"default": pattern}} for pattern in patterns]
    return [msgspec.convert({"claims": {claim: rule}}, Policy).claims[claim] for rule in rules]


def _told(person: dict[str, str], policy: Policy) -> object:
    return disclose(passport(**person), policy, pseudonyms=PSEUDONYMS, today=TODAY, consent=True)


_PEOPLE = [
    {
        "surname": surname,
        "document_number": number,
        "birth_date": birth,
        "expiry_date": expiry,
        "nationality": state,
    }
    for surname, number, birth, expiry, state in (
        ("ERIKSSON", "L898902C3", "740812", "280415", "UTO"),
        ("EK", "L898902D3", "740101", "280430", "D"),
        ("ERIKSEN", "M898902C3", "790812", "280501", "F"),
        ("BERG", "L8X", "800812", "281231", "CHN"),
        ("BY", "L8989", "811101", "270301", "JPN"),
        ("LI", "L8988", "090101", "270520", "BRA"),
        ("LIN", "L98902C3", "081231", "260101", "XXA"),
    )
]
