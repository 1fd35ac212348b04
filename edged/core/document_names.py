"""What kinds of documents are called, in English and Chinese.

One frozen table. Sources: ICAO Doc 9303-4 to -7 for the codes, and the second letters that ICAO is harmonising (PP, PD,
PO, PS, PE); GA/T 704.14-2015 and the National Immigration Administration's own names for the PRC's documents; the
issuers' names for the others. Chinese names of foreign documents are our translations.

A code says little by itself: what an issuer means by it comes first. `PO` is an official passport, but the PRC's is an
ordinary one.
"""

from __future__ import annotations

from typing import TYPE_CHECKING, Final, NamedTuple

from edged.core.card_numbers import CardKind
from edged.core.layouts import DocumentClass, MrzFormat, document_class
from edged.core.mrz_prc import Region

if TYPE_CHECKING:
    from collections.abc import Mapping

    from edged.core.mrz import Mrz


class DocumentName(NamedTuple):
    """One name in both languages."""

    english: str
    chinese: str


ANY: Final = "*"
"""Any code, in a key of `NAMES`."""

NAMES: Final[Mapping[tuple[str, str, str], DocumentName]] = {
    key: DocumentName(english, chinese)
    for *keys, english, chinese in (
        (("TD3", "P", ""), "Passport", "护照"),
        (("TD3", "PP", ""), "Ordinary passport", "普通护照"),
        (("TD3", "PD", ""), "Diplomatic passport", "外交护照"),
        (("TD3", "PO", ""), "Official passport", "公务护照"),
        (("TD3", "PS", ""), "Service passport", "公务护照"),
        (("TD3", "PE", ""), "Emergency passport", "紧急护照"),
        (("TD3", "PO", "CHN"), "Ordinary passport", "普通护照"),
        (("TD3", "PE", "CHN"), "Passport for public affairs", "公务普通护照"),
        (("TD3", "PN", "RUS"), "Russian internal passport", "俄罗斯国内护照"),
        (("TD3", ANY, "TWN"), "Travel document of Taiwan, China", "中国台湾地区旅行证件"),
        (("TD3", ANY, "UNO"), ("TD3", ANY, "UNA"), "United Nations laissez-passer", "联合国通行证"),
        (("TD3", ANY, "UNK"), "UNMIK travel document", "联合国科索沃特派团旅行证件"),
        (("TD3", ANY, "EUE"), "European Union laissez-passer", "欧洲联盟通行证"),
        (("TD3", ANY, "XPO"), ("TD3", ANY, "INP"), "Interpol travel document", "国际刑警组织旅行证件"),
        (("TD3", ANY, "XOM"), "Passport of the Order of Malta", "马耳他骑士团护照"),
        (("card", "I", ""), ("card", "ID", ""), "Identity card", "身份证"),
        (("card", "AC", ""), "Crew member certificate", "机组成员证"),
        (
            *(("card", "IR", ""), ("card", "AR", ""), ("card", "RP", ""), ("card", "TR", "")),
            *("Residence permit", "居留许可"),
        ),
        (("card", "C1", "USA"), ("card", "C2", "USA"), "Permanent resident card", "永久居民卡"),
        (("card", "IP", "USA"), ("card", "IP", "IRL"), ("card", "P", ""), "Passport card", "护照卡"),
        (("visa", "V", ""), "Visa", "签证"),
        (("FRA_ID", ANY, ""), "French national identity card", "法国国民身份证"),
        (
            *(("PRC_PERMIT", "CS", ""),),
            *("Exit-entry permit for travelling to and from Hong Kong and Macao", "往来港澳通行证"),
        ),
        (
            *(("PRC_PERMIT", "CD", ""),),
            *("Exit-entry permit for travelling to and from Taiwan", "往来台湾通行证"),
        ),
        (
            *(("PRC_CARD", "CR", ""), ("PRC_HOME_RETURN", ANY, "")),
            *("Mainland travel permit for Hong Kong and Macao residents", "港澳居民来往内地通行证"),
        ),
        (
            *(("PRC_CARD", "CT", ""),),
            *("Mainland travel permit for Taiwan residents", "台湾居民来往大陆通行证"),
        ),
        (
            *(("PRC_CARD", "CF", ""),),
            "Mainland travel permit for Hong Kong and Macao residents (non-Chinese citizens)",
            "港澳居民来往内地通行证（非中国籍）",
        ),
    )
    for key in keys
}
"""Names by (kind of layout, document code, issuer); an empty issuer is any."""

_KINDS: Final = {
    MrzFormat.TD1: "card",
    MrzFormat.TD2: "card",
    MrzFormat.MRVA: "visa",
    MrzFormat.MRVB: "visa",
}
_REGIONS: Final = {
    Region.HONG_KONG: DocumentName("Hong Kong SAR passport", "香港特别行政区护照"),
    Region.MACAO: DocumentName("Macao SAR passport", "澳门特别行政区护照"),
}
_STATUSES: Final = {
    "XXA": DocumentName("Travel document for stateless persons", "无国籍人旅行证"),
    "XXB": DocumentName("Refugee travel document", "难民旅行证"),
    "XXC": DocumentName("Refugee travel document", "难民旅行证"),
}
"""Holders without a nationality have these in place of passports (codes: Doc 9303-3 §5)."""
_CLASSES: Final = {
    DocumentClass.PASSPORT: DocumentName("Passport", "护照"),
    DocumentClass.IDENTITY_CARD: DocumentName("Identity card", "身份证"),
    DocumentClass.VISA: DocumentName("Visa", "签证"),
    DocumentClass.PERMIT: DocumentName("Permit", "许可证件"),
    DocumentClass.UNKNOWN: DocumentName("Travel document", "旅行证件"),
}
_CARDS: Final = {
    CardKind.PERMANENT_RESIDENT_2023: DocumentName(
        "Foreign permanent resident ID card", "外国人永久居留身份证"
    ),
    CardKind.PERMANENT_RESIDENT_2017: DocumentName(
        "Foreign permanent resident ID card (before 2023)", "外国人永久居留身份证（2023年以前版）"
    ),
    CardKind.RESIDENCE_PERMIT: DocumentName(
        "Residence permit for Hong Kong, Macao and Taiwan residents", "港澳台居民居住证"
    ),
    CardKind.CITIZEN: DocumentName("Resident identity card", "居民身份证"),
}


def document_name(
    format: MrzFormat,  # noqa: A002
    code: str,
    issuer: str,
    lang: str,
    *,
    region: Region | None = None,
    nationality: str = "",
) -> str:
    """What this kind of document is called: Chinese for `zh-CN`, English otherwise.

    `code` and `issuer` are without fillers; an unknown code is named by its class, and never fails a document.
    `region` tells the SARs' passports apart; a `nationality` (identity!) a refugee's or stateless person's document:
    a name made with it is for the screen only.
    """
    return _spoken(_find(format, code, issuer, region, nationality), lang)


def name_of(mrz: Mrz, lang: str) -> str:
    """`document_name` of a parsed MRZ, without its holder's nationality: no identity."""
    return document_name(mrz.format, mrz.document_code, mrz.issuing_state, lang, region=mrz.region)


def card_name(kind: CardKind, lang: str) -> str:
    """What the card of such a number is called: Chinese for `zh-CN`, English otherwise."""
    return _spoken(_CARDS[kind], lang)


def _find(
    format_: MrzFormat, code: str, issuer: str, region: Region | None, nationality: str
) -> DocumentName:
    family = _KINDS.get(format_, str(format_))
    if format_ is MrzFormat.TD3 and code.startswith("P"):
        if nationality in _STATUSES:
            return _STATUSES[nationality]
        if issuer == "CHN" and region in _REGIONS:
            return _REGIONS[region]
    keys = ((code, issuer), (ANY, issuer), (code, ""), (ANY, ""))
    found = next((NAMES[family, *key] for key in keys if (family, *key) in NAMES), None)
    return found or _CLASSES[document_class(format_, code)]


def _spoken(name: DocumentName, lang: str) -> str:
    return name.chinese if lang == "zh-CN" else name.english
