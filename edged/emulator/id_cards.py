"""Emulated Chinese ID cards: what their chips deliver through a SAM module. Nobody's: every one is a specimen.

Written apart from `edged.core.id_card_text`, so that one hand's mistake isn't the other's. The numbers are printed as
examples by the standard (GB 11643) and by the National Immigration Administration.
"""

from __future__ import annotations

import hashlib
from dataclasses import dataclass, field, replace
from typing import TYPE_CHECKING, Final

if TYPE_CHECKING:
    from collections.abc import Mapping

TEXT_CHARACTERS: Final = 128
PHOTO_OCTETS: Final = 1024


@dataclass(frozen=True)
class EmulatedIdCard:
    """One card.

    Attributes:
        name: what commands and the demo call it.
        title: for people, by language.
        text: 256 octets.
        photo: 1024 octets; noise, since the real format is closed.
        additional_address: UCS-2 little-endian; None: the card has none.
    """

    name: str
    title: Mapping[str, str]
    text: bytes
    photo: bytes = field(repr=False)
    additional_address: bytes | None = None


def card_text(*fields: tuple[int, str]) -> bytes:
    """256 octets of spaces, with each text at its octet."""
    characters = [" "] * TEXT_CHARACTERS
    for octet, text in fields:
        characters[octet // 2 : octet // 2 + len(text)] = text
    assert len(characters) == TEXT_CHARACTERS, "a field is too long"
    return "".join(characters).encode("utf-16-le")


def noise(seed: str, octets: int = PHOTO_OCTETS) -> bytes:
    """A photo's worth of octets that look like nothing, the same for the same seed."""
    blocks = (hashlib.sha256(f"{seed} {number}".encode()).digest() for number in range(octets // 32 + 1))
    return b"".join(blocks)[:octets]


def _at_home(
    name: str, sex: str, nation: str, number: str, valid: tuple[str, str], *more: tuple[int, str]
) -> bytes:
    """The layout of citizens, which residence permits add to."""
    return card_text(
        *(
            (0, name),
            (30, sex),
            (32, nation),
            (36, number[6:14]),
            (52, "北京市朝阳区样本路1号"),
            (122, number),
        ),
        *((158, "北京市公安局朝阳分局"), (188, valid[0]), (204, valid[1])),
        *more,
    )


def _since_2023(names: tuple[str, str], sex: str, number: str, nationality: str, link: str) -> bytes:
    chinese, english = names
    return card_text(
        *((0, chinese), (30, sex), (32, "00"), (36, number[6:14]), (52, english[:35]), (122, number)),
        *(
            (188, "20240105"),
            (204, "20340104"),
            (220, english[35:]),
            (242, nationality),
            (248, "Y"),
            (250, link),
        ),
    )


def _before_2023(names: tuple[str, str], sex: str, number: str, birth: str) -> bytes:
    chinese, english = names
    return card_text(
        *((0, english), (120, sex), (122, number), (152, number[:3]), (158, chinese)),
        *((188, "20190610"), (204, "20290609"), (220, birth), (236, "01"), (240, "1100"), (248, "I")),
    )


_TEN_YEARS: Final = ("20210301", "20310301")
_FIVE_YEARS: Final = ("20240501", "20290501")
_CITIZEN: Final = "11010519491231002X"
_CANADA: Final = "911124198108030024"
_NAMES: Final = ("证件样本", "ZHENGJIAN, YANGBEN")

_DESCRIBED: Final = (
    ("citizen", "Resident ID card, valid for ever", "居民身份证(长期)",
     _at_home("证件样本", "2", "01", _CITIZEN, ("20100301", "长期"))),
    ("citizen-expired", "Resident ID card, expired", "居民身份证(已过期)",
     _at_home("证件样本", "2", "01", _CITIZEN, ("20050301", "20250301"))),
    ("citizen-long-name", "Resident ID card with a long name", "居民身份证(长姓名)",
     _at_home("阿卜杜拉·样本买买提·样本江", "2", "05", _CITIZEN, _TEN_YEARS)),
    ("permit-hong-kong", "Residence permit for a resident of Hong Kong", "港澳台居民居住证(香港)",
     _at_home("证件样本", "2", "", "810000199408230021", _FIVE_YEARS, (220, "H00000000"), (238, "01"), (248, "J"))),
    ("permit-taiwan", "Residence permit for a resident of Taiwan", "港澳台居民居住证(台湾)",
     _at_home("证件样本", "2", "", "830000199201300022", _FIVE_YEARS, (220, "00000000"), (238, "01"), (248, "J"))),
    ("resident-2017", "Permanent resident card of 2017", "外国人永久居留身份证(2017版)",
     _before_2023(_NAMES, "2", "CAN110081080310", "19810803")),
    ("resident-2023", "Permanent resident card of 2023, the five-star card", "外国人永久居留身份证(2023版,五星卡)",
     _since_2023(_NAMES, "2", _CANADA, "CAN", "001")),
    ("resident-2023-saudi", "Permanent resident card of 2023, Saudi Arabia", "外国人永久居留身份证(2023版,沙特阿拉伯)",
     _since_2023(("", "SPECIMEN, HOLDER OF THE CARD"), "1", "932682198501010017", "SAU", "")),
    ("resident-2023-long-name", "Permanent resident card of 2023 with a long name",
     "外国人永久居留身份证(2023版,长姓名)",
     _since_2023(
         ("样本", "SPECIMEN HOLDER OF A LONG NAME, WITH SEVERAL"), "2", "931586198001010028", "PAK", "000")),
    ("resident-2023-wrong-number", "Permanent resident card of 2023 with a wrong check digit",
     "外国人永久居留身份证(2023版,校验位错误)", _since_2023(_NAMES, "2", _CANADA[:-1] + "5", "CAN", "001")),
    ("resident-2023-contradiction", "Permanent resident card of 2023 whose number names another day of birth",
     "外国人永久居留身份证(2023版,出生日期不符)",
     _since_2023(_NAMES, "2", _CANADA, "CAN", "001").replace(
         "19810803".encode("utf-16-le"), "19810804".encode("utf-16-le"), 1)),
)  # fmt: skip


def id_cards() -> dict[str, EmulatedIdCard]:
    """Every emulated card by its name."""
    cards = {
        name: EmulatedIdCard(name, {"en": english, "zh-CN": chinese}, text, noise(name))
        for name, english, chinese, text in _DESCRIBED
    }
    moved = "北京市海淀区样本街2号".ljust(35).encode("utf-16-le")
    cards["citizen"] = replace(cards["citizen"], additional_address=moved)
    return cards
