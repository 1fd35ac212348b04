"""How far a claim goes: patterns, bands, regions, consent. What lies at a border is withheld, never guessed."""

from __future__ import annotations

import datetime
from typing import Any, ClassVar

import msgspec
import pytest
from hypothesis import given, settings
from hypothesis import strategies as st

from edged.core.countries import COUNTRIES, SPECIMEN_CODES
from edged.core.layouts import DocumentClass, MrzFormat
from edged.core.mrz import Mrz, format_mrz, parse_mrz
from edged.errors import ConfigError
from edged.privacy.ceiling import CEILING, FORMS, NAMES, Kept, allowed
from edged.privacy.disclosing import disclose
from edged.privacy.masks import Pattern, mask_name, mask_number, within_ceiling
from edged.privacy.policy import CLASSES, WITHHELD, Policy, check_policy, policy_hash
from edged.privacy.pseudonym import Pseudonymiser
from edged.privacy.regions import OTHER, REGION_OF, REGIONS
from tests.test_privacy_policy import PASSPORT, TODAY, passport

PSEUDONYMS = Pseudonymiser(bytes(range(32)), "box:bank")


def policy(**raw: Any) -> Policy:
    return msgspec.convert(raw, Policy)


def told(mrz: Mrz | None, claim: str, rule: Any, **options: Any) -> tuple[Any, str | None]:
    """The claim's value, and why it has none."""
    made = disclose(
        mrz, policy(claims={claim: rule}), **({"pseudonyms": PSEUDONYMS, "today": TODAY} | options)
    )
    withheld = made.get(WITHHELD, {})
    assert isinstance(withheld, dict)
    return made[claim], withheld.get(claim)


def generalise(to: str) -> dict[str, str]:
    return {"action": "generalise", "to": to}


class TestMasks:
    RULE: ClassVar = {
        "action": "mask",
        "patterns": {"passport": "1+3", "identity_card": "0+0", "default": "1+1"},
    }

    def test_a_pattern_for_each_class_of_document(self) -> None:
        card = {key: value for key, value in PASSPORT.items() if key != "optional_data"}
        card |= {"document_code": "I", "document_number": "D23145890"}
        visa = PASSPORT | {"document_code": "V"}
        visa.pop("optional_data")
        assert told(passport(), "document_number", self.RULE)[0] == "L*****2C3"
        held = parse_mrz(format_mrz(MrzFormat.TD1, card), today=TODAY)
        assert told(held, "document_number", self.RULE)[0] == "*********"
        held = parse_mrz(format_mrz(MrzFormat.MRVA, visa), today=TODAY)
        assert told(held, "document_number", self.RULE)[0] == "L*******3"

    def test_the_classes_are_those_that_there_are(self) -> None:
        assert set(CLASSES) == {one.value for one in DocumentClass}

    @given(
        st.text(max_size=30),
        st.tuples(st.integers(0, 9), st.integers(0, 9)).filter(
            lambda p: within_ceiling(Pattern(*p), name=False)
        ),
    )
    def test_at_most_half_of_a_number_in_true_length(self, number: str, ends: tuple[int, int]) -> None:
        masked = mask_number(number, Pattern(*ends))
        kept = sum(ends)
        assert len(masked) == len(number)
        assert masked.count("*") >= max(len(number) - kept, len(number) / 2)
        assert kept <= Kept.BOTH

    @given(st.text(max_size=30), st.integers(0, 2), st.integers(0, 2))
    def test_a_smaller_pattern_never_shows_more(self, number: str, start: int, end: int) -> None:
        """Of a short number as well: or a policy could not be tightened."""
        number = number.replace("*", "x")
        small, large = mask_number(number, Pattern(start, end)), mask_number(number, Pattern(2, 2))
        assert all(one in ("*", other) for one, other in zip(small, large, strict=True))

    def test_a_name_is_never_told_by_its_length(self) -> None:
        assert {mask_name(name) for name in ("EK", "ERIKSSON")} == {"E*"}
        rule = {"action": "mask", "patterns": {"default": "0+0"}}
        assert told(passport(), "surname", rule)[0] == "*"

    @pytest.mark.parametrize(
        ("claim", "patterns", "code", "where"),
        [
            ("document_number", {"default": "6+4"}, "config.above_ceiling", "patterns.default"),
            ("document_number", {"default": "3+0"}, "config.above_ceiling", "patterns.default"),
            ("document_number", {"default": "1+4"}, "config.above_ceiling", "patterns.default"),
            (
                "document_number",
                {"passport": "2+3", "default": "1+1"},
                "config.above_ceiling",
                "patterns.passport",
            ),
            ("surname", {"default": "1+1"}, "config.above_ceiling", "patterns.default"),
            ("chinese_name", {"default": "2+0"}, "config.above_ceiling", "patterns.default"),
            ("document_number", {"default": "two"}, "policy.bad_pattern", "patterns.default"),
            ("document_number", {"default": "١+١"}, "policy.bad_pattern", "patterns.default"),
            ("document_number", {"default": "2+2\n"}, "policy.bad_pattern", "patterns.default"),
            ("document_number", {"passport": "1+1"}, "config.missing_key", "patterns.default"),
            (
                "document_number",
                {"licence": "1+1", "default": "1+1"},
                "config.unknown_name",
                "patterns.licence",
            ),
        ],
    )
    def test_a_pattern_that_cannot_be(
        self, claim: str, patterns: dict[str, str], code: str, where: str
    ) -> None:
        with pytest.raises(ConfigError) as error:
            check_policy(policy(claims={claim: {"action": "mask", "patterns": patterns}}))
        assert (error.value.where, error.value.code) == (f"claims.{claim}.{where}", code)


class TestBirthDates:
    @pytest.mark.parametrize(
        ("birth", "form", "value"),
        [
            ("740812", "year", "1974"),
            ("740812", "decade", "1970s"),
            ("74<<<<", "decade", "1970s"),
            ("740812", "age_band", "45-54"),
            ("121122", "age_band", "0-13"),
            ("121121", "age_band", "14-17"),
            ("081121", "age_band", "18-24"),
            ("081122", "age_band", "14-17"),
            ("511121", "age_band", "75+"),
            ("80<<<<", "age_band", "45-54"),
            ("81<<<<", "age_band", None),
            ("8111<<", "age_band", None),
            ("8110<<", "age_band", "45-54"),
            ("<<0812", "age_band", None),
        ],
    )
    def test_forms(self, birth: str, form: str, value: str | None) -> None:
        reason = None if value else "claim.date_incomplete"
        assert told(passport(birth_date=birth), "birth_date", generalise(form)) == (value, reason)

    @settings(max_examples=100)
    @given(
        st.dates(datetime.date(1930, 1, 1), datetime.date(2025, 1, 1)), st.sampled_from(FORMS["birth_date"])
    )
    def test_what_is_told_of_a_part_is_told_of_the_whole(self, born: datetime.date, form: str) -> None:
        """A band from an incomplete date is the band that the whole date would have given, or none."""
        whole = told(passport(birth_date=f"{born:%y%m%d}"), "birth_date", generalise(form))[0]
        for part in (f"{born:%y%m}<<", f"{born:%y}<<<<"):
            assert told(passport(birth_date=part), "birth_date", generalise(form))[0] in (whole, None)


class TestExpiryDates:
    @pytest.mark.parametrize(
        ("expiry", "form", "value"),
        [
            ("280415", "month", "2028-04"),
            ("280415", "quarter", "2028-Q2"),
            ("2804<<", "quarter", "2028-Q2"),
            ("28<<<<", "quarter", None),
            ("28<<<<", "year", "2028"),
            ("261120", "validity_band", "expired"),
            ("261121", "validity_band", "under_6_months"),
            ("270520", "validity_band", "under_6_months"),
            ("270521", "validity_band", "over_6_months"),
            ("2705<<", "validity_band", None),
            ("2706<<", "validity_band", "over_6_months"),
        ],
    )
    def test_forms(self, expiry: str, form: str, value: str | None) -> None:
        reason = None if value else "claim.date_incomplete"
        assert told(passport(expiry_date=expiry), "expiry_date", generalise(form)) == (value, reason)

    def test_six_months_from_the_end_of_a_long_month(self) -> None:
        today = datetime.date(2027, 8, 31)  # there is no 31 February
        made = [
            told(passport(expiry_date=day), "expiry_date", generalise("validity_band"), today=today)[0]
            for day in ("280228", "280229")
        ]
        assert made == ["under_6_months", "over_6_months"]


class TestRegions:
    def test_every_known_code_is_in_one_region(self) -> None:
        assert set(REGION_OF) == set(COUNTRIES)
        assert sum(len(codes.split()) for codes in REGIONS.values()) == len(REGION_OF)
        assert {REGION_OF[code] for code in SPECIMEN_CODES} == {OTHER}

    @pytest.mark.parametrize("claim", ["nationality", "issuing_state"])
    def test_a_state_becomes_its_region(self, claim: str) -> None:
        for code, found in (("D", "europe"), ("CHN", "asia"), ("BRA", "americas"), ("XXA", "other")):
            assert told(passport(**{claim: code}), claim, generalise("region")) == (found, None)

    def test_a_code_that_nobody_knows_has_none(self) -> None:
        assert told(passport(nationality="QQQ"), "nationality", generalise("region")) == (
            None,
            "claim.not_plausible",
        )


class TestCeiling:
    @pytest.mark.parametrize("claim", CEILING)
    def test_a_form_that_the_claim_has_not(self, claim: str) -> None:
        for form in {"day", *(one for forms in FORMS.values() for one in forms)} - set(FORMS.get(claim, ())):
            with pytest.raises(ConfigError, match=rf"^claims\.{claim}"):
                check_policy(policy(claims={claim: generalise(form)}))

    def test_what_belongs_to_another_action(self) -> None:
        for rule in ({"action": "keep", "to": "region"}, {"action": "keep", "patterns": {"default": "1+1"}}):
            with pytest.raises(ConfigError, match=r"^claims\.nationality\.(to|patterns): config\.only_with"):
                check_policy(policy(claims={"nationality": rule}))

    def test_the_strongest_form_is_what_the_action_alone_means(self) -> None:
        for claim, forms in FORMS.items():
            assert policy(claims={claim: "generalise"}).rule(claim).to == forms[0]
        assert all("keep" not in allowed(claim) for claim in (*NAMES, "document_number", "optional_data"))

    @pytest.mark.parametrize(
        ("raw", "where", "code"),
        [
            ({"handover": {"fields": ["shoe_size"]}}, "handover.fields.0", "config.unknown_name"),
            ({"handover": {"fields": ["sex", "sex"]}}, "handover.fields.1", "policy.named_twice"),
            ({"handover": {"fields": ["optional_data"]}}, "handover.fields.0", "config.unknown_name"),
            (
                {"record": {"kind": "lodging", "completion_s": 7200}},
                "record.completion_s",
                "config.out_of_range",
            ),
            (
                {"record": {"kind": "lodging", "deadline_h": float("nan")}},
                "record.deadline_h",
                "config.out_of_range",
            ),
            ({"pseudonym_overlap_days": 1}, "pseudonym_overlap_days", "config.out_of_range"),
            (
                {"pseudonym_period": "month", "pseudonym_overlap_days": 15},
                "pseudonym_overlap_days",
                "config.out_of_range",
            ),
            ({"legal_basis": {"fr": "…"}}, "legal_basis.fr", "config.unknown_name"),
        ],
    )
    def test_what_cannot_be_meant(self, raw: dict[str, Any], where: str, code: str) -> None:
        with pytest.raises(ConfigError) as error:
            check_policy(policy(**raw))
        assert (error.value.where, error.value.code) == (where, code)


class TestConsent:
    NEEDS: ClassVar = {
        "consent": "required",
        "claims": {"sex": "keep", "holder": "pseudonymise", "surname": "drop"},
    }

    def test_without_it_every_claim_is_null(self) -> None:
        for given_ in ({}, {"consent": False}):
            made = disclose(passport(), policy(**self.NEEDS), pseudonyms=PSEUDONYMS, today=TODAY, **given_)
            withheld = dict.fromkeys(("sex", "holder"), "claim.no_consent")
            assert made == {"sex": None, "holder": None, WITHHELD: withheld}

    def test_with_it_the_policy_decides(self) -> None:
        made = disclose(passport(), policy(**self.NEEDS), pseudonyms=PSEUDONYMS, today=TODAY, consent=True)
        assert made["sex"] == "F"
        assert WITHHELD not in made


def test_the_hash_is_of_what_the_policy_means_and_not_of_its_spelling() -> None:
    first = policy(claims={"sex": "keep", "surname": "mask"}, name="a")
    again = policy(name="a", claims={"surname": "mask", "sex": "keep"}, encrypt=False)
    assert policy_hash(first) == policy_hash(again)
    others = [
        policy(claims={"sex": "keep"}, name="a"),
        policy(claims={"sex": "keep", "surname": "mask"}, name="b"),
    ]
    assert len({policy_hash(one) for one in (first, *others)}) == 3
