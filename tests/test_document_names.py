"""Every kind of document has its own name in both languages; what isn't known is named by its class."""

from __future__ import annotations

import re

import pytest

from edged.core.card_numbers import CardKind
from edged.core.countries import COUNTRIES
from edged.core.document_names import ANY, NAMES, card_name, document_name, name_of
from edged.core.layouts import MrzFormat
from edged.core.mrz import Region, parse_mrz
from tests.mrz_specimens import TODAY, specimen

HAN = re.compile(r"[\u4e00-\u9fff]")
TD1, TD2, TD3 = MrzFormat.TD1, MrzFormat.TD2, MrzFormat.TD3


@pytest.mark.parametrize(
    ("format_", "code", "issuer", "english", "chinese"),
    [
        (TD3, "P", "UTO", "Passport", "护照"),
        (TD3, "PP", "UTO", "Ordinary passport", "普通护照"),
        (TD3, "PO", "UTO", "Official passport", "公务护照"),
        (TD3, "PO", "CHN", "Ordinary passport", "普通护照"),
        (TD3, "PD", "CHN", "Diplomatic passport", "外交护照"),
        (TD3, "PS", "CHN", "Service passport", "公务护照"),
        (TD3, "PE", "CHN", "Passport for public affairs", "公务普通护照"),
        (TD3, "PE", "UTO", "Emergency passport", "紧急护照"),
        (TD3, "PT", "CHN", "Passport", "护照"),
        (TD3, "PA", "SGP", "Passport", "护照"),
        (TD3, "PN", "RUS", "Russian internal passport", "俄罗斯国内护照"),
        (TD3, "P", "RUS", "Passport", "护照"),
        (TD3, "P", "TWN", "Travel document of Taiwan, China", "中国台湾地区旅行证件"),
        (TD3, "P", "UNO", "United Nations laissez-passer", "联合国通行证"),
        (TD3, "PD", "UNA", "United Nations laissez-passer", "联合国通行证"),
        (TD3, "P", "EUE", "European Union laissez-passer", "欧洲联盟通行证"),
        (TD3, "P", "INP", "Interpol travel document", "国际刑警组织旅行证件"),
        (TD3, "I", "UTO", "Travel document", "旅行证件"),
        (TD1, "I", "UTO", "Identity card", "身份证"),
        (TD2, "ID", "ROU", "Identity card", "身份证"),
        (TD1, "IX", "QQQ", "Identity card", "身份证"),
        (TD1, "AC", "UTO", "Crew member certificate", "机组成员证"),
        (TD1, "RP", "EST", "Residence permit", "居留许可"),
        (TD1, "TR", "GEO", "Residence permit", "居留许可"),
        (TD1, "AR", "D", "Residence permit", "居留许可"),
        (TD1, "C1", "USA", "Permanent resident card", "永久居民卡"),
        (TD1, "IP", "USA", "Passport card", "护照卡"),
        (TD1, "XX", "QQQ", "Travel document", "旅行证件"),
        (TD2, "P", "UTO", "Passport card", "护照卡"),
        (MrzFormat.MRVA, "VN", "USA", "Visa", "签证"),
        (MrzFormat.MRVB, "VC", "D", "Visa", "签证"),
        (MrzFormat.FRA_ID, "ID", "FRA", "French national identity card", "法国国民身份证"),
    ],
)
def test_names(format_: MrzFormat, code: str, issuer: str, english: str, chinese: str) -> None:
    assert document_name(format_, code, issuer, "en") == english
    assert document_name(format_, code, issuer, "zh-CN") == chinese
    assert document_name(format_, code, issuer, "fr") == english


@pytest.mark.parametrize(
    ("name", "chinese"),
    [
        ("TD3: CHN, ordinary (PO), E + 8", "普通护照"),
        ("TD3: CHN, diplomatic", "外交护照"),
        ("TD3: HKSAR", "香港特别行政区护照"),
        ("PRC_PERMIT: CS", "往来港澳通行证"),
        ("PRC_PERMIT: CD", "往来台湾通行证"),
        ("PRC_CARD: CR", "港澳居民来往内地通行证"),
        ("PRC_CARD: CT", "台湾居民来往大陆通行证"),
        ("PRC_HOME_RETURN", "港澳居民来往内地通行证"),
        ("MRVB: MRV-B, FRA", "签证"),
    ],
)
def test_specimens_are_called_by_their_names(name: str, chinese: str) -> None:
    assert name_of(parse_mrz(specimen(name), today=TODAY), "zh-CN") == chinese


def test_the_other_region_and_statuses() -> None:
    macao = document_name(TD3, "P", "CHN", "en", region=Region.MACAO)
    assert macao == "Macao SAR passport"
    assert document_name(TD3, "PO", "CHN", "en", region=Region.MAINLAND) == "Ordinary passport"
    for code, english in (
        ("XXA", "Travel document for stateless persons"),
        ("XXB", "Refugee travel document"),
    ):
        assert document_name(TD3, "P", "D", "en", nationality=code) == english
        assert document_name(TD1, "AR", "D", "en", nationality=code) == "Residence permit"


def test_cards_without_an_mrz() -> None:
    assert card_name(CardKind.PERMANENT_RESIDENT_2023, "zh-CN") == "外国人永久居留身份证"
    assert card_name(CardKind.RESIDENCE_PERMIT, "en").startswith("Residence permit")
    assert len({card_name(kind, lang) for kind in CardKind for lang in ("en", "zh-CN")}) == 2 * len(CardKind)


def test_the_table_is_sound() -> None:
    families = {"TD3", "card", "visa", "FRA_ID", "PRC_PERMIT", "PRC_CARD", "PRC_HOME_RETURN"}
    for (family, code, issuer), name in NAMES.items():
        assert family in families
        assert code == ANY or re.fullmatch(r"[A-Z][A-Z0-9]?", code)
        assert issuer == "" or issuer in COUNTRIES
        assert HAN.search(name.chinese)
        assert not HAN.search(name.english)
